"""Composition: from a list of names to plugins that are imported, registered and configured, and what they contribute.

Nothing here raises for a plugin's sake. A plugin that fails says where, why and what to do; a required one that fails
puts the node in recovery: pages and commands, no stations.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from arthexis.config import Notice
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
from arthexis.plugins import trace
from arthexis.plugins.contain import attempt, told
from arthexis.plugins.discover import Plugins, discover
from arthexis.plugins.patterns import Pin, matching
from arthexis.plugins.registry import KINDS, Implementation, Registry
from arthexis.plugins.states import Plugin, State
from arthexis.plugins.trust import hold_back

C = TypeVar("C")
PATIENCE_S = 10.0
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
    "on_tag_scanned",
    "on_message",
    "on_plugin_changed",
    "lifespan",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which plugins are wanted: patterns ``distribution:name``, where only the name may hold wildcards.

    ``named``: what the operator wrote himself, and wants to hear of if it is not there. ``halted``: why stations are
    not to be served at all. ``held``: what safe mode holds back. ``by``: each pattern and where it is written.
    ``pins``: the last that matches counts.
    """

    plugins: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    halted: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    by: tuple[tuple[str, str], ...] = ()
    pins: tuple[Pin, ...] = ()


@dataclass(slots=True)
class Composition:
    """All plugins with their states, what they contribute, and each hook as a tuple.

    ``halted`` says why stations are not served whatever the plugins do; ``notices`` what nobody should miss.
    """

    plugins: list[Plugin] = field(default_factory=list)
    contributions: dict[str, list[tuple[Plugin, Any]]] = field(default_factory=dict)
    hooks: dict[str, tuple[Implementation, ...]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    halted: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

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

    def of_kind(self, kind: type[C]) -> list[tuple[Plugin, C]]:
        """All contributions of a kind (a class of ``arthexis.contributions``), each with its plugin."""
        hook = next((hook for hook, (yielded, _) in KINDS.items() if yielded is kind), "")
        return self.contributions.get(hook, [])

    @property
    def recovery(self) -> list[str]:
        """Why the node cannot serve stations: each required plugin that is missing or failed."""
        failed = [
            f"{p.full_name} {p.state}: {p.reason}" for p in self.plugins if p.required and p.state is State.FAILED
        ]
        return [*self.halted, *(f"{pattern} is not installed" for pattern in self.missing), *failed]

    def named(self, name: str) -> list[Plugin]:
        """The plugins of this name or ``distribution:name``."""
        return [plugin for plugin in self.plugins if name in {plugin.name, plugin.full_name}]


def compose(
    selection: Selection,
    configure: Callable[[Plugin, type | None], Any],
    *,
    found: Sequence[Plugin] | None = None,
    on_change: Callable[[Plugin], None] | None = None,
    patience_s: float = PATIENCE_S,
) -> Composition:
    """Take every selected plugin as far as ``configured``; an import or a hook may take ``patience_s`` seconds.

    ``configure`` turns a plugin and its settings Struct into settings, or raises ``ConfigError``.
    """
    composition = Composition(list(discover() if found is None else found), halted=list(selection.halted))
    for plugin in composition.plugins:
        plugin.on_change = on_change
    _select(composition, selection)
    _refuse_twins(composition)
    composition.notices += hold_back(_at(composition, State.SELECTED), selection.pins)
    _import(composition, patience_s)
    registry = Registry(patience_s)
    for plugin in _at(composition, State.IMPORTED):
        registry.register(plugin)
    composition.notices += [_retirement(plugin, said) for plugin in composition.plugins for said in plugin.retired]
    _configure(composition, registry, configure)
    for hook in KINDS:
        composition.contributions[hook] = registry.collect(hook)
    _check_tables(composition, registry)
    standing = {plugin.full_name for plugin in _at(composition, State.CONFIGURED)}
    for hook, found_here in composition.contributions.items():
        composition.contributions[hook] = [(p, c) for p, c in found_here if p.full_name in standing]
    composition.hooks = {hook: registry.implementations(hook) for hook in HOOKS}
    if trace.wanted():
        _trace(composition)
    return composition


def newcomers(composition: Composition) -> list[Plugin]:
    """Plugins that were installed since this composition was made; nothing of them is imported."""
    known = {plugin.full_name for plugin in composition.plugins}
    found = [plugin for plugin in discover() if plugin.full_name not in known]
    for plugin in found:
        cure = f"Run: arthexis plugins enable {plugin.full_name}, then: arthexis restart"
        plugin.rest(State.FOUND, "installed since the node started", cure)
    return found


def _retirement(plugin: Plugin, said: str) -> Notice:
    """What an operator is told of a plugin that a later host will not understand."""
    cure = f"Before the host is upgraded, run: arthexis plugins install --upgrade {plugin.distribution}"
    return Notice(f"{plugin.full_name} {plugin.version}: {said}", cure)


def _trace(composition: Composition) -> None:
    """Put the functions that the node will call behind ones that write each call to the log."""
    for hook, found in composition.contributions.items():
        composition.contributions[hook] = [(plugin, trace.traced_contribution(plugin, c)) for plugin, c in found]
    for hook, implementations in composition.hooks.items():
        composition.hooks[hook] = tuple((p, trace.traced_hook(p, hook, fn)) for p, fn in implementations)


def _check_tables(composition: Composition, registry: Registry) -> None:
    """Refuse migrations that are not there, and a second folder of them in one distribution."""
    folders: dict[str, str] = {}
    for plugin, tables in composition.tables:
        package, _, folder = tables.migrations.partition(":")
        first = folders.setdefault(plugin.distribution, tables.migrations)
        path, _ = attempt(lambda name=package, inside=folder: Path(str(files(name).joinpath(inside))))
        if path is None or not path.is_dir():
            problem, cure = (
                f"there is no folder {folder} in {package}",
                plugin.or_off("Name the folder of its revisions"),
            )
        elif first != tables.migrations:
            problem = f"{plugin.distribution} has its migrations in {first} already"
            cure = plugin.or_off("Keep all revisions of a distribution in one folder")
        else:
            continue
        plugin.fail(State.REGISTERED, f"register_tables: {problem}", cure)
        registry.remove(plugin)


def _at(composition: Composition, state: State) -> list[Plugin]:
    return [plugin for plugin in composition.plugins if plugin.state is state]


def _select(composition: Composition, selection: Selection) -> None:
    for plugin in composition.plugins:
        plugin.required = matching(plugin, selection.required)
        plugin.chosen_by = ", ".join(dict.fromkeys(who for p, who in selection.by if matching(plugin, [p])))
        plugin.pin = next((pin.version for pin in reversed(selection.pins) if matching(plugin, [pin.pattern])), "")
        if matching(plugin, selection.held) and not matching(plugin, selection.disabled):
            plugin.rest(State.FOUND, "safe mode", "Run: arthexis restart")
        elif not matching(plugin, selection.plugins):
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
    installed = [plugin.full_name for plugin in composition.plugins]
    for pattern in selection.named:
        if not any(matching(plugin, [pattern]) for plugin in composition.plugins):
            close = difflib.get_close_matches(pattern, installed, 1)
            install = f"Run: arthexis plugins install {pattern.partition(':')[0]}"
            cure = f"Did you mean {close[0]}?" if close else install
            composition.notices.append(Notice(f"{pattern} is named in the configuration and not installed", cure))


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


def _import(composition: Composition, patience_s: float) -> None:
    def failed(plugin: Plugin, error: BaseException) -> None:
        plugin.fail(
            State.IMPORTED,
            f"its import failed: {told(error)}",
            f"Mend it, or run: arthexis plugins disable {plugin.full_name}",
        )

    selected = _at(composition, State.SELECTED)
    Plugins(selected, failed, patience_s)
    for plugin in selected:
        if plugin.module is not None:
            plugin.climb(State.IMPORTED)


def _configure(composition: Composition, registry: Registry, configure: Callable[[Plugin, type | None], Any]) -> None:
    structs = {plugin.full_name: config.struct for plugin, config in registry.collect("register_config")}
    for plugin in _at(composition, State.REGISTERED):
        plugin.settings, error = attempt(configure, plugin, structs.get(plugin.full_name))
        if error is None:
            plugin.climb(State.CONFIGURED)
            continue
        registry.remove(plugin)
        if isinstance(error, ConfigError):
            plugin.fail(State.CONFIGURED, f"config {error.place}: {error.problem}", error.cure)
        else:
            cure = f"Mend it, or run: arthexis plugins disable {plugin.full_name}"
            plugin.fail(State.CONFIGURED, f"its settings cannot be read: {told(error)}", cure)
