"""Discovery: stevedore over the installed distributions. Everything is listed, only what was selected is imported.

stevedore's own cache is not used, because it loses distributions; its loader is replaced, because it lets SystemExit
and AssertionError through, would import before it asks, and waits for ever for an import that hangs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from importlib.metadata import Distribution, EntryPoint, distributions
from types import ModuleType
from typing import Any, NamedTuple, cast

from stevedore import NamedExtensionManager
from stevedore.extension import Extension

from arthexis.plugins.compatibility import needed
from arthexis.plugins.contain import attempt, attempt_within, fits, told
from arthexis.plugins.states import Plugin

log = logging.getLogger("arthexis.plugins")

GROUP = "arthexis.plugins"


class Declared(NamedTuple):
    """An entry point, the distribution that declares it, and what that one requires (``Requires-Dist``, verbatim)."""

    point: EntryPoint
    distribution: str
    version: str
    installed: Distribution
    requires: tuple[str, ...]


def normal(distribution: str) -> str:
    """A distribution's name as all spellings of it compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def entry_points(group: str) -> list[Declared]:
    """Every entry point of a group with its distribution; of a shadowed distribution the first only.

    A distribution whose metadata cannot be read is left out and logged: it must not keep others from being found.
    """
    found: list[Declared] = []
    seen: set[str] = set()
    for distribution in distributions():
        declared, error = attempt(_declared, distribution, group)
        if error is not None:
            log.warning("a distribution cannot be read: %s", told(error))
        elif declared and declared[0].distribution not in seen:
            seen.add(declared[0].distribution)
            found += declared
    return found


def _declared(distribution: Distribution, group: str) -> list[Declared]:
    """The entry points of a group that a distribution declares."""
    text = distribution.read_text("entry_points.txt")
    if not text or group not in text:
        return []
    metadata = distribution.metadata
    name, version = normal(metadata["Name"]), metadata["Version"] or "?"
    requires = tuple(metadata.get_all("Requires-Dist") or distribution.requires or ())
    points = [point for point in distribution.entry_points if point.group == group]
    return [Declared(point, name, version, distribution, requires) for point in points]


class Plugins(NamedExtensionManager[Any]):
    """stevedore's manager, told which entry points there are and which of them may be imported."""

    def __init__(
        self, plugins: Iterable[Plugin], failed: Callable[[Plugin, BaseException], None], patience_s: float
    ) -> None:
        """Import these plugins; ``failed`` is told of each that cannot be, also of one that takes too long."""
        self.selected = list(plugins)
        self._failed = failed
        self._patience_s = patience_s
        super().__init__(GROUP, [plugin.name for plugin in self.selected], invoke_on_load=False)

    def list_entry_points(self) -> list[EntryPoint]:
        """The selected entry points, not what a cache remembers."""
        return [EntryPoint(plugin.name, plugin.target, GROUP) for plugin in self.selected]

    def _load_plugins(self, *args: object, **kwargs: object) -> list[Extension[Any]]:
        """Import one after the other; whatever an import does stays with its plugin."""
        loaded: list[Extension[Any]] = []
        for plugin, point in zip(self.selected, self.list_entry_points(), strict=True):
            module, error = attempt_within(self._patience_s, point.load)
            if error is not None or not fits(module, ModuleType):
                self._failed(plugin, error or TypeError(f"{plugin.target} is no module"))
                continue
            plugin.module = module
            loaded.append(Extension(plugin.name, point, cast("Any", module), None))
        return loaded


def discover() -> list[Plugin]:
    """Every plugin that is installed, by name; nothing is imported."""
    found = [
        Plugin(point.name, name, version, point.value, installed=installed, needs_host=needed(requires))
        for point, name, version, installed, requires in entry_points(GROUP)
    ]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))
