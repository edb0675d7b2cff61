"""Assembly: from options, file, role and plugins to a node that is ready to start."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from arthexis import config, roles
from arthexis.clock import Clock
from arthexis.config import Configuration, Http, Node, Settings, Stations
from arthexis.errors import ArthexisError, ConfigError
from arthexis.host import Host
from arthexis.plugins.compose import Composition, Selection, compose
from arthexis.plugins.states import Plugin
from arthexis.plugins.trace import FORMAT

SAFE_MODE = "safe mode: no plugin runs. End it with: arthexis restart"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds to the configuration, for this run only."""

    config: Path | None = None
    home: Path | None = None
    host: str | None = None
    port: int | None = None
    open: bool = False
    strict: bool = False
    safe_mode: bool = False
    admit_pending_minutes: float = 0.0


def assemble(options: Options, clock: Clock | None = None) -> Host:
    """Read, choose, compose; raises ``ArthexisError`` where a node cannot even be put together."""
    configuration = config.load(options.config)
    installed = roles.installed()
    role = roles.chosen(configuration.settings.node, installed)
    line = roles.lineage(role, installed)
    roles.beneath(configuration, line)
    settings = _with_options(configuration.settings, options)
    selected = _nothing(line, settings.node) if options.safe_mode else roles.selection(line, settings.node)
    composition = composed(configuration, selected)
    host = _host(configuration, settings, composition, options, clock)
    host.role_name = role.name
    return host


def _nothing(line: list[roles.Role], node: Node) -> Selection:
    """The selection of safe mode: no plugin at all, and which of them it holds back, as far as that can be read."""
    try:
        chosen = roles.selection(line, node)
    except ArthexisError:
        return Selection(halted=(SAFE_MODE,))
    return Selection(halted=(SAFE_MODE,), held=chosen.plugins, disabled=chosen.disabled, by=chosen.by)


def plugins_of(configuration: Configuration) -> list[Plugin]:
    """The installed plugins; the settings of those that are on are known to the configuration from now on.

    Raises ``ConfigError``.
    """
    installed = roles.installed()
    node: Node = configuration.section("node", Node)
    line = roles.lineage(roles.chosen(node, installed), installed)
    roles.beneath(configuration, line)
    return composed(configuration, roles.selection(line, node)).plugins


def _host(
    configuration: Configuration, settings: Settings, composition: Composition, options: Options, clock: Clock | None
) -> Host:
    """The host itself; what it cannot do with a setting is said with the setting's place."""
    try:
        return Host(
            settings,
            composition,
            options.home or config.home(),
            open_mode=options.open,
            admit_pending_minutes=options.admit_pending_minutes,
            clock=clock,
        )
    except ConfigError as error:
        section, _, key = error.place.partition(".")
        raise ConfigError(error.problem, place=configuration.place(section, key), cure=error.cure) from None


def composed(configuration: Configuration, selected: Selection) -> Composition:
    """The composition of a selection; settings that nothing reads are noted, because a node must start at night too."""

    def changed(plugin: Plugin) -> None:
        log = logging.getLogger("arthexis.plugins")
        log.debug("%s is %s %s", plugin.full_name, plugin.state, plugin.reason, extra={"plugin": plugin.name})

    node: Node = configuration.section("node", Node)
    composition = compose(selected, configuration.of_plugin, on_change=changed, patience_s=node.plugin_timeout_s)
    composition.notices += configuration.notices(composition.plugins)
    return composition


def _with_options(settings: Settings, options: Options) -> Settings:
    http: Http = settings.http
    if options.host is not None:
        http = msgspec.structs.replace(http, host=options.host)
    if options.port is not None:
        http = msgspec.structs.replace(http, port=options.port)
    stations: Stations = settings.stations
    if options.strict:
        stations = msgspec.structs.replace(stations, mode="strict")
    return msgspec.structs.replace(settings, http=http, stations=stations)


def configure_logging(settings: Settings) -> None:
    """Log to standard error; the level is the configuration's or ``ARTHEXIS_LOG``'s."""
    name = os.environ.get("ARTHEXIS_LOG", settings.log.level)
    logging.basicConfig(level=name.upper(), format=FORMAT)
