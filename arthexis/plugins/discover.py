"""Discovery: stevedore over the installed distributions. Everything is listed, only what was selected is imported.

stevedore's own cache is not used, because it loses distributions; its loader is called name by name, because it
lets SystemExit and AssertionError through and would import before it asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, distributions
from types import ModuleType
from typing import Any, cast

from stevedore import NamedExtensionManager
from stevedore.extension import Extension

from arthexis.plugins.contain import attempt
from arthexis.plugins.states import Plugin

GROUP = "arthexis.plugins"


def normal(distribution: str) -> str:
    """A distribution's name as all spellings of it compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def entry_points(group: str) -> list[tuple[EntryPoint, str, str]]:
    """Every entry point of a group with its distribution and version; of a shadowed distribution the first only."""
    found: list[tuple[EntryPoint, str, str]] = []
    seen: set[str] = set()
    for distribution in distributions():
        declared = distribution.read_text("entry_points.txt")
        if not declared or group not in declared:
            continue
        name = normal(distribution.metadata["Name"])
        if name not in seen:
            seen.add(name)
            found += [
                (point, name, distribution.version) for point in distribution.entry_points if point.group == group
            ]
    return found


class Plugins(NamedExtensionManager[Any]):
    """stevedore's manager, told which entry points there are and which of them may be imported."""

    def __init__(self, plugins: Iterable[Plugin], found: Callable[[Plugin, BaseException], None]) -> None:
        """Import these plugins; ``found`` is told of each that cannot be."""
        self.selected = list(plugins)
        self._failed = found
        super().__init__(GROUP, [plugin.name for plugin in self.selected], invoke_on_load=False)

    def list_entry_points(self) -> list[EntryPoint]:
        """The selected entry points, not what a cache remembers."""
        return [EntryPoint(plugin.name, plugin.target, GROUP) for plugin in self.selected]

    def _load_plugins(self, *args: object, **kwargs: object) -> list[Extension[Any]]:
        """Import one after the other; whatever an import does stays with its plugin."""
        loaded: list[Extension[Any]] = []
        for plugin, point in zip(self.selected, self.list_entry_points(), strict=True):
            module, error = attempt(point.load)
            if error is not None or not isinstance(module, ModuleType):
                self._failed(plugin, error or TypeError(f"{plugin.target} is no module"))
                continue
            plugin.module = module
            loaded.append(Extension(plugin.name, point, cast("Any", module), None))
        return loaded


def discover() -> list[Plugin]:
    """Every plugin that is installed, by name; nothing is imported."""
    found = [Plugin(point.name, name, version, point.value) for point, name, version in entry_points(GROUP)]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))
