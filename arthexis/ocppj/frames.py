"""Frames: bytes to CALL, CALLRESULT or CALLERROR and back (OCPP-J 1.6 §4.2).

A good CALL is recognised in one step. Only what fails that is looked at again, more patiently in repair mode.
Nothing here raises: what cannot be read comes back as ``Unreadable``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from arthexis.contributions import Fault
from arthexis.ocppj.repair import read_broken

CALL: Final = 2
RESULT: Final = 3
ERROR: Final = 4
MAX_ID: Final = 36
MAX_MENDED_ID: Final = 255
NUL: Final = b"\\u0000"
READ_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError)

_call = msgspec.json.Decoder(tuple[int, str, str, msgspec.Raw]).decode
_any = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_value = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Call:
    """A CALL; ``payload`` is still JSON. ``wire_id`` is the id as the station wrote it (text or number)."""

    wire_id: Any
    action: str
    payload: bytes
    repairs: tuple[str, ...] = ()

    @property
    def message_id(self) -> str:
        """The id as text."""
        return self.wire_id if type(self.wire_id) is str else str(self.wire_id)


@dataclass(slots=True)
class Result:
    """A CALLRESULT to a CALL of ours."""

    message_id: str
    payload: bytes


@dataclass(slots=True)
class Error:
    """A CALLERROR to a CALL of ours."""

    message_id: str
    code: str
    description: str
    details: Any


@dataclass(slots=True)
class Unreadable:
    """A frame that is none; answered only where it is a CALL whose id could be read."""

    fault: Fault
    reason: str
    wire_id: Any = None
    action: str | None = None


Frame = Call | Result | Error | Unreadable


def read(data: bytes, *, strict: bool) -> Frame:
    """What a text message of a station says."""
    try:
        kind, message_id, action, payload = _call(data)
    except READ_FAILURES:
        return _look_again(data, strict=strict)
    if kind != CALL or len(message_id) > MAX_ID or NUL in data:
        return _look_again(data, strict=strict)
    return Call(message_id, action, bytes(payload))


def _look_again(data: bytes, *, strict: bool) -> Frame:
    repairs: tuple[str, ...] = ()
    if NUL in data:
        if strict:
            return _strict_nul(data)
        data, repairs = data.replace(NUL, b"\\ufffd"), ("NUL characters replaced",)
    try:
        parts = _any(data)
    except READ_FAILURES as error:
        return Unreadable(Fault.UNREADABLE, str(error)) if strict else _mended(data, repairs)
    return _parts(parts, repairs, strict=strict)


def _strict_nul(data: bytes) -> Frame:
    try:
        _, message_id, action, _ = _call(data)
    except READ_FAILURES as error:
        return Unreadable(Fault.UNREADABLE, str(error))
    return Unreadable(Fault.VALUE, "a text holds a NUL character", message_id, action)


def _mended(data: bytes, repairs: tuple[str, ...]) -> Frame:
    """Broken JSON, read as well as it goes."""
    found = read_broken(data.decode("utf-8", "replace"))
    if found is None:
        return Unreadable(Fault.UNREADABLE, "not JSON")
    return _of(
        found.message_type, found.message_id, [found.action, found.payload], (*repairs, *found.repairs), strict=False
    )


def _parts(parts: list[msgspec.Raw], repairs: tuple[str, ...], *, strict: bool) -> Frame:
    if len(parts) < 2:
        return Unreadable(Fault.ENVELOPE, f"{len(parts)} elements")
    try:
        kind, wire_id = _value(parts[0]), _value(parts[1])
        rest = [_value(parts[2]) if len(parts) > 2 else None, bytes(parts[3]) if len(parts) > 3 else None]
        if kind == ERROR:
            return Error(str(wire_id), str(rest[0]), *_error_tail(parts))
        if kind == RESULT:
            return Result(str(wire_id), bytes(parts[2]) if len(parts) > 2 else b"{}")
    except READ_FAILURES as error:
        return Unreadable(Fault.UNREADABLE, str(error))
    if kind == CALL and len(parts) != 4:
        if strict or rest[0] is None:
            return _envelope(f"{len(parts)} elements in a CALL", wire_id, rest[0])
        repairs = (*repairs, f"frame: {len(parts)} elements")
    return _of(kind, wire_id, rest, repairs, strict=strict)


def _of(kind: Any, wire_id: Any, rest: list[Any], repairs: tuple[str, ...], *, strict: bool) -> Frame:
    """A CALL from its parts, or why it is none."""
    action, payload = rest
    if kind != CALL:
        return Unreadable(Fault.ENVELOPE, "unknown message type")
    if type(wire_id) is not str:
        if strict or type(wire_id) is not int:
            return _envelope("the message id is no text", wire_id if type(wire_id) is int else None, action)
        repairs = (*repairs, "frame: message id is a number")
    if len(str(wire_id)) > (MAX_ID if strict else MAX_MENDED_ID):
        return _envelope("the message id is too long", str(wire_id)[:MAX_MENDED_ID], action)
    if len(str(wire_id)) > MAX_ID:
        repairs = (*repairs, "frame: message id longer than 36")
    if type(action) is not str:
        return _envelope("the action is no text", wire_id, None)
    return Call(wire_id, action, b"{}" if payload is None else payload, repairs)


def _envelope(reason: str, wire_id: Any, action: Any) -> Unreadable:
    return Unreadable(Fault.ENVELOPE, reason, wire_id, action if type(action) is str else None)


def _error_tail(parts: list[msgspec.Raw]) -> tuple[str, Any]:
    description = _value(parts[3]) if len(parts) > 3 else ""
    return str(description), _value(parts[4]) if len(parts) > 4 else {}


def result(wire_id: Any, answer: Any) -> bytes:
    """The bytes of a CALLRESULT."""
    return encode((RESULT, wire_id, answer))


def error(wire_id: Any, code: str, description: str) -> bytes:
    """The bytes of a CALLERROR; the description is at most 255 characters, the details are an empty object."""
    return encode((ERROR, wire_id, code, description[:255], {}))


def call(message_id: str, action: str, payload: Any) -> bytes:
    """The bytes of a CALL of ours."""
    return encode((CALL, message_id, action, payload))
