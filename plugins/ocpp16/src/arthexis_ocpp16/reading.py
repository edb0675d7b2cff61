"""From the wire's Structs to the domain's words: what every action of this package needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from arthexis import Authorization, Call, Reading, format_utc
from arthexis_ocpp16.messages import IdTagInfo, MeterValue

T = TypeVar("T")
MOST_CONNECTOR = 2**31 - 1
LARGEST_ID = 2**62


def given(value: T | UnsetType) -> T | None:
    """An optional member's value, or None if it is absent."""
    return None if value is UNSET else value


def said(call: Call[Any], path: str, value: T) -> T | None:
    """A required member's value, or None if repair put it there because the station sent none."""
    return None if path in call.record.absent else value


def connector(number: int) -> int:
    """A connector's number as the tables keep it; absurd ones count as 0, the raw frame keeps them."""
    return number if 0 <= number <= MOST_CONNECTOR else 0


def transaction(number: int | UnsetType | None) -> int | None:
    """A transaction's id as the tables keep it, or None if the station named none."""
    if number is None or isinstance(number, UnsetType):
        return None
    return number if -LARGEST_ID < number < LARGEST_ID else 0


def readings(call: Call[Any], values: Iterable[MeterValue]) -> list[Reading]:
    """What the meter said, each time with its samples."""
    return [Reading(call.time(value.timestamp), value.timestamp, value.sampled_value) for value in values]


def id_tag_info(authorization: Authorization) -> IdTagInfo:
    """The idTagInfo of an answer (OCPP 1.6 §7.16)."""
    return IdTagInfo(
        status=authorization.status,
        expiry_date=format_utc(authorization.expires_at) if authorization.expires_at else UNSET,
        parent_id_tag=authorization.parent_id_tag or UNSET,
    )
