"""A payload that did not decode, made into the Struct of its message as well as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from arthexis.contributions import Fault, Protocol
from arthexis.ocppj.repair.faults import Unmendable
from arthexis.ocppj.repair.notes import Notes
from arthexis.ocppj.repair.shapes import shape_of
from arthexis.ocppj.repair.tokens import WireFloat, lenient

_read: Final = msgspec.json.Decoder(float_hook=WireFloat).decode
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Mended:
    """A payload that was mended: the Struct, what was done, and which members have nothing of the wire behind them.

    ``absent`` holds dotted wire paths (``meterStop``, ``meterValue.0.timestamp``) of required members that got a
    neutral value and of optional ones whose text meant nothing, so that the domain can store null or refrain from a
    default. ``verbatim`` has, by the same paths, the text of members that the Struct holds clipped or not at all.
    """

    value: Any
    repairs: tuple[str, ...]
    absent: frozenset[str]
    verbatim: Mapping[str, str] = field(default_factory=dict)


def mend(raw: bytes, struct: type[msgspec.Struct], protocol: Protocol, *, unrefusable: bool) -> Mended:
    """What a station meant by a payload that does not decode to ``struct``; raises ``Unmendable``.

    An ``unrefusable`` payload always comes back as a Struct, whatever it is, and ``Unmendable`` is never raised.
    """
    notes = Notes(protocol, unrefusable=unrefusable)
    value = shape_of(struct).mend(_payload(raw, notes), "", notes)
    return Mended(value, notes.texts(), frozenset(notes.absent), notes.verbatim)


def _payload(raw: bytes, notes: Notes) -> Any:
    """The payload as plain values; of one that is no JSON what can be read of it."""
    try:
        return _read(raw)
    except _UNREADABLE:
        found = lenient(raw.decode("utf-8", "replace"))
    if found is None:
        if not notes.unrefusable:
            raise Unmendable(Fault.UNREADABLE, "payload: not JSON")
        notes.add("", "not JSON")
        return {}
    for repair in found[1] or ("texts or numbers that JSON does not know mended",):
        notes.add("", repair)
    return found[0]
