"""Arthexis: an open charging central system, composed from plugins.

Everything a plugin author imports is here, resolved when it is first asked for, and nothing else is promised.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arthexis import outbound
    from arthexis.charging import connectors, meter_values, reservations, stations, tag_lists, tags, transactions
    from arthexis.charging.decisions import Admission, Authorization, ConnectionRequest, Registration
    from arthexis.charging.meter_values import Reading
    from arthexis.charging.receipts import Receipt
    from arthexis.charging.station import Station
    from arthexis.charging.tables import station as station_table
    from arthexis.charging.tables import transaction as transaction_table
    from arthexis.charging.times import format_utc, parse_utc
    from arthexis.cli import show
    from arthexis.cli.node_access import ask, call_api, node_url, settings_of
    from arthexis.cli.tags import import_tags
    from arthexis.clock import Clock
    from arthexis.contributions import (
        Action,
        Answer,
        ApiRequest,
        Asked,
        Command,
        Config,
        DataTransfer,
        Diagnosis,
        Ended,
        Fault,
        Finding,
        FollowUp,
        Job,
        Message,
        Notifier,
        Operation,
        Protocol,
        Route,
        Seen,
        Service,
        Subscriber,
        Tables,
    )
    from arthexis.db.events import Event
    from arthexis.db.statements import Connection, Prepared
    from arthexis.db.types import UtcDateTime
    from arthexis.errors import (
        ArthexisError,
        ConfigError,
        DomainError,
        Invalid,
        NotFound,
        PluginError,
        Reject,
        Unavailable,
    )
    from arthexis.hookspecs import hookimpl
    from arthexis.host import Host
    from arthexis.lifespans import Context
    from arthexis.ocppj.calls import CallFailed
    from arthexis.ocppj.inbound import Call
    from arthexis.operations import Wish
    from arthexis.plugins.states import Plugin
    from arthexis.services import PRIORITIES, FileStore, Notification, Notifications, StationConfiguration
    from arthexis.values import Secret

__version__ = "0.1.0"

_HOMES = {
    "arthexis": ("outbound",),
    "arthexis.charging": (
        "connectors",
        "meter_values",
        "reservations",
        "stations",
        "tag_lists",
        "tags",
        "transactions",
    ),
    "arthexis.charging.decisions": ("Admission", "Authorization", "ConnectionRequest", "Registration"),
    "arthexis.charging.meter_values": ("Reading",),
    "arthexis.charging.receipts": ("Receipt",),
    "arthexis.charging.station": ("Station",),
    "arthexis.charging.tables": ("station_table", "transaction_table"),
    "arthexis.charging.times": ("format_utc", "parse_utc"),
    "arthexis.cli": ("show",),
    "arthexis.cli.node_access": ("ask", "call_api", "node_url", "settings_of"),
    "arthexis.cli.tags": ("import_tags",),
    "arthexis.clock": ("Clock",),
    "arthexis.contributions": (
        "Action",
        "Answer",
        "ApiRequest",
        "Asked",
        "Command",
        "Config",
        "DataTransfer",
        "Diagnosis",
        "Ended",
        "Fault",
        "Finding",
        "FollowUp",
        "Job",
        "Message",
        "Notifier",
        "Operation",
        "Protocol",
        "Route",
        "Seen",
        "Service",
        "Subscriber",
        "Tables",
    ),
    "arthexis.db.events": ("Event",),
    "arthexis.db.statements": ("Connection", "Prepared"),
    "arthexis.db.types": ("UtcDateTime",),
    "arthexis.errors": (
        "ArthexisError",
        "ConfigError",
        "DomainError",
        "Invalid",
        "NotFound",
        "PluginError",
        "Reject",
        "Unavailable",
    ),
    "arthexis.hookspecs": ("hookimpl",),
    "arthexis.host": ("Host",),
    "arthexis.lifespans": ("Context",),
    "arthexis.ocppj.calls": ("CallFailed",),
    "arthexis.ocppj.inbound": ("Call",),
    "arthexis.operations": ("Wish",),
    "arthexis.plugins.states": ("Plugin",),
    "arthexis.services": ("PRIORITIES", "FileStore", "Notification", "Notifications", "StationConfiguration"),
    "arthexis.values": ("Secret",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "Admission",
    "Answer",
    "ApiRequest",
    "ArthexisError",
    "Asked",
    "Authorization",
    "Call",
    "CallFailed",
    "Clock",
    "Command",
    "Config",
    "ConfigError",
    "Connection",
    "ConnectionRequest",
    "Context",
    "DataTransfer",
    "Diagnosis",
    "DomainError",
    "Ended",
    "Event",
    "Fault",
    "FileStore",
    "Finding",
    "FollowUp",
    "Host",
    "Invalid",
    "Job",
    "Message",
    "NotFound",
    "Notification",
    "Notifications",
    "Notifier",
    "Operation",
    "PRIORITIES",
    "Plugin",
    "PluginError",
    "Prepared",
    "Protocol",
    "Reading",
    "Receipt",
    "Registration",
    "Reject",
    "Route",
    "Secret",
    "Seen",
    "Service",
    "Station",
    "StationConfiguration",
    "Subscriber",
    "Tables",
    "Unavailable",
    "UtcDateTime",
    "Wish",
    "ask",
    "call_api",
    "connectors",
    "format_utc",
    "hookimpl",
    "import_tags",
    "meter_values",
    "node_url",
    "outbound",
    "parse_utc",
    "reservations",
    "settings_of",
    "show",
    "station_table",
    "stations",
    "tag_lists",
    "tags",
    "transaction_table",
    "transactions",
]


def __getattr__(name: str) -> Any:
    """Resolve a public name when it is first asked for, so that importing a plugin costs little."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"arthexis has no public name {name!r}")
    if home in {"arthexis", "arthexis.charging", "arthexis.cli"}:
        value: Any = importlib.import_module(f"{home}.{name}")
    else:
        value = getattr(importlib.import_module(home), name.removesuffix("_table"))
    globals()[name] = value
    return value
