"""Composition: from a list of names to plugins that are imported, registered and configured, and what they contribute.

Nothing here raises for a plugin's sake. A plugin that fails says where, why and what to do; a required one that fails
puts the node in recovery: pages and commands, no stations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from arthexis.contributions import (
    Action,
    Command,
    DataTransfer,
    Diagnosis,
    Job,
    Operation,
    Protocol,
    Route,
    Service,
    Subscriber,
    Tables,
)
from arthexis.errors import ConfigError
from arthexis.plugins.discover import Plugins, discover, normal
from arthexis.plugins.registry import KINDS, Implementation, Registry
from arthexis.plugins.states import Plugin, State

HOOKS = (
    "decide_connection",
    "decide_boot",
    "decide_authorization",
    "decide_connector",
    "on_connected",
    "on_disconnected",
    "on_booted",
    "on_status_changed",
    "on_transaction_started",
    "on_transaction_metered",
    "on_transaction_stopped",
    "on_operation_finished",
    "on_reservation_changed",
    "on_message",
    "on_plugin_changed",
    "lifespan",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which plugins are wanted: patterns ``distribution:name``, where only the name may hold wildcards."""

    plugins: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


@dataclass(slots=True)
class Composition:
    """All plugins with their states, what they contribute, and each hook as a tuple."""

    plugins: list[Plugin] = field(default_factory=list)
    contributions: dict[str, list[tuple[Plugin, Any]]] = field(default_factory=dict)
    hooks: dict[str, tuple[Implementation, ...]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def protocols(self) -> list[tuple[Plugin, Protocol]]:
        """The protocol versions."""
        return self.contributions.get("register_protocols", [])

    @property
    def actions(self) -> list[tuple[Plugin, Action]]:
        """The actions that stations may call."""
        return self.contributions.get("register_actions", [])

    @property
    def operations(self) -> list[tuple[Plugin, Operation]]:
        """What stations can be told."""
        return self.contributions.get("register_operations", [])

    @property
    def data_transfers(self) -> list[tuple[Plugin, DataTransfer]]:
        """The vendors' messages."""
        return self.contributions.get("register_data_transfers", [])

    @property
    def services(self) -> list[tuple[Plugin, Service]]:
        """What plugins offer each other."""
        return self.contributions.get("register_services", [])

    @property
    def tables(self) -> list[tuple[Plugin, Tables]]:
        """The plugins' own tables."""
        return self.contributions.get("register_tables", [])

    @property
    def commands(self) -> list[tuple[Plugin, Command]]:
        """Commands beside the host's."""
        return self.contributions.get("register_commands", [])

    @property
    def routes(self) -> list[tuple[Plugin, Route]]:
        """HTTP routes below ``/api/v1``."""
        return self.contributions.get("register_routes", [])

    @property
    def subscribers(self) -> list[tuple[Plugin, Subscriber]]:
        """Durable readers of events."""
        return self.contributions.get("register_subscribers", [])

    @property
    def jobs(self) -> list[tuple[Plugin, Job]]:
        """Work that is done later or regularly."""
        return self.contributions.get("register_jobs", [])

    @property
    def diagnoses(self) -> list[tuple[Plugin, Diagnosis]]:
        """What plugins know of a station."""
        return self.contributions.get("register_diagnoses", [])

    @property
    def recovery(self) -> list[str]:
        """Why the node cannot serve stations: each required plugin that is missing or failed."""
        failed = [
            f"{p.full_name} {p.state}: {p.reason}" for p in self.plugins if p.required and p.state is State.FAILED
        ]
        return [f"{pattern} is not installed" for pattern in self.missing] + failed

    def named(self, name: str) -> list[Plugin]:
        """The plugins of this name or ``distribution:name``."""
        return [plugin for plugin in self.plugins if name in {plugin.name, plugin.full_name}]


def checked(pattern: str, place: str) -> str:
    """A pattern ``distribution:name`` in its normal form; raises ``ConfigError``."""
    distribution, colon, name = pattern.partition(":")
    if not colon or not name or not distribution or any(c in distribution for c in "*?["):
        raise ConfigError(
            f"{pattern!r} names no plugin",
            place=place,
            cure="Write distribution:name, for example arthexis-ocpp16:ocpp16.heartbeat or arthexis-ocpp16:*",
        )
    return f"{normal(distribution)}:{name}"


def matching(plugin: Plugin, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns means this plugin."""
    return any(fnmatchcase(plugin.full_name, pattern) for pattern in patterns)


def compose(
    selection: Selection,
    configure: Callable[[Plugin, type | None], Any],
    *,
    found: Sequence[Plugin] | None = None,
    on_change: Callable[[Plugin], None] | None = None,
) -> Composition:
    """Take every selected plugin as far as ``configured``.

    ``configure`` turns a plugin and its settings Struct into settings, or raises ``ConfigError``.
    """
    composition = Composition(list(discover() if found is None else found))
    for plugin in composition.plugins:
        plugin.on_change = on_change
    _select(composition, selection)
    _refuse_twins(composition)
    _import(composition)
    registry = Registry()
    for plugin in _at(composition, State.IMPORTED):
        registry.register(plugin)
    _configure(composition, registry, configure)
    for hook in KINDS:
        composition.contributions[hook] = registry.collect(hook)
    standing = {plugin.full_name for plugin in _at(composition, State.CONFIGURED)}
    for hook, found_here in composition.contributions.items():
        composition.contributions[hook] = [(p, c) for p, c in found_here if p.full_name in standing]
    composition.hooks = {hook: registry.implementations(hook) for hook in HOOKS}
    return composition


def _at(composition: Composition, state: State) -> list[Plugin]:
    return [plugin for plugin in composition.plugins if plugin.state is state]


def _select(composition: Composition, selection: Selection) -> None:
    for plugin in composition.plugins:
        plugin.required = matching(plugin, selection.required)
        if not matching(plugin, selection.plugins):
            plugin.cure = f"Run: arthexis plugins enable {plugin.full_name}"
        elif matching(plugin, selection.disabled):
            plugin.rest(State.OFF, "disabled", f"Run: arthexis plugins enable {plugin.full_name}")
        else:
            plugin.climb(State.SELECTED)
    composition.missing = [
        pattern
        for pattern in selection.required
        if not any(matching(plugin, [pattern]) for plugin in composition.plugins)
    ]


def _refuse_twins(composition: Composition) -> None:
    """Two distributions with the same plugin name, both selected: neither is imported."""
    names: dict[str, list[Plugin]] = {}
    for plugin in _at(composition, State.SELECTED):
        names.setdefault(plugin.name, []).append(plugin)
    for twins in names.values():
        for plugin in twins if len(twins) > 1 else ():
            others = ", ".join(twin.full_name for twin in twins if twin is not plugin)
            plugin.fail(
                State.IMPORTED,
                f"{plugin.full_name} and {others} have the same name",
                f"Choose one: arthexis plugins enable {plugin.full_name} --instead-of {others}",
            )


def _import(composition: Composition) -> None:
    def failed(plugin: Plugin, error: BaseException) -> None:
        plugin.fail(
            State.IMPORTED,
            f"its import failed: {type(error).__name__}: {error}",
            f"Mend it, or run: arthexis plugins disable {plugin.full_name}",
        )

    selected = _at(composition, State.SELECTED)
    Plugins(selected, failed)
    for plugin in selected:
        if plugin.module is not None:
            plugin.climb(State.IMPORTED)


def _configure(composition: Composition, registry: Registry, configure: Callable[[Plugin, type | None], Any]) -> None:
    structs = {plugin.full_name: config.struct for plugin, config in registry.collect("register_config")}
    for plugin in _at(composition, State.REGISTERED):
        try:
            plugin.settings = configure(plugin, structs.get(plugin.full_name))
        except ConfigError as error:
            registry.remove(plugin)
            problem = f"config {error.place}: {error.problem}" if error.place else error.problem
            plugin.fail(State.CONFIGURED, problem, error.cure)
        else:
            plugin.climb(State.CONFIGURED)
