"""The score of a plugin: its facts are gathered, its probes run one after the other, its rules looked at.

Every probe is a process of its own with a time-out, in an empty folder. Whatever a plugin does there (ends it, hangs,
asserts, floods its output, starts processes) is at most a rule that does not hold.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import tomlkit

from arthexis import roles, system
from arthexis.errors import NotFound, PluginError
from arthexis.plugins.contain import attempt, told
from arthexis.plugins.discover import GROUP, Declared, discover, entry_points, normal
from arthexis.plugins.patterns import matching
from arthexis.plugins.states import Plugin
from arthexis.quality import probe
from arthexis.quality.facts import Facts
from arthexis.quality.rules import RULES, Level, Rule, Skipped

PATIENCE_S = 10.0
START_S = 20.0
LEFT_S = 2.0
KEPT = 4096
SHOWN = 120
TOGETHER = 14
TOGETHER_STEPS = ("composes", "migrates", "restarts")
Seen = dict[str, Any] | str
SKIPPED, PASSED, FAILED = "does not apply", "passed", "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """One rule as it came out: ``passed``, ``failed`` or ``does not apply``, and why."""

    rule: Rule
    result: str
    said: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON shows it; a cure only where there is something to cure."""
        cure = self.rule.cure if self.result == FAILED else ""
        shown = {"rule": self.rule.name, "level": self.rule.level.value, "result": self.result}
        return {**shown, "says": self.rule.says, "said": self.said, "cure": cure}


@dataclass(frozen=True, slots=True)
class Score:
    """What was looked at, and how each rule came out."""

    name: str
    distribution: str
    version: str
    plugins: list[str]
    results: list[Result]

    @property
    def level(self) -> Level | None:
        """The highest rung whose rules, and those of all below, hold; None where not even Bronze does."""
        reached = None
        for level in Level:
            if any(r.result == FAILED for r in self.results if r.rule.level is level):
                break
            reached = level
        return reached

    def reaches(self, wanted: Level) -> bool:
        """Whether the level is this one or higher."""
        order = list(Level)
        return self.level is not None and order.index(self.level) >= order.index(wanted)

    @property
    def counted(self) -> list[Result]:
        """The rules that count for this plugin."""
        return [result for result in self.results if result.result != SKIPPED]

    @property
    def passed(self) -> int:
        """How many of them hold."""
        return sum(result.result == PASSED for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """The score as JSON shows it."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "plugins": self.plugins,
            "level": self.level.value if self.level is not None else None,
            "passed": self.passed,
            "of": len(self.counted),
            "rules": [result.to_dict() for result in self.results],
        }


def score(name: str, *, settings: dict[str, Any] | None = None, patience_s: float = PATIENCE_S) -> Score:
    """Measure a plugin, or all of a distribution; raises ``PluginError`` where there is none of this name, or several.

    ``settings`` are sections of plugins (``{"acme": {"port": 5}}``) to run them with; without, they run on defaults.
    ``patience_s``: how long an import, a start or an end may take.
    """
    facts = _facts(name)
    facts.probes = Probes(facts.plugins, settings or {}, patience_s).run()
    results = [_looked(rule, facts) for rule in RULES]
    return Score(name, facts.name, facts.version, [plugin.name for plugin in facts.plugins], results)


def _looked(rule: Rule, facts: Facts) -> Result:
    verdict, error = attempt(rule.check, facts)
    if error is not None:
        return Result(rule, FAILED, f"it cannot be looked at: {told(error)}")
    if isinstance(verdict, Skipped):
        return Result(rule, SKIPPED, verdict.why)
    return Result(rule, PASSED) if verdict is None else Result(rule, FAILED, verdict)


# ---------------------------------------------------------------------- what is looked at


def _facts(name: str) -> Facts:
    """The distribution that a name means, and which of its plugins."""
    everything = discover()
    of_roles = entry_points(roles.GROUP)
    found = [p for p in everything if name in {p.name, p.full_name} or normal(name) == p.distribution]
    found = found or [plugin for plugin in everything if matching(plugin, [name])]
    owners = {plugin.distribution for plugin in found} or {
        d.distribution for d in of_roles if d.distribution == normal(name)
    }
    if len(owners) > 1:
        cure = f"Say {' or '.join(sorted(plugin.full_name for plugin in found))}"
        raise PluginError(f"{name} comes from several distributions", place="plugins check", cure=cure)
    if not owners:
        names = [n for plugin in everything for n in (plugin.name, plugin.full_name, plugin.distribution)]
        of_role = [d.distribution for d in of_roles if d.point.name == name]
        close = of_role or difflib.get_close_matches(name, [*names, *(d.distribution for d in of_roles)], 1)
        cure = f"Did you mean {close[0]}?" if close else "See `arthexis plugins list`"
        raise NotFound(f"no plugin {name} is installed", place="plugins check", cure=cure)
    return _of(owners.pop(), found, everything, of_roles)


def _of(owner: str, found: list[Plugin], everything: list[Plugin], of_roles: list[Declared]) -> Facts:
    ours = [declared for declared in of_roles if declared.distribution == owner]
    [first, *_] = [d for d in (*entry_points(GROUP), *ours) if d.distribution == owner]
    others = {
        p.target.partition(":")[0].partition(".")[0]: p.distribution for p in everything if p.distribution != owner
    }
    installed = roles.installed()
    problems = [
        f"role {d.point.name}: {installed[d.point.name].problem}" for d in ours if installed[d.point.name].problem
    ]
    targets = [declared.point.value for declared in ours]
    return Facts(owner, first.version, first.installed, found, targets, problems, others)


# ---------------------------------------------------------------------- processes


class Probes:
    """The processes that run plugins, and what became of each."""

    def __init__(self, plugins: Sequence[Plugin], settings: dict[str, Any], patience_s: float) -> None:
        """Run these, each step for so long."""
        self._plugins = plugins
        self._settings = tomlkit.dumps({"plugins": settings}) if settings else ""
        self._patience_s = patience_s

    def run(self) -> dict[str, Seen]:
        """Every step that makes sense; the one that brought nothing is a text that says why."""
        found: dict[str, Seen] = {}
        with tempfile.TemporaryDirectory(prefix="arthexis-check-", ignore_cleanup_errors=True) as folder:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                imports = {plugin.name: pool.submit(self._import, plugin, Path(folder)) for plugin in self._plugins}
                found.update({f"imports {name}": step.result() for name, step in imports.items()})
            if found and all(isinstance(seen, dict) and not seen["error"] for seen in found.values()):
                patience_s = START_S + TOGETHER * self._patience_s
                found.update(self._process(TOGETHER_STEPS, self._plugins, Path(folder) / "node", patience_s))
        return found

    def _import(self, plugin: Plugin, folder: Path) -> Seen:
        return self._process(["imports"], [plugin], folder / "imports" / plugin.name, self._patience_s)["imports"]

    def _process(
        self, steps: Sequence[str], plugins: Sequence[Plugin], folder: Path, within_s: float
    ) -> dict[str, Seen]:
        """Run steps in a process and a folder of their own; what each brought, and why the first that did not."""
        folder.mkdir(parents=True)
        plan = {
            "plugins": [[plugin.name, plugin.target] for plugin in plugins],
            "names": [plugin.full_name for plugin in plugins],
            "patience_s": self._patience_s,
            "settings": self._settings,
        }
        (folder / "plan.json").write_text(json.dumps(plan), "utf-8")
        printed = Printed()
        ended = _ended(steps, folder, printed, within_s)
        found: dict[str, Seen] = {}
        for step in steps:
            seen, error = attempt(lambda file=folder / f"{step}.json": json.loads(file.read_text("utf-8")))
            if error is None and isinstance(seen, dict):
                found[step] = {**seen, "printed": printed.first}
            elif ended and step in _next(steps, found):
                found[step] = f"{ended}: {printed.last}" if printed.last else ended
                break
        return found


def _next(steps: Sequence[str], found: Mapping[str, Seen]) -> list[str]:
    """Which step a process was at, with these behind it."""
    composed = found.get("composes")
    without = {"migrates"} if isinstance(composed, dict) and not composed["tables"] else set[str]()
    return [step for step in steps if step not in found and step not in without][:1]


class Printed:
    """What a process prints: its beginning and its end are kept, whatever comes between is let go."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._head = self._tail = b""

    def read(self, pipe: IO[bytes]) -> None:
        """Read until nobody can print any more."""
        while piece := pipe.read1(KEPT):  # type: ignore[attr-defined]
            self._head = (self._head + piece)[:KEPT] if len(self._head) < KEPT else self._head
            self._tail = (self._tail + piece)[-KEPT:]
        pipe.close()

    @property
    def first(self) -> str:
        """The beginning, in a few words."""
        return self._head.decode("utf-8", "replace").strip()[:SHOWN]

    @property
    def last(self) -> str:
        """The last line."""
        lines = self._tail.decode("utf-8", "replace").split("\n")
        return next((line.strip()[:SHOWN] for line in reversed(lines) if line.strip()), "")


def _ended(steps: Sequence[str], folder: Path, printed: Printed, within_s: float) -> str:
    """Run a probe until it ends, and not longer than so many seconds; how it ended, empty where it came to its end."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ARTHEXIS")}
    process = subprocess.Popen(
        [sys.executable, "-m", probe.__name__, str(folder), *steps],
        cwd=folder,
        env={**environ, "ARTHEXIS_HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    reader = threading.Thread(target=printed.read, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        status = process.wait(within_s)
    except subprocess.TimeoutExpired:
        return f"it hangs: no end within {within_s:g} s"
    finally:
        system.end_group(process)
        reader.join(LEFT_S)
    came_to_its_end = status == 0 and (folder / probe.DONE).exists()
    return "" if came_to_its_end else f"it ended the process with status {status}"
