"""Street lamps that speak `lamp1.0`: two messages over the same sockets, limits, log and operations as OCPP."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from arthexis import Action, Fault, Message, Operation, Protocol, hookimpl


class Glow(Struct, rename="camel", forbid_unknown_fields=True):
    lumen: Annotated[int, Meta(ge=0)]


class GlowAnswer(Struct, rename="camel"):
    seen_at: str


class Dim(Struct, rename="camel", forbid_unknown_fields=True):
    percent: Annotated[int, Meta(ge=0, le=100)]


class DimAnswer(Struct, rename="camel"):
    status: Literal["Accepted", "Rejected"]


ERRORS = {
    Fault.UNREADABLE: "Garbled",
    Fault.ENVELOPE: "Garbled",
    Fault.UNKNOWN_ACTION: "NotALamp",
    Fault.ACTION_OFF: "NotALamp",
    Fault.NOT_ACCEPTED: "WhoAreYou",
    Fault.INTERNAL: "Sorry",
}


async def glow(station, call):
    return call.answer(seen_at=call.clock.now_text())


@hookimpl
def register_protocols():
    messages = (Message("Glow", Glow, GlowAnswer), Message("Dim", Dim, DimAnswer))
    yield Protocol("lamp1.0", messages, {fault: ERRORS.get(fault, "BadValue") for fault in Fault})


@hookimpl
def register_actions():
    yield Action("Glow", glow, protocol="lamp1.0", before_acceptance=True)


@hookimpl
def register_operations():
    yield Operation("Dim", "Dim a lamp", protocol="lamp1.0", help={"percent": "Of its full light"})
