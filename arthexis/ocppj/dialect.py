"""Dialects: a protocol version with the actions that are on, resolved to one table when the node is composed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from arthexis.contributions import Action, Fault, Message, Protocol
from arthexis.ocppj.frames import Whole, whole
from arthexis.ocppj.repair.choices import LONGEST, folded
from arthexis.plugins.states import Plugin

OCPPJ_ERRORS = {
    Fault.UNREADABLE: "FormationViolation",
    Fault.ENVELOPE: "ProtocolError",
    Fault.UNKNOWN_MEMBER: "FormationViolation",
    Fault.MISSING: "OccurenceConstraintViolation",
    Fault.TYPE: "TypeConstraintViolation",
    Fault.VALUE: "PropertyConstraintViolation",
    Fault.UNKNOWN_ACTION: "NotImplemented",
    Fault.ACTION_OFF: "NotSupported",
    Fault.NOT_ACCEPTED: "SecurityError",
    Fault.INTERNAL: "InternalError",
}


@dataclass(frozen=True, slots=True)
class Ready:
    """An action that can be answered: its handler, whose it is, and how its request is decoded.

    ``label`` names it among the hooks of its plugin.
    """

    plugin: Plugin
    action: Action
    message: Message
    decode: Callable[[bytes], Any]
    handler: Callable[..., Awaitable[Any]]
    response: type[msgspec.Struct]
    unrefusable: bool
    label: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one subprotocol understands on this node; ``wholes`` reads frame and request at once, by action."""

    protocol: Protocol
    ready: dict[str, Ready] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    wholes: dict[bytes, Whole] = field(default_factory=dict)

    def meant(self, action: str) -> str | None:
        """The action of money that a misspelt name means: its letters whatever their case, with or without ``.req``."""
        if action in self.messages or len(action) > LONGEST:
            return None
        letters = folded(action)
        bare = letters.removesuffix("request").removesuffix("req")
        return next((name for name in self.protocol.unrefusable if folded(name) in {letters, bare}), None)

    def fault_of(self, action: str) -> Fault:
        """Why an action that is not ready is refused: known to the protocol and off, or unknown."""
        return Fault.ACTION_OFF if action in self.messages else Fault.UNKNOWN_ACTION

    def code(self, fault: Fault) -> str:
        """What this protocol calls a fault."""
        return self.protocol.errors.get(fault, "GenericError")


BARE = Dialect(Protocol("ocpp1.6", (), OCPPJ_ERRORS))


def dialects(protocols: Iterable[Protocol], actions: Iterable[tuple[Plugin, Action]]) -> dict[str, Dialect]:
    """The table of every subprotocol; without any protocol plugin, one that answers every CALL NotImplemented."""
    found = {
        protocol.subprotocol: Dialect(protocol, messages={m.action: m for m in protocol.messages})
        for protocol in protocols
    }
    for plugin, action in actions:
        dialect = found.get(action.protocol)
        if dialect is not None and action.name in dialect.messages:
            dialect.ready[action.name] = _ready(dialect, plugin, action)
            dialect.wholes[action.name.encode()] = whole(dialect.messages[action.name].request)
    return found or {BARE.protocol.subprotocol: BARE}


def _ready(dialect: Dialect, plugin: Plugin, action: Action) -> Ready:
    message = dialect.messages[action.name]
    decode = msgspec.json.Decoder(message.request).decode
    unrefusable = action.name in dialect.protocol.unrefusable
    return Ready(
        plugin, action, message, decode, action.handler, message.response, unrefusable, f"action {action.name}"
    )
