"""What plugins give the host: frozen records, yielded by the ``register_*`` hooks and never changed afterwards.

Nothing here runs anything. A duplicate (two actions of one name, two routes of one path) is refused while
composing, naming both distributions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp.web import Request, StreamResponse
    from msgspec import Struct
    from sqlalchemy import MetaData

    from arthexis.charging.station import Station
    from arthexis.db.events import Event
    from arthexis.ocppj.inbound import Call


class Fault(Enum):
    """Why a CALL is answered with a CALLERROR; each protocol version names these in its own words."""

    UNREADABLE = "unreadable"
    ENVELOPE = "envelope"
    UNKNOWN_MEMBER = "unknown member"
    MISSING = "missing member"
    TYPE = "wrong type"
    VALUE = "value out of range"
    UNKNOWN_ACTION = "unknown action"
    ACTION_OFF = "action switched off"
    NOT_ACCEPTED = "station not accepted"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Message:
    """One action of a protocol version and the Structs of its request and its answer."""

    action: str
    request: type[Struct]
    response: type[Struct]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One OCPP-J version: how it is offered, what its messages are and what its errors are called.

    ``unrefusable`` names the actions that carry money and are answered whatever they contain (repair mode).
    ``aliases`` maps an enum member that stations really send to the one they mean, per wire name of the field;
    ``fallbacks`` gives the member for a field whose text means nothing at all. ``names`` maps what stations call a
    member (its letters without case, or the bare text where it has none) to the members that it may stand for.
    ``units`` names the unit of members that are plain numbers, so that "12.5 kWh" can be read.
    """

    subprotocol: str
    messages: tuple[Message, ...]
    errors: Mapping[Fault, str]
    unrefusable: frozenset[str] = frozenset()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """A CALL from a station and the coroutine function that answers it: ``async (station, call) -> answer Struct``.

    The answer leaves after everything the handler wrote is committed. ``early`` is the one exception (Heartbeat).
    ``replay_s``: for how long the same message id with the same content on one socket gets the very same bytes back.
    ``before_acceptance``: answered even while the station's registration is not accepted (BootNotification).
    """

    name: str
    handler: Callable[[Station, Call[Any]], Awaitable[Any]]
    protocol: str = "ocpp1.6"
    early: bool = False
    replay_s: float = 60.0
    before_acceptance: bool = False


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """A vendor's message: ``async (station, data)`` or ``async (station, data, ctx)``.

    Returning None accepts; text goes back verbatim; a dict or Struct as JSON text; raising ``Reject`` rejects.
    With ``message_id`` None the handler takes every message id of the vendor that has no handler of its own.
    ``data`` is the Struct (or any type msgspec knows) that the text is decoded to before the handler sees it.
    """

    vendor_id: str
    message_id: str | None
    handler: Callable[..., Any]
    data: Any = None


@dataclass(frozen=True, slots=True)
class Service:
    """An implementation of a Protocol class of ``arthexis.services`` that other plugins may ask for."""

    interface: type
    implementation: object


@dataclass(frozen=True, slots=True)
class Tables:
    """A distribution's own tables and the folder of its alembic revisions, ``"package:folder"``."""

    metadata: MetaData
    migrations: str


@dataclass(frozen=True, slots=True)
class Command:
    """A click command under ``arthexis``, imported only when it is used: ``target`` is ``"module:attribute"``."""

    name: str
    target: str
    help: str


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP route below ``/api/v1``; ``access`` is the least access level that may use it."""

    method: str
    path: str
    handler: Callable[[Request], Awaitable[StreamResponse]]
    access: str = "operator"


@dataclass(frozen=True, slots=True)
class Config:
    """The msgspec Struct of a plugin's settings, section ``[plugins.<name>]`` of arthexis.toml."""

    struct: type[Struct]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A durable reader of events: at least once, in order per station, waiting while its plugin is off."""

    name: str
    kinds: frozenset[str]
    handler: Callable[[Event], Awaitable[None]]
