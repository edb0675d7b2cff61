"""What a station answers to CALLs of the central system when a test, or a fault, does not want the usual."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answer with a CALLERROR of this code."""

    code: str = "InternalError"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Do not answer, and do nothing."""


@dataclass(frozen=True, slots=True)
class Late:
    """Answer ``seconds`` (of real time) late: with ``answer``, or as usual if that is None."""

    seconds: float
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Do as usual, but send the answer as a frame that is no JSON."""


Script: TypeAlias = (
    Mapping[str, Any]
    | Refusal
    | Silence
    | Late
    | Malformed
    | Callable[[dict[str, Any]], "Script | Awaitable[Script | None] | None"]
)

REJECTED = {"status": "Rejected"}
REJECTIONS: dict[str, Mapping[str, Any] | Refusal] = {
    "CancelReservation": REJECTED,
    "ChangeAvailability": REJECTED,
    "ChangeConfiguration": REJECTED,
    "ClearCache": REJECTED,
    "ClearChargingProfile": {"status": "Unknown"},
    "DataTransfer": REJECTED,
    "GetCompositeSchedule": REJECTED,
    "RemoteStartTransaction": REJECTED,
    "RemoteStopTransaction": REJECTED,
    "ReserveNow": REJECTED,
    "Reset": REJECTED,
    "SendLocalList": {"status": "Failed"},
    "SetChargingProfile": REJECTED,
    "TriggerMessage": REJECTED,
    "UnlockConnector": {"status": "UnlockFailed"},
}


def rejection(action: str) -> Mapping[str, Any] | Refusal:
    """How a station says no to an operation: its status that means no, or a CALLERROR where it has none."""
    return REJECTIONS.get(action, Refusal("GenericError", "not now"))


def broken(text: str) -> str:
    """A frame as a station writes it whose author printed a structure instead of encoding it: no JSON."""
    return text.replace('"', "'")
