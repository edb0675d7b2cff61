"""Frames: bytes to CALL, CALLRESULT or CALLERROR and back (OCPP-J 1.6 §4.2).

A good CALL is recognised in one step. Only what fails that is looked at again, more patiently in repair mode.
Nothing here raises: what cannot be read comes back as ``Unreadable``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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
UNREAD: Final = (*READ_FAILURES, LookupError)

_call = msgspec.json.Decoder(tuple[int, str, str, msgspec.Raw]).decode
Whole = Callable[[bytes], tuple[int, str, str, Any]]
"""Reads a CALL together with its request; raises one of ``READ_FAILURES``."""

_any = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode
_head = re.compile(rb'\s*\[\s*([234])\s*,\s*(?:"([ !#-[\]-~]{1,36})"|(-?\d{1,18}))\s*,\s*(?:"([A-Za-z]{1,50})")?').match
encode = msgspec.json.Encoder().encode


class Call(Receipt, gc=False):
    """A CALL with its receipt; ``wire_id`` is the id as the station wrote it (text or int).

    ``said`` is the request where it was read at once with the frame, else None and ``payload`` is still JSON.
    """

    wire_id: Any = None
    payload: bytes = b"{}"
    said: Any = None


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


def read_whole(data: bytes, received_at: datetime, wholes: Mapping[bytes, Whole]) -> Call | None:
    """A CALL read with its request in one step, where it is written as nearly all stations write it; else None.

    Every text in it was read, so that it is UTF-8. ``wholes`` has the actions that can be read like this.
    """
    try:
        kind, wire_id, action, said = wholes[data.split(b'"', 4)[3]](data)
    except UNREAD:
        return None
    if kind != CALL or len(wire_id) > MAX_ID:
        return None
    return Call(received_at, data, wire_id, action, (), NOTHING_ABSENT, None, wire_id, b"", said)


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
        found = None if strict else read_broken(data.decode("utf-8", "replace"))
        if found is None:
            return _unreadable(data, "nested too deeply" if isinstance(fault, RecursionError) else str(fault))
        rest = [found.action, found.payload]
        return _frame(data, received_at, found.message_type, found.message_id, rest, found.repairs, strict=False)
    return _of_parts(data, received_at, parts, strict=strict)


def _unreadable(data: bytes, reason: str) -> Frame:
    """What is no JSON; where it begins as a CALL or as an answer does, whoever waits for it can be told."""
    head = _head(data)
    if head is None:
        return Unreadable(Fault.UNREADABLE, reason)
    kind, text, number, action = head.groups()
    wire_id = text.decode() if text is not None else int(number)
    if kind != b"2":
        return Result(str(wire_id), b"")
    return Unreadable(Fault.UNREADABLE, reason, wire_id, action.decode() if action else None)


def _of_parts(data: bytes, received_at: datetime, parts: list[msgspec.Raw], *, strict: bool) -> Frame:
    if len(parts) < 2:
        return Unreadable(Fault.ENVELOPE, f"{len(parts)} elements")
    repairs: tuple[str, ...] = ()
    try:
        kind, wire_id = _value(parts[0]), _value(parts[1])
        if not strict and kind in ("2", "3", "4"):
            kind, repairs = int(kind), ("frame: message type is a text",)
        if kind == ERROR:
            return Error(str(wire_id), *_error_tail([_value(part) for part in parts[2:5]]))
        rest = [_value(parts[2]) if len(parts) > 2 else None, bytes(parts[3]) if len(parts) > 3 else None]
    except READ_FAILURES as fault:
        return Unreadable(Fault.UNREADABLE, str(fault))
    if kind == RESULT:
        return Result(str(wire_id), bytes(parts[2]) if len(parts) > 2 else b"{}")
    if kind == CALL and len(parts) != 4:
        if strict or rest[0] is None:
            return _envelope(f"{len(parts)} elements in a CALL", wire_id, rest[0])
        repairs = (*repairs, f"frame: {len(parts)} elements")
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
        if kind == RESULT and not strict:
            return Result(str(wire_id), payload or b"{}")
        if kind == ERROR and not strict:
            return Error(str(wire_id), str(action or ""), "", {})
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


def whole(request: type[msgspec.Struct]) -> Whole:
    """What reads a CALL with this request in one step."""
    return msgspec.json.Decoder(tuple[int, str, str, request]).decode  # type: ignore[valid-type]


def result(wire_id: Any, answer: Any) -> bytes:
    """The bytes of a CALLRESULT."""
    return encode((RESULT, wire_id, answer))


def error(wire_id: Any, code: str, description: str) -> bytes:
    """The bytes of a CALLERROR; the description is at most 255 characters, the details are an empty object."""
    return encode((ERROR, wire_id, code, description[:255], {}))


def call(message_id: str, action: str, payload: Any) -> bytes:
    """The bytes of a CALL of ours."""
    return encode((CALL, message_id, action, payload))
