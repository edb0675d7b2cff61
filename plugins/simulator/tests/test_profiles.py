"""Charging profiles stack as OCPP 1.6 §3.13 says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from arthexis_simulator.profiles import Profiles

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def profile(
    number: int, purpose: str, limits: list[tuple[int, float]], *, level: int = 0, unit: str = "W", **more: Any
) -> dict[str, Any]:
    schedule = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": start, "limit": limit} for start, limit in limits],
    }
    if "startSchedule" not in more and more.get("chargingProfileKind") != "Relative":
        more["startSchedule"] = "2026-11-24T12:00:00Z"
    for name in ("startSchedule", "duration"):
        if name in more:
            schedule[name] = more.pop(name)
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
        **more,
    }


def periods(profiles: Profiles, seconds: int, unit: str = "W") -> list[tuple[int, float]]:
    schedule = profiles.composite(1, NOW, seconds, unit, NOW, 22_000.0)
    return [(period["startPeriod"], period["limit"]) for period in schedule["chargingSchedulePeriod"]]


def test_the_station_s_limit_caps_the_default_profile() -> None:
    profiles = Profiles()
    profiles.set(1, profile(1, "TxDefaultProfile", [(0, 11_000), (600, 3_700)]))
    profiles.set(0, profile(2, "ChargePointMaxProfile", [(0, 7_000)]))
    assert periods(profiles, 1200) == [(0, 7_000), (600, 3_700)]


def test_a_transaction_s_profile_replaces_the_default_and_ends_with_it() -> None:
    profiles = Profiles()
    profiles.set(1, profile(1, "TxDefaultProfile", [(0, 3_700)]))
    profiles.set(1, profile(2, "TxProfile", [(0, 9_000)]))
    assert profiles.limit_w(1, NOW, NOW) == 9_000
    profiles.end_transaction(1)
    assert profiles.limit_w(1, NOW, NOW) == 3_700


def test_the_highest_stack_level_that_says_something_wins() -> None:
    profiles = Profiles()
    profiles.set(1, profile(1, "TxDefaultProfile", [(0, 3_700)]))
    profiles.set(1, profile(2, "TxDefaultProfile", [(0, 9_000)], level=3, duration=300))
    assert periods(profiles, 900) == [(0, 9_000), (300, 3_700)]


def test_amperes_are_per_phase() -> None:
    profiles = Profiles()
    profiles.set(1, profile(1, "TxDefaultProfile", [(0, 16)], unit="A"))
    assert profiles.limit_w(1, NOW, NOW) == 16 * 230 * 3
    assert periods(profiles, 60, "A") == [(0, 16.0)]


def test_a_relative_profile_begins_with_the_transaction() -> None:
    profiles = Profiles()
    profiles.set(1, profile(1, "TxDefaultProfile", [(0, 9_000), (60, 5_000)], chargingProfileKind="Relative"))
    assert profiles.limit_w(1, NOW, NOW - timedelta(seconds=61)) == 5_000
    assert profiles.limit_w(1, NOW, None) is None


def test_a_daily_profile_comes_again() -> None:
    profiles = Profiles()
    limits = [(0, 9_000.0), (3600, 5_000.0)]
    daily = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "startSchedule": "2026-11-01T11:30:00Z"}
    profiles.set(1, profile(1, "TxDefaultProfile", limits, **daily))
    assert periods(profiles, 86_400) == [(0, 9_000), (1800, 5_000), (84_600, 9_000)]


def test_clearing_matches_all_that_is_given_and_the_id_alone() -> None:
    profiles = Profiles()
    profiles.set(1, profile(1, "TxDefaultProfile", [(0, 3_700)]))
    profiles.set(0, profile(2, "ChargePointMaxProfile", [(0, 7_000)], level=2))
    everything: dict[str, Any] = {"connector": None, "purpose": None, "stack_level": None}
    assert not profiles.clear(**{**everything, "purpose": "TxDefaultProfile", "stack_level": 2})
    assert profiles.clear(profile_id=2, **{**everything, "connector": 5})
    assert profiles.clear(**everything)
    assert not profiles.clear(**everything)


def test_a_profile_replaces_the_one_of_its_place() -> None:
    profiles = Profiles(most=1)
    assert profiles.set(1, profile(1, "TxDefaultProfile", [(0, 3_700)]))
    assert profiles.set(1, profile(9, "TxDefaultProfile", [(0, 4_000)]))
    assert not profiles.set(1, profile(2, "TxDefaultProfile", [(0, 4_000)], level=1))
    assert profiles.limit_w(1, NOW, NOW) == 4_000
