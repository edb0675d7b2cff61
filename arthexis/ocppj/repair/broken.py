"""Frames that are no JSON, read as well as they go (OCPP-J 1.6 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from arthexis.ocppj.repair.notes import echo
from arthexis.ocppj.repair.tokens import MOST_CHARACTERS, WireFloat, lenient

_CALL: Final = 2
_ERROR: Final = 4


def _verbatim(value: object) -> msgspec.Raw:
    """A number as it was written; raises ``NotImplementedError`` for what no reader of ours makes."""
    if isinstance(value, WireFloat):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError(type(value).__name__)


encode: Final = msgspec.json.Encoder(enc_hook=_verbatim).encode


@dataclass(frozen=True, slots=True)
class Broken:
    """A mended frame. ``payload`` is JSON; of a CALLERROR the ``action`` is its code and the payload its details.

    ``message_id`` is as the station wrote it, text or number, and None where it is neither.
    """

    message_type: int
    message_id: str | int | None
    action: str | None
    payload: bytes
    repairs: tuple[str, ...]


def read_broken(text: str) -> Broken | None:
    """What a text means that is no JSON; None if it is no frame at all. Never raises.

    NUL and byte order marks are dropped, missing brackets added, empty values read as null, what follows is dropped.
    """
    if len(text) > MOST_CHARACTERS:
        return None
    clean = text.replace("\0", "").replace("\ufeff", "")
    start = clean.find("[")
    found = lenient(clean[start:]) if start >= 0 else None
    if found is None or not isinstance(found[0], list) or len(found[0]) < 2:
        return None
    repairs = [] if len(clean) == len(text) else ["NUL or byte order mark dropped"]
    if clean[:start].strip():
        repairs.append(f"{echo(clean[:start])} before it dropped")
    repairs.extend(found[1])
    if found[2].strip():
        repairs.append(f"{echo(found[2])} after it dropped")
    if not repairs and not _is_json(clean):
        repairs.append("characters that JSON does not allow")
    return _frame(found[0], tuple(f"frame: {repair}" for repair in repairs))


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _frame(parts: list[Any], repairs: tuple[str, ...]) -> Broken | None:
    kind = _kind(parts[0])
    if kind is None:
        return None
    message_id = parts[1] if type(parts[1]) in (str, int) else None
    named = kind in (_CALL, _ERROR)
    action = parts[2] if named and len(parts) > 2 and isinstance(parts[2], str) else None
    place = {_CALL: 3, _ERROR: 4}.get(kind, 2)
    payload = encode(parts[place]) if len(parts) > place and parts[place] is not None else b"{}"
    return Broken(kind, message_id, action, payload, repairs)


def _kind(value: Any) -> int | None:
    """The message type; a text or a float that says the same counts."""
    if isinstance(value, str):
        return {"2": 2, "3": 3, "4": 4}.get(value.strip())
    return int(value) if isinstance(value, (int, float)) and value in (2, 3, 4) else None
