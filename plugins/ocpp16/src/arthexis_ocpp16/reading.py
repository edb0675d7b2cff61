"""From the wire's Structs to the domain's words: what every action of this package needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import UNSET, Raw, UnsetType, to_builtins

from arthexis import Authorization, Call, Reading, format_utc
from arthexis_ocpp16.messages import IdTagInfo, MeterValue

T = TypeVar("T")
MOST_CONNECTOR = 2**31 - 1
LARGEST_ID = 2**62
LONGEST_TIME = 255
READINGS = b'"meterValue":'
SAMPLES = b'"sampledValue":'


def given(value: T | UnsetType) -> T | None:
    """An optional member's value, or None if it is absent."""
    return None if value is UNSET else value


def said(call: Call[Any], path: str, value: T) -> T | None:
    """A required member's value, or None if repair put it there because the station sent none."""
    return None if path in call.record.absent else value


def presented(call: Call[Any], path: str, text: str) -> str:
    """A text in full where repair clipped it: an id tag must never be known by how it begins."""
    verbatim = call.record.verbatim
    return text if verbatim is None else verbatim.get(path, text)


def time_text(text: str) -> str:
    """The text of a time as the tables keep it; what is longer is no time, and the raw frame keeps it."""
    return text[:LONGEST_TIME]


def connector(number: int) -> int:
    """A connector's number as the tables keep it, also one below 0; beyond 31 bits the raw frame alone has it."""
    if -MOST_CONNECTOR <= number <= MOST_CONNECTOR:
        return number
    return MOST_CONNECTOR if number > 0 else -MOST_CONNECTOR


def transaction(number: int | UnsetType | None) -> int | None:
    """A transaction's id as the tables keep it, or None if the station named none; absurd ones are of nobody."""
    if number is None or number is UNSET:
        return None
    return number if -LARGEST_ID <= number <= LARGEST_ID else LARGEST_ID if number > 0 else -LARGEST_ID


def readings(call: Call[Any], values: Sequence[MeterValue], path: str) -> list[Reading]:
    """What the meter said, each time with its samples; ``path`` is the wire name of the list.

    Where repair found no meaning in a member of a sample (a unit that is none), its text is kept as it was sent.
    """
    record = call.record
    if len(values) == 1 and not record.repairs and (raw := _raw(record.frame)) is not None:
        text = values[0].timestamp
        return [Reading(call.time(text), text[:LONGEST_TIME], raw)]
    verbatim, time = record.verbatim, call.time
    if not verbatim:
        return [Reading(time(v.timestamp), v.timestamp[:LONGEST_TIME], v.sampled_value) for v in values]
    return [
        Reading(time(v.timestamp), time_text(v.timestamp), _verbatim(v.sampled_value, f"{path}.{place}", verbatim))
        for place, v in enumerate(values)
    ]


def _raw(frame: bytes) -> Raw | None:
    """The samples of a MeterValues that holds one reading, just as they were sent; None where that cannot be told.

    Only where the bytes before and behind them can be nothing else: to encode the samples anew takes thrice as long.
    """
    try:
        before, head, reading, tail = frame.split(b"[", 3)
        samples, end, _, nothing = tail.rsplit(b"]", 3)
    except ValueError:
        return None
    if before or end != b"}" or nothing or not reading.endswith(SAMPLES) or not head.endswith(READINGS):
        return None
    start = len(head) + len(reading) + 2
    return Raw(frame[start : start + len(samples) + 2])


def _verbatim(samples: Iterable[Any], path: str, verbatim: Mapping[str, str]) -> list[Any]:
    """Samples as plain objects, with what repair left out of them."""
    told: list[Any] = [to_builtins(sample) for sample in samples]
    for wire, text in verbatim.items():
        if wire.startswith(f"{path}.sampledValue."):
            place, _, name = wire.removeprefix(f"{path}.sampledValue.").partition(".")
            if name and int(place) < len(told):
                told[int(place)].setdefault(name, text)
    return told


def id_tag_info(authorization: Authorization) -> IdTagInfo:
    """The idTagInfo of an answer (OCPP 1.6 §7.16)."""
    return IdTagInfo(
        status=authorization.status,
        expiry_date=format_utc(authorization.expires_at) if authorization.expires_at else UNSET,
        parent_id_tag=authorization.parent_id_tag or UNSET,
    )
