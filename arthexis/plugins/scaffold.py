"""Scaffolds: a new plugin as an installable distribution with a passing test, one skeleton for each kind.

A skeleton is a page of ``arthexis/plugins/skeletons``: a title, a table of facts, and the files of a plugin that is
called acme. Every acme becomes the new plugin's name; ``common.md`` holds what all kinds begin with.
"""

from __future__ import annotations

import difflib
import keyword
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import arthexis
from arthexis.errors import PluginError
from arthexis.plugins.discover import GROUP, discover, entry_points, normal

DEFAULT = "data-transfer"
LONGEST = 24
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
FILE = re.compile(r"^`(?P<path>[\w./]+)`:\n\n(?P<fence>`{3,4})\w+\n(?P<text>.*?)(?P=fence)\n", re.DOTALL | re.MULTILINE)
FACTS = re.compile(r"^# (?P<title>[^\n]+)\n\n```toml\n(?P<toml>.*?)^```\n\n`", re.DOTALL | re.MULTILINE)
ROLES = "arthexis.roles"


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A kind of plugin: what it does, which hooks it shows, and its files by their path."""

    kind: str
    title: str
    facts: dict[str, Any]
    files: dict[str, str]

    @property
    def of_role(self) -> bool:
        """Whether it brings a role and no plugin."""
        return not self.facts["hooks"]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the folder, its files, and the commands that come next."""

    folder: Path
    files: list[str]
    next: list[str]


@dataclass(frozen=True, slots=True)
class Names:
    """A plugin's name in each of its spellings."""

    plugin: str
    spellings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str) -> Names:
        """The spellings of a name: distribution, package, plugin, and as people write it."""
        plugin = name.replace("-", "_")
        titled = " ".join(word.capitalize() for word in plugin.split("_"))
        dashed = plugin.replace("_", "-")
        return cls(plugin, {"arthexis-acme": f"arthexis-{dashed}", "Acme": titled, "acme": plugin})

    @property
    def distribution(self) -> str:
        """The name that pip knows."""
        return self.spellings["arthexis-acme"]

    def put_into(self, text: str) -> str:
        """A text about acme as one about this plugin."""
        return re.sub("arthexis-acme|Acme|acme", lambda found: self.spellings[found[0]], text)


def kinds() -> list[str]:
    """The kinds of plugin that there is a skeleton of, the usual one first."""
    found = {Path(page.name).stem for page in files(__package__).joinpath("skeletons").iterdir()} - {"common"}
    return sorted(found, key=lambda kind: (kind != DEFAULT, kind))


def skeleton(kind: str) -> Skeleton:
    """The skeleton of a kind; raises ``PluginError`` where there is none."""
    if kind not in kinds():
        close = difflib.get_close_matches(kind, kinds(), 1)
        cure = f"Did you mean {close[0]}?" if close else f"There are {', '.join(kinds())}"
        raise PluginError(f"there is no kind {kind!r}", place="plugins new", cure=cure)
    page = _page(kind)
    head = FACTS.search(page)
    if head is None:
        raise PluginError(f"the skeleton of {kind} says nothing of itself", place="plugins new", cure="Reinstall")
    return Skeleton(kind, head["title"], tomllib.loads(head["toml"]), _files(page))


def _page(name: str) -> str:
    return files(__package__).joinpath("skeletons", f"{name}.md").read_text("utf-8")


def _files(page: str) -> dict[str, str]:
    return {found["path"]: found["text"] for found in FILE.finditer(page)}


def write(name: str, kind: str = DEFAULT, into: Path | None = None, commands: Collection[str] = ()) -> Written:
    """Write a new plugin into a folder of its own; raises ``PluginError``, and has then written nothing.

    ``commands`` are those that ``arthexis`` has already: a plugin that adds one takes another name.
    """
    chosen = skeleton(kind)
    names = Names.of(_checked(name))
    _refuse_taken(names, chosen, commands)
    folder = (into or Path()) / names.distribution
    if folder.exists() or folder.is_symlink():
        raise PluginError(
            f"{folder} is there already", place="plugins new", cure="Choose another name, or another place with --into"
        )
    texts = {names.put_into(path): names.put_into(text) for path, text in _texts(chosen).items()}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8", newline="\n")
    return Written(folder, sorted(texts), _next(folder, names, chosen))


def _checked(name: str) -> str:
    """A name that a plugin may have; raises ``PluginError``."""
    if name.startswith(("arthexis-", "arthexis_")) and name != "arthexis-":
        cure = f"Leave the beginning out, it is added: {name[9:] or 'acme'}"
    elif NAME.fullmatch(name) and len(name) > LONGEST:
        cure = f"Use at most {LONGEST} characters"
    elif not NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("0123456789_")[:LONGEST]
        cure = "Use small letters, digits and _ and begin with a letter"
        cure += f", for example {better}" if NAME.fullmatch(better) else ""
    elif keyword.iskeyword(name):
        cure = f"It means something in Python: take another one, for example {name}_acme"
    else:
        return name
    raise PluginError(f"{name!r} cannot be the name of a plugin", place="plugins new", cure=cure)


def _refuse_taken(names: Names, chosen: Skeleton, commands: Collection[str]) -> None:
    """Raise ``PluginError`` where the name means something on this machine already."""
    rivals = [plugin.full_name for plugin in discover() if plugin.name == names.plugin]
    rivals += [f"the role {point.name} of {owner}" for point, owner, *_ in _roles(chosen) if point.name == names.plugin]
    rivals += [f"the distribution {names.distribution}"] if _installed(names.distribution) else []
    if "register_commands" in chosen.facts["hooks"] and names.plugin in commands:
        rivals.append(f"the command arthexis {names.plugin}")
    if rivals:
        raise PluginError(
            f"{names.plugin} is taken: {' and '.join(rivals)} is installed here",
            place="plugins new",
            cure=f"Choose another name, for example {names.plugin}_two, or uninstall it first",
        )


def _roles(chosen: Skeleton) -> list[Any]:
    return entry_points(ROLES) if chosen.of_role else []


def _installed(name: str) -> bool:
    try:
        return normal(distribution(name).metadata["Name"]) == name
    except PackageNotFoundError:
        return False


def _texts(chosen: Skeleton) -> dict[str, str]:
    """All files of a skeleton, its facts filled in."""
    words = _words(chosen)
    common = {
        path: re.sub(r"(?<!\$)\{\{(\w+)\}\}", lambda found: words[found[1]], text)
        for path, text in _files(_page("common")).items()
    }
    return {path: text.lstrip("\n") if not text.strip() else text for path, text in {**common, **chosen.files}.items()}


def _words(chosen: Skeleton) -> dict[str, str]:
    """What the braces of ``common.md`` stand for."""
    facts, api = chosen.facts, _api()
    group, target = (ROLES, "arthexis_acme:acme") if chosen.of_role else (GROUP, "arthexis_acme")
    restart = "arthexis restart --open  # for this machine alone: no station needs a key"
    on = "arthexis roles use acme" if chosen.of_role else "arthexis plugins enable arthexis-acme:acme"
    return {
        "about": facts["about"].strip(),
        "api": api,
        "checked": "arthexis-acme" if chosen.of_role else "acme",
        "entry_points": f"{group} =\n    acme = {target}",
        "example": facts.get("example", "").rstrip("\n"),
        "install": f"pip install arthexis-acme\n{on}\n{restart}",
        "package_data": _lines(["py.typed", *facts.get("package_data", [])]),
        "requires": _lines(sorted([f"arthexis-host{api}", *facts.get("requires", [])])),
        "node": _node(chosen),
        "settings": facts.get("settings", "There are none.").strip(),
        "summary": f"{chosen.title}: an Arthexis plugin",
        "try": f"\n{facts['try'].strip()}\n" if facts["try"].strip() else "",
    }


def _node(chosen: Skeleton) -> str:
    """The settings of a node that runs the plugin beside OCPP 1.6, and in the place of whom it stands in for."""
    if chosen.of_role:
        return 'role = "acme"'
    rival = chosen.facts.get("instead_of")
    on = 'enable = ["arthexis-ocpp16:*", "arthexis-acme:acme"]'
    return f'{on}\ndisable = ["{rival}"]' if rival else on


def _lines(values: list[str]) -> str:
    return "\n".join(f"    {value}" for value in values)


def _api() -> str:
    """The versions of the host that offer what this one does, as a requirement writes it."""
    major, minor = arthexis.__version__.split(".")[:2]
    return f">={major}.{minor},<{major}.{int(minor) + 1}"


def _next(folder: Path, names: Names, chosen: Skeleton) -> list[str]:
    """The commands that lead from a written plugin to one that runs."""
    place = f'"{folder}"' if " " in str(folder) else folder
    first = [f"cd {place}", 'pip install -e ".[test]"', "pytest"]
    if chosen.of_role:
        return [*first, f"arthexis roles use {names.plugin}", "arthexis restart --open"]
    rival = chosen.facts.get("instead_of")
    instead = f" --instead-of {rival}" if any(plugin.full_name == rival for plugin in discover()) else ""
    return [*first, f"arthexis plugins enable {names.distribution}:{names.plugin}{instead}", "arthexis restart --open"]
