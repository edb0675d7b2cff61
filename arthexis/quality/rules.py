"""The rules of quality: each on a rung from Bronze to Platinum, each with a check that can fail, and a cure.

A check gets the facts and answers None where the rule holds, a text that says what is wrong, or ``Skipped`` where it
does not apply or cannot be told.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from arthexis.plugins.compatibility import specifiers, unfit
from arthexis.quality.facts import Facts, Function, text_of

MOST_SHOWN = 3
SHORTEST_README = 100
FACES = ("arthexis", "arthexis.testing")
CI = (
    ".github/workflows",
    ".gitlab-ci.yml",
    ".forgejo/workflows",
    ".circleci",
    "azure-pipelines.yml",
    "noxfile.py",
    "tox.ini",
)
ON_ITS_WAY = {"configured", "migrated", "active", "degraded", "stopped"}


class Level(StrEnum):
    """The rungs of the scale, the lowest first."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PLATINUM = "platinum"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a rule does not count for a plugin."""

    why: str


Verdict = str | Skipped | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what must hold (``says``), and what to do where it does not (``cure``)."""

    name: str
    level: Level
    says: str
    cure: str
    check: Callable[[Facts], Verdict]


def _some(found: Iterable[object]) -> str | None:
    """A few of what is wrong in one text; None for nothing."""
    listed = list(dict.fromkeys(str(one) for one in found))
    more = f" and {len(listed) - MOST_SHOWN} more" if len(listed) > MOST_SHOWN else ""
    return f"{', '.join(listed[:MOST_SHOWN])}{more}" if listed else None


def _no_plugin(facts: Facts) -> Skipped | None:
    return None if facts.plugins else Skipped("it brings roles only")


def _unmeasured(facts: Facts, seen: str | None) -> Verdict:
    """What a rule says that a probe should have told of: it brought nothing, or it was not run after another one."""
    return _no_plugin(facts) or seen or Skipped("what comes before does not hold")


# ---------------------------------------------------------------------- bronze


def _imports(facts: Facts) -> Verdict:
    if not facts.plugins:
        return _some(facts.problems)
    found = [facts.probes[f"imports {plugin.name}"] for plugin in facts.plugins]
    return _some(
        seen if isinstance(seen, str) else seen["error"] for seen in found if isinstance(seen, str) or seen["error"]
    )


def _composes(facts: Facts) -> Verdict:
    seen = facts.probes.get("composes")
    if not isinstance(seen, dict):
        return _unmeasured(facts, seen)
    return _some(
        f"{plugin['reason']} ({plugin['cure']})" for plugin in seen["plugins"] if plugin["state"] not in ON_ITS_WAY
    )


def _starts(facts: Facts) -> Verdict:
    seen = facts.probes.get("restarts")
    if not isinstance(seen, dict):
        return _unmeasured(facts, seen)
    wrong = [seen["error"]] if seen["error"] else []
    for plugin in seen["plugins"]:
        silent = plugin["state"] == "unavailable" and not plugin["cure"]
        if plugin["state"] not in {*ON_ITS_WAY, "unavailable"} or silent:
            wrong.append(f"{plugin['name']} {plugin['state']}: {plugin['reason']}")
    return _some([*wrong, *seen["faults"]])


def _independent(facts: Facts) -> Verdict:
    named = [f"{place} imports {name}" for place, name in facts.imported() if name.partition(".")[0] in facts.others]
    for plugin in facts.plugins:
        seen = facts.probes.get(f"imports {plugin.name}")
        if isinstance(seen, dict):
            named += [
                f"with {plugin.name} comes {p} of {facts.others[p]}" for p in seen["packages"] if p in facts.others
            ]
    return _some(named)


def _api_version(facts: Facts) -> Verdict:
    needed = next((plugin.needs_host for plugin in facts.plugins), facts.needs_host)
    if not needed:
        return "it does not say which arthexis-host it is made for"
    bounds = specifiers(needed)
    kinds = {bound.operator for bound in bounds} if bounds is not None else set()
    if not kinds & {"==", "===", "~="} and not (kinds & {">=", ">"} and kinds & {"<", "<="}):
        return f"arthexis-host{needed} has no {'upper' if kinds & {'>=', '>'} else 'lower'} bound"
    misfit = unfit(facts.name, needed)
    return misfit[0] if misfit is not None else None


def _summary(facts: Facts) -> Verdict:
    absent = [key for key in ("Summary", "Requires-Python") if not any(text.strip() for text in facts.told(key))]
    return f"its metadata have no {' and no '.join(absent)}" if absent else None


def _readme(facts: Facts) -> Verdict:
    return None if len(facts.readme) >= SHORTEST_README else "its metadata hold no README to speak of"


# ---------------------------------------------------------------------- silver


def _restarts(facts: Facts) -> Verdict:
    seen = facts.probes.get("restarts")
    if not isinstance(seen, dict):
        return _unmeasured(facts, seen)
    if _starts(facts) is not None:
        return "it does not start and stop even once"
    left = [
        f"{kind[:-1] if kind != 'opened' else 'open'} {what}"
        for kind in ("tasks", "threads", "opened")
        for what in seen[kind]
    ]
    return _some([*left, *(f"left to the garbage collector: {what}" for what in seen["unclosed"])])


def _quiet(facts: Facts) -> Verdict:
    wrong: list[str] = []
    for plugin in facts.plugins:
        seen = facts.probes.get(f"imports {plugin.name}")
        if not isinstance(seen, dict):
            return Skipped("it cannot be imported")
        wrong += [f"a thread {name}" for name in seen["threads"]] + [f"open {what}" for what in seen["opened"]]
        wrong += [f"prints {seen['printed']!r}"] if seen.get("printed") else []
    return _some(wrong) or _no_plugin(facts)


def _settings(facts: Facts) -> Verdict:
    seen = facts.probes.get("composes")
    if not isinstance(seen, dict):
        return _no_plugin(facts) or Skipped("what comes before does not hold")
    if not seen["settings"]:
        return Skipped("it has no settings")
    silent = [
        f"{s['plugin']}.{s['key']}"
        for s in seen["settings"]
        if not s["meaning"] and f"`{s['key']}`" not in facts.readme
    ]
    return f"nothing says what {told} is for" if (told := _some(silent)) else None


def _migrations(facts: Facts) -> Verdict:
    seen = facts.probes.get("migrates")
    if seen is None:
        return Skipped("it has no tables")
    if isinstance(seen, str):
        return seen
    left = [f"base leaves {name}" for name in seen["left"]]
    return _some([*seen["errors"], *left, *(f"nothing makes {name}" for name in seen["missing"])])


def _own_tables(facts: Facts) -> Verdict:
    seen = facts.probes.get("composes")
    if not isinstance(seen, dict) or not seen["tables"]:
        return Skipped("it has no tables")
    own = {
        name.replace("-", "_").replace(".", "_") for p in facts.plugins for name in (p.name, p.name.partition(".")[0])
    }
    own.add(facts.name.removeprefix("arthexis-").replace("-", "_"))
    named = [name for names in seen["tables"].values() for name in names]
    strange = [
        f"{name} is not named after it" for name in named if not any(name == o or name.startswith(f"{o}_") for o in own)
    ]
    return _some([*strange, *seen["foreign"]])


def _licence(facts: Facts) -> Verdict:
    said = [*facts.told("License-Expression"), *facts.told("License")]
    said += [text for text in facts.told("Classifier") if text.startswith("License ::")]
    return None if any(text.strip() not in {"", "UNKNOWN"} for text in said) else "nothing says how others may use it"


def _tests(facts: Facts) -> Verdict:
    if facts.checkout is None:
        return Skipped("it is not installed from a checkout")
    return None if facts.tests else f"there are no tests beside {facts.packages[0]}"


# ---------------------------------------------------------------------- gold


def _typed(facts: Facts) -> Verdict:
    seen = facts.probes.get("composes")
    if not isinstance(seen, dict):
        return _no_plugin(facts) or Skipped("what comes before does not hold")
    bare = [f"{package} has no py.typed" for package in facts.packages if package not in facts.typed]
    return _some([*(f"{name} is not annotated" for name in seen["untyped"]), *bare])


def _public_face(facts: Facts) -> Verdict:
    behind = [
        f"{place} imports {name}"
        for place, name in facts.imported()
        if name.partition(".")[0] == "arthexis"
        and not any(name == face or name.startswith(f"{face}.") for face in FACES[1:])
        and name != FACES[0]
    ]
    return _some(behind)


def _modules_told(facts: Facts) -> Verdict:
    return _some(
        f"{path.name} does not say what it is for" for path, tree in facts.trees.items() if not ast.get_docstring(tree)
    )


def _changelog(facts: Facts) -> Verdict:
    if any("change" in text.partition(",")[0].lower() for text in facts.told("Project-URL")):
        return None
    if facts.checkout is None:
        return Skipped("it is not installed from a checkout")
    return None if facts.above("CHANGELOG.md", "CHANGES.md", "CHANGELOG.rst", "CHANGES.rst") else "it has no changelog"


def _real_tests(facts: Facts) -> Verdict:
    if not facts.tests:
        return Skipped("it has no tests that can be seen")
    signs = ("arthexis.testing", "mark.plugins", "host:", "host)", "station:", "station)")
    return None if any(sign in text_of(path) for path in facts.tests for sign in signs) else "no test of it runs a node"


# ---------------------------------------------------------------------- platinum


def _everything_typed(facts: Facts) -> Verdict:
    return _some(f"{place} {node.name}" for place, node in facts.nodes(*Function.__args__) if not _annotated(node))


def _annotated(node: Function) -> bool:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    named = [one for one in given if one is not None and one.arg not in {"self", "cls"}]
    return node.returns is not None and all(one.annotation is not None for one in named)


def _told_all(facts: Facts) -> Verdict:
    seen = facts.probes.get("composes")
    if not isinstance(seen, dict):
        return _no_plugin(facts) or Skipped("what comes before does not hold")
    wanted = [setting["key"] for setting in seen["settings"]]
    wanted += [f"arthexis {name}" for name in seen["offers"]["commands"]] + seen["offers"]["notifiers"]
    wanted += [place.partition("{")[0].rstrip("/").removeprefix("/api/v1") for place in seen["offers"]["routes"]]
    silent = [name for name in wanted if name and name not in facts.readme]
    return f"its README does not mention {told}" if (told := _some(silent)) else None


def _ci(facts: Facts) -> Verdict:
    if facts.checkout is None:
        return Skipped("it is not installed from a checkout")
    return None if facts.above(*CI) else "nothing runs its tests when it is changed"


def _contact(facts: Facts) -> Verdict:
    return (
        None if facts.told("Project-URL") or facts.told("Home-page") else "nothing says where to report what is wrong"
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "imports-alone",
        Level.BRONZE,
        "Each of its modules is imported in a fresh interpreter of its own; its roles can be read",
        "Run: python -c 'import MODULE' and mend what it says; nothing but definitions belongs on the top of a module",
        _imports,
    ),
    Rule(
        "composes",
        Level.BRONZE,
        "Its hooks exist, have the shape of their family and yield what they should; its settings have defaults",
        "Compare its hooks with docs/hooks.md; give each setting a default, and say Unavailable in lifespan without it",
        _composes,
    ),
    Rule(
        "starts-alone",
        Level.BRONZE,
        "A node with nothing else starts and stops with it, containing no fault; unavailable counts if it names a cure",
        "Mend what it says; whatever may be absent (hardware, a server) is Unavailable(problem, cure=...)",
        _starts,
    ),
    Rule(
        "independent",
        Level.BRONZE,
        "It imports no other plugin",
        "Ask for a service (host.service) or read events; what two plugins share belongs into a package of its own",
        _independent,
    ),
    Rule(
        "api-version",
        Level.BRONZE,
        "It says which arthexis-host it is made for, with a lower and an upper bound, and this one is",
        "Write into install_requires: arthexis-host>=0.1,<0.2",
        _api_version,
    ),
    Rule(
        "metadata",
        Level.BRONZE,
        "Its metadata have a summary and the versions of Python it runs on",
        "Set description and python_requires in setup.cfg",
        _summary,
    ),
    Rule(
        "readme",
        Level.BRONZE,
        "Its metadata hold its README",
        "Write README.md and set long_description = file: README.md",
        _readme,
    ),
    Rule(
        "restarts",
        Level.SILVER,
        "It starts and stops ten times and leaves no task, thread, file or socket",
        "Close after yield what lifespan opened before it; start tasks with ctx.spawn",
        _restarts,
    ),
    Rule(
        "quiet-import",
        Level.SILVER,
        "Importing it prints nothing, starts no thread and opens nothing",
        "Move what its modules do while they are imported into lifespan",
        _quiet,
    ),
    Rule(
        "settings",
        Level.SILVER,
        "Every setting has a meaning: Meta(description=...), or a word of its own in the README",
        'Write Annotated[int, Meta(description="Seconds between two looks")] for each',
        _settings,
    ),
    Rule(
        "migrations",
        Level.SILVER,
        "Its migrations make the tables that its code declares, go down to base without leaving one, and up again",
        "Let downgrade() drop all that upgrade() made, in reverse",
        _migrations,
    ),
    Rule(
        "own-tables",
        Level.SILVER,
        "Its tables are named after it, and their foreign keys point to its own or the host's",
        "Name them NAME_something; keep other plugins' keys as plain values",
        _own_tables,
    ),
    Rule(
        "licence",
        Level.SILVER,
        "Its metadata name a licence",
        "Set license_expression in setup.cfg",
        _licence,
    ),
    Rule(
        "tests",
        Level.SILVER,
        "There are tests beside it (told of a checkout only)",
        "See docs/testing.md, or look at what arthexis plugins new writes",
        _tests,
    ),
    Rule(
        "typed",
        Level.GOLD,
        "Its hooks and handlers are annotated, and it ships py.typed",
        "Annotate them, put an empty py.typed into the package and name it in package_data",
        _typed,
    ),
    Rule(
        "public-face",
        Level.GOLD,
        "It imports of the host only arthexis and arthexis.testing",
        "Import the name from arthexis; what is not there is not promised and may change",
        _public_face,
    ),
    Rule(
        "modules-told",
        Level.GOLD,
        "Each of its modules opens by saying what it is for",
        "Begin each with a docstring",
        _modules_told,
    ),
    Rule(
        "changelog",
        Level.GOLD,
        "There is a changelog in its checkout, or a URL of one in its metadata",
        "Write CHANGELOG.md, or project_urls = Changelog = ...",
        _changelog,
    ),
    Rule(
        "real-tests",
        Level.GOLD,
        "A test of it runs a node",
        "Use the fixtures host and station of docs/testing.md",
        _real_tests,
    ),
    Rule(
        "all-typed",
        Level.PLATINUM,
        "Every function of it is annotated",
        "Run: mypy --strict",
        _everything_typed,
    ),
    Rule(
        "all-told",
        Level.PLATINUM,
        "Its README mentions each of its settings, commands, routes and notifiers",
        "Say there what each is for",
        _told_all,
    ),
    Rule(
        "checked",
        Level.PLATINUM,
        "Its tests run by themselves when it is changed (told of a checkout only)",
        "Add a workflow, such as the one that arthexis plugins new writes",
        _ci,
    ),
    Rule(
        "contact",
        Level.PLATINUM,
        "Its metadata say where it lives and where faults are reported",
        "Set url or project_urls in setup.cfg",
        _contact,
    ),
)
