"""Composite schedules: what a stack of charging profiles allows from moment to moment (OCPP 1.6 §3.13).

At any moment, of each purpose the valid profile with the highest stack level counts, one that has no period then
yields to the next; a TxProfile stands before TxDefaultProfile, and ChargePointMaxProfile caps both. Limits in A are
per phase, in W for the whole connector. A profile without duration never gives way to a lower one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec import UNSET

from arthexis import parse_utc
from arthexis_ocpp16.messages import ChargingProfile, ChargingSchedulePeriod

VOLTAGE_V: Final = 230.0
PHASES: Final = 3
TURN_S: Final = {"Daily": 86_400.0, "Weekly": 604_800.0}
STATION: Final = "ChargePointMaxProfile"
SESSION: Final = "TxProfile"
DEFAULT: Final = "TxDefaultProfile"


class Limit(NamedTuple):
    """What is allowed: in A per phase or W in all, and on how many phases."""

    limit: float
    unit: str
    phases: int


class Period(NamedTuple):
    """A piece of a composite schedule: seconds after its start, the limit (None: no profile limits it), phases."""

    start_s: int
    limit: float | None
    phases: int | None


@dataclass(frozen=True, slots=True)
class Around:
    """What a composite schedule depends on beside the profiles; times are aware UTC.

    ``session_at`` is the start of the connector's session, from which Relative profiles count.
    """

    start: datetime
    duration_s: int
    unit: str = "A"
    session_at: datetime | None = None
    voltage_v: float = VOLTAGE_V


def composite(profiles: Iterable[ChargingProfile], around: Around) -> list[Period]:
    """The limits from ``around.start`` on, each until the next begins; neighbours that are equal are one."""
    stack = sorted(profiles, key=lambda profile: -profile.stack_level)
    found: list[Period] = []
    for second in sorted(_changes(stack, around)):
        period = _period(stack, around, second)
        if not found or found[-1][1:] != period[1:]:
            found.append(period)
    return found


def allowed(profiles: Sequence[ChargingProfile], moment: datetime, around: Around) -> Limit | None:
    """What the profiles allow at one moment; None where none of them says anything. Highest stack level first."""
    session = _highest(profiles, SESSION, moment, around) or _highest(profiles, DEFAULT, moment, around)
    station = _highest(profiles, STATION, moment, around)
    if session is None or station is None:
        return session or station
    return min(session, station, key=lambda limit: _watts(limit, around.voltage_v))


def _period(stack: Sequence[ChargingProfile], around: Around, second: int) -> Period:
    limit = allowed(stack, around.start + timedelta(seconds=second), around)
    if limit is None:
        return Period(second, None, None)
    return Period(second, _in_unit(limit, around), limit.phases)


def _watts(limit: Limit, voltage_v: float) -> float:
    return limit.limit if limit.unit == "W" else limit.limit * voltage_v * limit.phases


def _in_unit(limit: Limit, around: Around) -> float:
    if limit.unit == around.unit:
        return limit.limit
    watts = _watts(limit, around.voltage_v)
    return round(watts if around.unit == "W" else watts / (around.voltage_v * limit.phases), 1)


def _highest(profiles: Sequence[ChargingProfile], purpose: str, moment: datetime, around: Around) -> Limit | None:
    for profile in profiles:
        if profile.charging_profile_purpose == purpose:
            period = _active(profile, moment, around)
            if period is not None:
                phases = PHASES if period.number_phases is UNSET else period.number_phases
                return Limit(period.limit, profile.charging_schedule.charging_rate_unit, phases)
    return None


def _active(profile: ChargingProfile, moment: datetime, around: Around) -> ChargingSchedulePeriod | None:
    """The period of a profile that holds at this moment, or None."""
    offset_s = _offset(profile, moment, around)
    if offset_s is None or not _valid(profile, moment):
        return None
    schedule = profile.charging_schedule
    if schedule.duration is not UNSET and offset_s >= schedule.duration:
        return None
    begun = [period for period in schedule.charging_schedule_period if period.start_period <= offset_s]
    return begun[-1] if begun else None


def _valid(profile: ChargingProfile, moment: datetime) -> bool:
    since, until = _time(profile.valid_from), _time(profile.valid_to)
    return (since is None or moment >= since) and (until is None or moment < until)


def _offset(profile: ChargingProfile, moment: datetime, around: Around) -> float | None:
    """Seconds into the schedule; None before it begins."""
    begin = _begin(profile, around)
    passed = (moment - begin).total_seconds()
    if passed < 0:
        return None
    turn = _turn(profile)
    return passed if turn is None else passed % turn


def _begin(profile: ChargingProfile, around: Around) -> datetime:
    if profile.charging_profile_kind == "Relative":
        return around.session_at or around.start
    return _time(profile.charging_schedule.start_schedule) or around.session_at or around.start


def _turn(profile: ChargingProfile) -> float | None:
    if profile.charging_profile_kind != "Recurring" or profile.recurrency_kind is UNSET:
        return None
    return TURN_S[profile.recurrency_kind]


def _time(text: object) -> datetime | None:
    return parse_utc(text) if isinstance(text, str) else None


def _changes(profiles: Iterable[ChargingProfile], around: Around) -> set[int]:
    """Every whole second at which the composite may change."""
    moments = {0}
    for profile in profiles:
        for moment in _moments(profile, around):
            second = (moment - around.start).total_seconds()
            if 0 < second < around.duration_s:
                moments.add(int(-(-second // 1)))
    return moments


def _moments(profile: ChargingProfile, around: Around) -> Iterator[datetime]:
    for edge in (_time(profile.valid_from), _time(profile.valid_to)):
        if edge is not None:
            yield edge
    schedule = profile.charging_schedule
    offsets = [period.start_period for period in schedule.charging_schedule_period]
    if schedule.duration is not UNSET:
        offsets.append(schedule.duration)
    begin, turn = _begin(profile, around), _turn(profile)
    for turns in _turns(begin, turn, around):
        start = begin + timedelta(seconds=turns * (turn or 0))
        for offset in offsets:
            if turn is None or offset < turn:
                yield start + timedelta(seconds=offset)
        yield start


def _turns(begin: datetime, turn: float | None, around: Around) -> Iterable[int]:
    """Which turns of a recurring schedule touch the time asked about."""
    if turn is None:
        return (0,)
    first = max(0, int((around.start - begin).total_seconds() // turn))
    last = max(0, int((around.start - begin).total_seconds() + around.duration_s) // int(turn))
    return range(first, last + 1)
