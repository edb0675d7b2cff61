"""Times as stations write them: ISO 8601 read with patience, UTC written with milliseconds (OCPP 1.6 §3.14).

Reading never raises. What is no time is None, and the verbatim text is kept elsewhere, so that nothing is lost.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

LONGEST: Final = 255
"""Characters; a longer text is no time."""

EARLIEST_YEAR: Final = 2010
MOST_AHEAD: Final = timedelta(minutes=5)

_DATE: Final = r"(?P<year>\d{4})(?:(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})|(?P<month_day>\d{4}))"
_TIME: Final = r"(?P<hour>\d{1,2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d*))?)?)?"
_ZONE: Final = r"(?:(?P<sign>[+-])(?P<ahead>\d{2})(?::?(?P<ahead_minutes>\d{2}))?)?(?P<utc>z|utc|gmt)?"
_lenient = re.compile(rf"{_DATE}(?:[t ]\s*{_TIME}\s*{_ZONE})?(?:\[[\w/+-]+\])?", re.ASCII | re.IGNORECASE).fullmatch
_digits = re.compile(r"(?P<whole>\d{9,17})(?:[.,](?P<fraction>\d*))?", re.ASCII).fullmatch
_of_day = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})(?=[ t])", re.ASCII | re.IGNORECASE).match
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTS: Final = {10: 1, 13: 1_000, 16: 1_000_000}
"""Digits of a count since 1970 from 2001 to 2286: seconds, milliseconds, microseconds; how many a second."""


def parse_utc(text: str, zone: tzinfo = UTC) -> datetime | None:
    """The moment that a text means, in UTC, to the microsecond; None for what is no time.

    A time without a zone is one of ``zone``. Fractions may have any length, offsets need no colon, letters any case,
    a space may stand for the T; second 60 is the next second and 24:00 the next day. A date alone is its midnight.
    A count of seconds, milliseconds or microseconds since 1970 and all digits in a row (``20261123200517``) do too.
    """
    if text[4:5] == "-":
        try:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo is UTC else _in_utc(moment, zone)
        except ValueError:
            pass
    return _patiently(text, zone)


def clock_is_wrong(at: datetime | None, received_at: datetime) -> bool:
    """Whether a station's time is none, of a clock never set, or ahead of ours; an old one may be a backlog."""
    return at is None or at.year < EARLIEST_YEAR or at > received_at + MOST_AHEAD


def format_utc(moment: datetime) -> str:
    """An aware moment as OCPP writes it: ``2026-11-23T20:05:17.123Z``. Raises ``ValueError`` for a naive one."""
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ValueError("a time without a zone cannot be written as UTC")
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _in_utc(moment: datetime, zone: tzinfo) -> datetime | None:
    try:
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _patiently(text: str, zone: tzinfo) -> datetime | None:
    if len(text) > LONGEST:
        return None
    bare = text.strip(" \t\r\n\0\ufeff\"'")
    if (count := _digits(bare)) is not None:
        if len(count["whole"]) != len("20261123200517"):
            return _counted(count)
        bare = f"{bare[:8]}T{bare[8:]}"
    found = _lenient(f"{bare[6:10]}-{bare[3:5]}-{bare[:2]}{bare[10:]}" if _of_day(bare) else bare)
    if found is None:
        return None
    try:
        return _in_utc(_moment(found), zone)
    except (OverflowError, ValueError):
        return None


def _counted(count: re.Match[str]) -> datetime | None:
    """The moment of a count since 1970; a fraction of it is one of its unit."""
    per_second = _COUNTS.get(len(count["whole"]))
    if per_second is None:
        return None
    microseconds = int(count["whole"] + f"{count['fraction'] or '':0<6.6}") // per_second
    return EPOCH + timedelta(microseconds=microseconds)


def _moment(found: re.Match[str]) -> datetime:
    """The moment of a match; raises ``ValueError`` or ``OverflowError`` where there is none such."""
    parts = {name: int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")}
    if found["month_day"]:
        parts["month"], parts["day"] = int(found["month_day"][:2]), int(found["month_day"][2:])
    later = timedelta(0)
    if parts["second"] == 60:
        parts["second"], later = 59, timedelta(seconds=1)
    if parts["hour"] == 24 and parts["minute"] == parts["second"] == 0:
        parts["hour"], later = 0, timedelta(days=1)
    microsecond = int(f"{found['fraction'] or '':0<6.6}")
    return datetime(**parts, microsecond=microsecond, tzinfo=_offset(found)) + later


def _offset(found: re.Match[str]) -> timezone | None:
    """The zone that a match names; None if it names none."""
    if found["sign"] is None:
        return UTC if found["utc"] else None
    ahead = timedelta(hours=int(found["ahead"]), minutes=int(found["ahead_minutes"] or 0))
    return timezone(-ahead if found["sign"] == "-" else ahead)
