"""Frames: bytes to CALL, CALLRESULT or CALLERROR and back (OCPP-J 1.6 §4.2).

A good CALL is recognised in one step. Only what fails that is looked at again, more patiently in repair mode.
Nothing here raises: what cannot be read comes back as ``Unreadable``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from arthexis.charging.receipts import Receipt
from arthexis.contributions import Fault
from arthexis.ocppj.repair import read_broken

CALL: Final = 2
RESULT: Final = 3
ERROR: Final = 4
MAX_ID: Final = 36
MAX_MENDED_ID: Final = 255
READ_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError)

_call = msgspec.json.Decoder(tuple[int, str, str, msgspec.Raw]).decode
_any = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Call(Receipt):
    """A CALL with its receipt; ``payload`` is still JSON, ``wire_id`` the id as the station wrote it (text or int)."""

    wire_id: Any = None
    payload: bytes = b"{}"


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


def read(data: bytes, received_at: datetime, *, strict: bool) -> Frame:
    """What a text message of a station says; the payload of a CALL is JSON, but not yet known to be a request."""
    try:
        kind, wire_id, action, payload = _call(data)
    except READ_FAILURES:
        return _look_again(data, received_at, strict=strict)
    if kind != CALL or len(wire_id) > MAX_ID:
        return _look_again(data, received_at, strict=strict)
    raw = bytes(payload)
    return Call(received_at, data, wire_id, action, (), NOTHING_ABSENT, None, wire_id, raw if raw != b"null" else b"{}")


NOTHING_ABSENT: Final[frozenset[str]] = frozenset()


def _look_again(data: bytes, received_at: datetime, *, strict: bool) -> Frame:
    """What the quick look could not tell, element by element; broken JSON is mended in repair mode."""
    try:
        parts = _any(data)
    except READ_FAILURES as fault:
        if strict:
            return Unreadable(Fault.UNREADABLE, str(fault))
        found = read_broken(data.decode("utf-8", "replace"))
        if found is None:
            return Unreadable(Fault.UNREADABLE, "not JSON")
        rest = [found.action, found.payload]
        return _frame(data, received_at, found.message_type, found.message_id, rest, found.repairs, strict=False)
    return _of_parts(data, received_at, parts, strict=strict)


def _of_parts(data: bytes, received_at: datetime, parts: list[msgspec.Raw], *, strict: bool) -> Frame:
    if len(parts) < 2:
        return Unreadable(Fault.ENVELOPE, f"{len(parts)} elements")
    try:
        kind, wire_id = _value(parts[0]), _value(parts[1])
        if kind == ERROR:
            return Error(str(wire_id), *_error_tail([_value(part) for part in parts[2:5]]))
        rest = [_value(parts[2]) if len(parts) > 2 else None, bytes(parts[3]) if len(parts) > 3 else None]
    except READ_FAILURES as fault:
        return Unreadable(Fault.UNREADABLE, str(fault))
    if kind == RESULT:
        return Result(str(wire_id), bytes(parts[2]) if len(parts) > 2 else b"{}")
    repairs: tuple[str, ...] = ()
    if kind == CALL and len(parts) != 4:
        if strict or rest[0] is None:
            return _envelope(f"{len(parts)} elements in a CALL", wire_id, rest[0])
        repairs = (f"frame: {len(parts)} elements",)
    return _frame(data, received_at, kind, wire_id, rest, repairs, strict=strict)


def _frame(
    data: bytes,
    received_at: datetime,
    kind: Any,
    wire_id: Any,
    rest: list[Any],
    repairs: tuple[str, ...],
    *,
    strict: bool,
) -> Frame:
    """A CALL from its parts, or why it is none."""
    action, payload = rest
    if kind != CALL:
        if kind in {RESULT, ERROR} and not strict:
            return Result(str(wire_id), b"") if kind == RESULT else Error(str(wire_id), "", "", {})
        return Unreadable(Fault.ENVELOPE, "unknown message type")
    is_number = type(wire_id) is int
    if type(wire_id) is not str and (strict or not is_number):
        return _envelope("the message id is no text", wire_id if is_number else None, action)
    message_id = str(wire_id)
    if len(message_id) > (MAX_ID if strict else MAX_MENDED_ID):
        return _envelope("the message id is too long", message_id[:MAX_MENDED_ID], action)
    if type(action) is not str:
        return _envelope("the action is no text", wire_id, None)
    if is_number:
        repairs = (*repairs, "frame: message id is a number")
    if len(message_id) > MAX_ID:
        repairs = (*repairs, "frame: message id longer than 36")
    raw = b"{}" if payload in {None, b"null"} else payload
    return Call(received_at, data, message_id, action, repairs, NOTHING_ABSENT, None, wire_id, raw)


def _envelope(reason: str, wire_id: Any, action: Any) -> Unreadable:
    return Unreadable(Fault.ENVELOPE, reason, wire_id, action if type(action) is str else None)


def _error_tail(values: list[Any]) -> tuple[str, str, Any]:
    code, description, details = [*values, "", "", {}][:3] if len(values) < 3 else values
    return str(code), str(description), details


def result(wire_id: Any, answer: Any) -> bytes:
    """The bytes of a CALLRESULT."""
    return encode((RESULT, wire_id, answer))


def error(wire_id: Any, code: str, description: str) -> bytes:
    """The bytes of a CALLERROR; the description is at most 255 characters, the details are an empty object."""
    return encode((ERROR, wire_id, code, description[:255], {}))


def call(message_id: str, action: str, payload: Any) -> bytes:
    """The bytes of a CALL of ours."""
    return encode((CALL, message_id, action, payload))
