"""Composite schedules against an evaluation second by second, and worked examples."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arthexis_ocpp16.messages import ChargingProfile
from arthexis_ocpp16.schedules import Around, Period, composite
from hypothesis import given, settings
from hypothesis import strategies as st

from arthexis import format_utc, parse_utc

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
LENGTH_S = 120
TURNS = {"Daily": 86_400, "Weekly": 604_800}


def profile(
    limits: list[tuple[int, float]],
    *,
    level: int = 0,
    purpose: str = "TxDefaultProfile",
    kind: str = "Absolute",
    start: datetime | None = START,
    **others: Any,
) -> ChargingProfile:
    """A profile whose periods are (startPeriod, limit in A)."""
    schedule = {
        "chargingRateUnit": others.pop("unit", "A"),
        "chargingSchedulePeriod": [
            {"startPeriod": at, "limit": limit, **({"numberPhases": others["phases"]} if "phases" in others else {})}
            for at, limit in limits
        ],
    }
    others.pop("phases", None)
    if start is not None and kind != "Relative":
        schedule["startSchedule"] = format_utc(start)
    if "duration" in others:
        schedule["duration"] = others.pop("duration")
    made = {
        "chargingProfileId": 1,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
        **others,
    }
    return msgspec.convert(made, ChargingProfile)


def at(seconds: float) -> datetime:
    """A moment of the composite schedule."""
    return START + timedelta(seconds=seconds)


# ---------------------------------------------------------------------- worked examples, also in the docs

EXAMPLES = {
    "one profile": ([profile([(0, 16.0), (60, 8.0)])], [(0, 16.0), (60, 8.0)]),
    "begins later": ([profile([(0, 10.0)], start=at(30))], [(0, None), (30, 10.0)]),
    "ends by its duration": ([profile([(0, 10.0)], duration=40)], [(0, 10.0), (40, None)]),
    "a higher level stands before a lower one": (
        [profile([(0, 6.0)], level=1, duration=50), profile([(0, 16.0)])],
        [(0, 6.0), (50, 16.0)],
    ),
    "a higher level without duration never gives way": (
        [profile([(0, 6.0)], level=1), profile([(0, 16.0)])],
        [(0, 6.0)],
    ),
    "a TxProfile stands before TxDefaultProfile": (
        [
            profile([(0, 32.0)], purpose="TxProfile", kind="Relative", transactionId=1, duration=20),
            profile([(0, 16.0)], level=9),
        ],
        [(0, 32.0), (20, 16.0)],
    ),
    "the station's limit caps both": (
        [profile([(0, 32.0), (60, 10.0)]), profile([(0, 20.0)], purpose="ChargePointMaxProfile")],
        [(0, 20.0), (60, 10.0)],
    ),
    "validFrom and validTo cut": (
        [profile([(0, 10.0)], validFrom=format_utc(at(20)), validTo=format_utc(at(70)))],
        [(0, None), (20, 10.0), (70, None)],
    ),
    "a daily profile begins anew": (
        [profile([(0, 6.0), (43_200, 16.0)], kind="Recurring", recurrencyKind="Daily", start=at(60 - 86_400))],
        [(0, 16.0), (60, 6.0)],
    ),
    "watts are turned into amperes per phase": ([profile([(0, 11_040.0)], unit="W")], [(0, 16.0)]),
    "watts on one phase": ([profile([(0, 3_680.0)], unit="W", phases=1)], [(0, 16.0)]),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_examples(name: str) -> None:
    profiles, wanted = EXAMPLES[name]
    found = composite(profiles, Around(START, LENGTH_S, session_at=START))
    assert [(period.start_s, period.limit) for period in found] == wanted


def test_the_docs_show_every_worked_example() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    for name, (_, wanted) in EXAMPLES.items():
        told = ", ".join(f"{at} s: {'no limit' if limit is None else f'{limit:g} A'}" for at, limit in wanted)
        assert re.search(rf"^\| {re.escape(name)} \|.*\| {re.escape(told)} \|$", docs, re.M), (name, told)


# ---------------------------------------------------------------------- against brute force


@st.composite
def profiles(draw: st.DrawFn) -> ChargingProfile:
    """A profile that matters somewhere near the time asked about."""
    kind = draw(st.sampled_from(["Absolute", "Relative", "Recurring"]))
    offsets = sorted(draw(st.sets(st.integers(1, 150), max_size=3)))
    limits = [(offset, float(draw(st.integers(0, 32)))) for offset in [0, *offsets]]
    others: dict[str, Any] = {}
    start = at(draw(st.integers(-150, 150)))
    if kind == "Recurring":
        others["recurrencyKind"] = draw(st.sampled_from(["Daily", "Weekly"]))
        start -= timedelta(seconds=TURNS[others["recurrencyKind"]] * draw(st.integers(0, 2)))
    if draw(st.booleans()):
        others["duration"] = draw(st.integers(1, 200))
    if draw(st.booleans()):
        others["validFrom"] = format_utc(at(draw(st.integers(-50, 150))))
    if draw(st.booleans()):
        others["validTo"] = format_utc(at(draw(st.integers(-50, 150))))
    purpose = draw(st.sampled_from(["TxDefaultProfile", "TxProfile", "ChargePointMaxProfile"]))
    unit = draw(st.sampled_from(["A", "W"]))
    return profile(limits, level=draw(st.integers(0, 3)), purpose=purpose, kind=kind, start=start, unit=unit, **others)


def limit_at(stack: list[ChargingProfile], moment: datetime, session_at: datetime) -> float | None:
    """Watts that are allowed at one moment, by asking every profile."""
    best: dict[str, tuple[int, float]] = {}
    for one in stack:
        watts = watts_of(one, moment, session_at)
        purpose = one.charging_profile_purpose
        if watts is not None and (purpose not in best or one.stack_level > best[purpose][0]):
            best[purpose] = (one.stack_level, watts)
    session = best.get("TxProfile") or best.get("TxDefaultProfile")
    caps = [found[1] for found in (session, best.get("ChargePointMaxProfile")) if found]
    return min(caps) if caps else None


def watts_of(one: ChargingProfile, moment: datetime, session_at: datetime) -> float | None:
    schedule = one.charging_schedule
    if isinstance(one.valid_from, str) and moment < parse_utc(one.valid_from):
        return None
    if isinstance(one.valid_to, str) and moment >= parse_utc(one.valid_to):
        return None
    begin = session_at if one.charging_profile_kind == "Relative" else parse_utc(str(schedule.start_schedule))
    passed = (moment - begin).total_seconds()
    if passed < 0:
        return None
    if one.charging_profile_kind == "Recurring":
        passed %= TURNS[str(one.recurrency_kind)]
    if isinstance(schedule.duration, int) and passed >= schedule.duration:
        return None
    limit = [p.limit for p in schedule.charging_schedule_period if p.start_period <= passed][-1]
    return limit if schedule.charging_rate_unit == "W" else limit * 230 * 3


def value_at(found: list[Period], second: int) -> float | None:
    return [period for period in found if period.start_s <= second][-1].limit


@settings(max_examples=200, deadline=None)
@given(stack=st.lists(profiles(), max_size=5), session=st.integers(-100, 0))
def test_each_second_is_what_asking_every_profile_gives(stack: list[ChargingProfile], session: int) -> None:
    distinct = list({(p.charging_profile_purpose, p.stack_level): p for p in stack}.values())
    session_at = at(session)
    found = composite(distinct, Around(START, LENGTH_S, "W", session_at))
    assert found[0].start_s == 0
    assert all(early.start_s < late.start_s for early, late in itertools.pairwise(found))
    for second in range(LENGTH_S):
        assert value_at(found, second) == limit_at(distinct, at(second), session_at), second
