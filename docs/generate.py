"""Write the generated parts of the docs: what stands between ``<!-- generated: name -->`` and ``<!-- end -->``.

``python docs/generate.py`` writes them; ``--check`` writes nothing, names the files that are out of date and ends with
exit status 1 if there are any. Everything is read from the code: hooks, actions, roles, commands, settings, errors.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

import click
import msgspec
import pluggy

import arthexis
from arthexis import control, errors, hookspecs, roles, testing, values
from arthexis.cli.main import COMMANDS, main
from arthexis.config import SECTIONS
from arthexis.contributions import Fault
from arthexis.plugins import scaffold
from arthexis.plugins.compose import Composition, Selection, compose
from arthexis.quality.rules import RULES
from arthexis.web.problems import KINDS as PROBLEMS

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
BLOCK = re.compile(r"<!-- generated: (?P<name>[^>]+?) -->\n(?P<body>.*?)<!-- end -->\n", re.DOTALL)
WIDTH = 100
KINDS = {"register": "collects", "decide": "asks", "on": "tells"}


# ---------------------------------------------------------------------- what there is


@cache
def composition() -> Composition:
    """Every plugin of this clone, composed with default settings."""
    names = [_parsed(path).get("metadata", "name") for path in sorted(ROOT.glob("plugins/*/setup.cfg"))]
    return compose(Selection(tuple(f"{name}:*" for name in names)), lambda _, struct: struct() if struct else None)


def _parsed(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    return parser


def hooks() -> dict[str, Callable[..., Any]]:
    """Every hook by name, in the order of ``arthexis/hookspecs.py``."""
    manager = pluggy.PluginManager("arthexis")
    manager.add_hookspecs(hookspecs)
    return {name: fn for name, fn in vars(hookspecs).items() if hasattr(manager.hook, name) and callable(fn)}


def signature(name: str, fn: Callable[..., Any]) -> str:
    """A hook's definition in one line, as its implementations write it."""
    start = "async def" if inspect.iscoroutinefunction(fn) else "def"
    return f"{start} {name}{inspect.signature(fn)}".replace("'", "")


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of the host, then those of the plugins of this clone, by their whole name."""
    targets = {name: (f"arthexis.cli.{entry[0]}", entry[1]) for name, entry in COMMANDS.items()}
    for _, command in composition().commands:
        module, _, attribute = command.target.partition(":")
        targets[command.name] = (module, attribute)
    for name, (module, attribute) in targets.items():
        yield from _below(f"arthexis {name}", getattr(importlib.import_module(module), attribute))


def _below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for below in command.list_commands(click.Context(command)):
            yield from _below(f"{name} {below}", command.commands[below])


# ---------------------------------------------------------------------- how it is written


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def summary(thing: Any) -> str:
    """The first sentence of a docstring, in one line."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return text.replace("``", "`")


def code(text: object) -> str:
    """A word of the code in Markdown."""
    return f"`{text}`"


def _hook_table() -> str:
    rows = [
        (f"[{name}](hooks/{name}.md)", KINDS.get(name.partition("_")[0], "opens and closes"), summary(fn))
        for name, fn in hooks().items()
    ]
    return table(("hook", "the host", "for"), rows)


def _hook(name: str) -> str:
    return f"```python\n{signature(name, hooks()[name])}\n```\n\n{_prose(hooks()[name])}\n"


def _prose(fn: Callable[..., Any]) -> str:
    """A docstring without its example."""
    paragraphs = (inspect.getdoc(fn) or "").split("\n\n")
    return "\n\n".join(p for p in paragraphs if not p.lstrip().startswith(">>>")).replace("``", "`")


def _actions() -> str:
    rows = []
    for plugin, action in sorted(composition().actions, key=lambda found: (found[1].protocol, found[1].name)):
        response = _message(action.protocol, action.name).response
        members = ", ".join(code(field.encode_name) for field in msgspec.structs.fields(response)) or "an empty object"
        purpose = summary(plugin.module).partition(": ")[2]
        rows.append((action.name, code(plugin.name), purpose, members))
    return table(("action", "plugin", "for", "the answer holds"), rows)


def _message(subprotocol: str, action: str) -> Any:
    protocol = next(p for _, p in composition().protocols if p.subprotocol == subprotocol)
    return next(message for message in protocol.messages if message.action == action)


def _operations() -> str:
    rows = []
    for plugin, operation in sorted(composition().operations, key=lambda found: (found[1].protocol, found[1].name)):
        request = _message(operation.protocol, operation.name).request
        members = ", ".join(code(field.encode_name) for field in msgspec.structs.fields(request)) or "none"
        marks = [word for word, holds in _marks(operation).items() if holds]
        rows.append((operation.name, code(plugin.name), operation.summary, members, ", ".join(marks) or "none"))
    return table(("operation", "plugin", "does", "members", "note"), rows)


def _marks(operation: Any) -> dict[str, bool]:
    return {
        "never queued": not operation.queues,
        "dangerous": operation.dangerous,
        "sent again after a crash": operation.resend,
        "not while Pending": not operation.while_pending,
    }


def _faults() -> str:
    protocol = next(p for _, p in composition().protocols if p.subprotocol == "ocpp1.6")
    return table(("what is wrong", "OCPP 1.6 error code"), ((f.value, code(protocol.errors[f])) for f in Fault))


def _aliases() -> str:
    protocol = next(p for _, p in composition().protocols if p.subprotocol == "ocpp1.6")
    rows = [
        (code(wire), code(meant), ", ".join(code(said) if said else "an empty text" for said in spellings))
        for wire, words in sorted(protocol.aliases.items())
        for meant, spellings in _inverted(words).items()
    ]
    return table(("member", "is taken as", "where a station sends"), rows)


def _inverted(words: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for said, meant in words.items():
        found.setdefault(meant, []).append(said)
    return dict(sorted(found.items()))


def _roles() -> str:
    known = roles.installed()
    rows = []
    for role in known.values():
        if role.source.startswith("arthexis-"):
            line = roles.lineage(role, known)
            plugins = ", ".join(code(name) for ancestor in line for name in ancestor.plugins) or "none"
            required = ", ".join(code(name) for ancestor in line for name in ancestor.required) or "none"
            rows.append((code(role.name), role.summary, plugins, required))
    return table(("role", "what for", "plugins", "required"), rows)


def _help() -> str:
    parts = [f"```text\n{_help_of('arthexis', main)}\n```\n"]
    parts += [f"### {name}\n\n```text\n{_help_of(name, command)}\n```\n" for name, command in commands()]
    return "\n".join(parts)


def _help_of(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    return command.get_help(context).rstrip()


def _settings() -> str:
    structs: dict[str, Any] = dict(SECTIONS)
    for plugin, contribution in composition().contributions.get("register_config", []):
        structs[f"plugins.{plugin.name}"] = contribution.struct
    return "\n".join(_section(name, struct) for name, struct in structs.items())


def _section(name: str, struct: Any) -> str:
    components = msgspec.json.schema_components([struct], schema_hook=values.secret_schema)[1]
    described = components[struct.__name__]
    properties = described.get("properties", {})
    shouted = re.sub(r"[.\-]", "_", name.removeprefix("plugins.")).upper()
    rows = [(*row, code(f"ARTHEXIS__{shouted}__{key.upper()}")) for key, row in _rows(described).items()]
    titles = ("key", "default", "takes", "meaning", "in the environment")
    tables = [
        _inner(f"[[{name}.{key}]]" if "items" in about else f"[{name}.{key}]", components[inner])
        for key, whole in properties.items()
        for about in (whole, *whole.get("anyOf", ()))
        for inner in _tables(about)
    ]
    return "\n".join([f"### [{name}]\n\n{table(titles, rows)}", *tables])


def _inner(title: str, described: dict[str, Any]) -> str:
    """A table within a section, or one of a list of them."""
    return f"#### {title}\n\n{table(('key', 'default', 'takes', 'meaning'), _rows(described).values())}"


def _rows(described: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The row of each setting of a table."""
    needed = described.get("required", ())
    return {key: _setting(key, about, needed=key in needed) for key, about in described.get("properties", {}).items()}


def _setting(key: str, about: dict[str, Any], *, needed: bool) -> tuple[str, ...]:
    """What is required has no default; another without one has it elsewhere, and its meaning says what it is."""
    default = code(_shown(about["default"])) if "default" in about else "required" if needed else "optional"
    return code(key), default, _kind(about), about.get("description", "")


def _tables(about: dict[str, Any]) -> list[str]:
    """The name of what describes a table, or each table of a list, where a setting is that."""
    found = about.get("$ref") or (about.get("items") or {}).get("$ref")
    return [found.rpartition("/")[2]] if found else []


def _shown(value: Any) -> str:
    return "none" if value is None else msgspec.json.encode(value).decode()


def _kind(about: dict[str, Any]) -> str:
    """What a setting takes, from its JSON Schema."""
    if "enum" in about:
        return " or ".join(code(member) for member in about["enum"])
    if "anyOf" in about:
        return " or ".join(_kind(one) for one in about["anyOf"] if one.get("type") != "null") + ", or none"
    if "$ref" in about:
        return "a table"
    if about.get("type") == "array":
        return "a list of tables" if "$ref" in (about.get("items") or {}) else "a list of texts"
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "object": "a table",
    }
    limits = [f"{word} {about[key]}" for key, word in LIMITS.items() if key in about]
    return " ".join([words.get(about.get("type", ""), about.get("type", "")), *limits])


LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}


def _errors() -> str:
    kinds = [errors.ArthexisError, *_kinds(errors.ArthexisError)]
    rows = [
        (code(kind.code), str(kind.exit_status), str(_http(kind)), summary(kind))
        for kind in sorted(kinds, key=lambda kind: (kind.exit_status, kind.code))
    ]
    return table(("code", "exit status", "HTTP status", "meaning"), rows)


def _kinds(kind: type[errors.ArthexisError]) -> Iterator[type[errors.ArthexisError]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("arthexis."):
            yield below
            yield from _kinds(below)


def _http(kind: type[errors.ArthexisError]) -> int:
    return PROBLEMS.get(kind.code, PROBLEMS["error"]).status


def _requests() -> str:
    rows = []
    for name, request in sorted(control.REQUESTS.items()):
        fields = msgspec.structs.fields(request.parameters)
        members = ", ".join(code(f.name) + (" (required)" if f.required else "") for f in fields) or "none"
        rows.append((code(name), request.access, members, summary(request.fn)))
    return table(("request", "access", "members of the body", "answer"), rows)


def _public() -> str:
    rows = []
    for name in arthexis.__all__:
        value = getattr(arthexis, name)
        rows.append((code(name), _what(value), _about(name, value)))
    return table(("name", "is", "for"), rows)


def _what(value: Any) -> str:
    if inspect.ismodule(value):
        return "module"
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isfunction(value) else "object"


PLAIN = {
    "PRIORITIES": "What a notification may be, the most urgent first: alarm, event, session, status.",
    "hookimpl": "Marks a function as an implementation of a hook.",
    "station_table": "The table `station`, for foreign keys: `station_table.c.id`.",
    "transaction_table": "The table `charging_transaction`, for foreign keys: `transaction_table.c.id`.",
}


def _about(name: str, value: Any) -> str:
    return PLAIN.get(name) or summary(value)


def _directory() -> str:
    rows = []
    for path in sorted(ROOT.glob("plugins/*/setup.cfg")):
        parsed = _parsed(path)
        points = parsed.get("options.entry_points", "arthexis.plugins", fallback="")
        names = [line.partition("=")[0].strip() for line in points.splitlines() if line.strip()]
        shown = ", ".join(code(name) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        link = f"[{parsed.get('metadata', 'name')}](../plugins/{path.parent.name}/README.md)"
        rows.append((link, parsed.get("metadata", "description"), shown or "roles only"))
    return table(("distribution", "for", "plugins"), rows)


def _kit() -> str:
    rows = [(code(name), summary(getattr(testing, name))) for name in testing.__all__]
    return table(("name", "for"), rows)


LANGUAGES = {".py": "python", ".cfg": "ini", ".toml": "toml", ".md": "markdown"}


TO_ITS_PAGE = "\nHow it is made: "
"""The last line of an example's README leads to the page itself, which leaves it out."""


def _example(place: str) -> str:
    """A file of an example as a page shows it, ``arthexis-greeter/setup.cfg``; raises ``LookupError``."""
    file = EXAMPLES / place
    if not file.is_file():
        raise LookupError(f"no example has a file {place!r}")
    text = file.read_text("utf-8").partition(TO_ITS_PAGE)[0]
    fence = "````" if "```" in text else "```"
    return f"`{place}`:\n\n{fence}{LANGUAGES[file.suffix]}\n{text}{fence}\n"


def hooks_of() -> dict[str, list[str]]:
    """Which examples implement which hook, by the hook's name."""
    found: dict[str, list[str]] = {}
    for file in sorted(EXAMPLES.glob("*/src/**/*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", [])]
            room = file.relative_to(EXAMPLES).parts[0]
            if "hookimpl" in marks and room not in found.setdefault(getattr(node, "name", ""), []):
                found[getattr(node, "name", "")].append(room)
    return found


def _examples() -> str:
    made = hooks_of()
    made["a role"] = [path.parent.name for path in EXAMPLES.glob("*/setup.cfg") if _parsed(path).has_option(*A_ROLE)]
    rows = [
        (
            code(hook) if hook in hooks() else hook,
            ", ".join(f"[{room}]({room}/README.md)" for room in sorted(made[hook])),
        )
        for hook in (*(name for name in hooks() if name in made), "a role")
    ]
    return table(("kind of contribution", "examples"), rows)


A_ROLE = ("options.entry_points", "arthexis.roles")


def _kinds_of_plugin() -> str:
    found = [scaffold.skeleton(kind) for kind in scaffold.kinds()]
    hooks_of = {one.kind: ", ".join(f"[`{h}`](hooks/{h}.md)" for h in one.facts["hooks"]) or "none" for one in found}
    return table(("kind", "does", "hooks"), ((code(one.kind), one.title, hooks_of[one.kind]) for one in found))


def _quality() -> str:
    return table(("level", "rule", "what must hold"), ((r.level.value, code(r.name), r.says) for r in RULES))


BLOCKS: dict[str, Callable[[], str]] = {
    "hooks": _hook_table,
    "actions": _actions,
    "operations": _operations,
    "faults": _faults,
    "aliases": _aliases,
    "roles": _roles,
    "help": _help,
    "settings": _settings,
    "errors": _errors,
    "requests": _requests,
    "public names": _public,
    "test kit": _kit,
    "examples": _examples,
    "quality": _quality,
    "kinds": _kinds_of_plugin,
    "directory": _directory,
}


def body(name: str) -> str:
    """What belongs into a generated block; raises ``LookupError`` for a name that means nothing."""
    start, _, hook = name.partition(" ")
    if start == "hook" and hook in hooks():
        return _hook(hook)
    if start == "example":
        return _example(hook)
    if name not in BLOCKS:
        raise LookupError(f"no generated block is called {name!r}")
    return BLOCKS[name]()


def renewed(text: str) -> str:
    """A page with its generated blocks written anew."""
    return BLOCK.sub(lambda block: f"<!-- generated: {block['name']} -->\n{body(block['name'])}<!-- end -->\n", text)


def pages() -> Iterable[Path]:
    """Every page that may hold a generated block."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])


def outdated() -> dict[Path, str]:
    """The pages that are not as they should be, each with its new text."""
    texts = {page: (page.read_text("utf-8"), renewed(page.read_text("utf-8"))) for page in pages()}
    return {page: new for page, (old, new) in texts.items() if old != new}


def run(*, check: bool) -> int:
    """Write or check all pages; the exit status."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["ARTHEXIS_HOME"] = home
        stale = outdated()
    for page, text in stale.items():
        if not check:
            page.write_text(text, "utf-8")
        sys.stdout.write(f"{page.relative_to(ROOT)}{' is out of date: run `just docs`' if check else ''}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(run(check="--check" in sys.argv[1:]))
