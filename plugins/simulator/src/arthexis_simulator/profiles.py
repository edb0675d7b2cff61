"""Charging profiles of a simulated station: how they stack, and the composite schedule that follows (OCPP 1.6 §3.13).

Profiles are dictionaries as they came, with the names of the wire. Limits are W inside, A at 230 V per phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

VOLTS = 230.0
PHASES = 3
MAX, DEFAULT, TX = "ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"
RECURRING_S = {"Daily": 86_400, "Weekly": 7 * 86_400}


def read_time(text: str) -> datetime:
    """A time of the wire in UTC; without a zone it is UTC."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


@dataclass(slots=True)
class Installed:
    """A profile on a connector (0: the whole station)."""

    connector: int
    profile: dict[str, Any]

    @property
    def purpose(self) -> str:
        """ChargePointMaxProfile, TxDefaultProfile or TxProfile."""
        return str(self.profile["chargingProfilePurpose"])

    @property
    def schedule(self) -> dict[str, Any]:
        """Its charging schedule."""
        return dict(self.profile["chargingSchedule"])

    def limit_w(self, at: datetime, began: datetime | None) -> float | None:
        """What it allows at a moment of a transaction that began then; None where it says nothing."""
        since = self._since(at, began)
        if since is None or since < 0 or not self._valid(at):
            return None
        duration = self.schedule.get("duration")
        if duration is not None and since >= float(duration):
            return None
        period = None
        for candidate in self.schedule["chargingSchedulePeriod"]:
            if candidate["startPeriod"] <= since:
                period = candidate
        return None if period is None else self._watts(period)

    def _watts(self, period: dict[str, Any]) -> float:
        limit = float(period["limit"])
        if self.schedule["chargingRateUnit"] == "W":
            return limit
        return limit * VOLTS * int(period.get("numberPhases") or PHASES)

    def _valid(self, at: datetime) -> bool:
        start, end = self.profile.get("validFrom"), self.profile.get("validTo")
        return not (start and at < read_time(start)) and not (end and at >= read_time(end))

    def _since(self, at: datetime, began: datetime | None) -> float | None:
        """Seconds since the schedule's beginning."""
        kind = self.profile["chargingProfileKind"]
        if kind == "Relative":
            return (at - began).total_seconds() if began is not None else None
        start = self.schedule.get("startSchedule")
        first = read_time(start) if start else began
        if first is None:
            return 0.0
        seconds = (at - first).total_seconds()
        if kind == "Recurring" and seconds >= 0:
            return seconds % RECURRING_S.get(self.profile.get("recurrencyKind", "Daily"), 86_400)
        return seconds

    def edges(self, start: datetime, end: datetime, began: datetime | None) -> Iterator[datetime]:
        """The moments in a window at which its limit may change."""
        since = self._since(start, began)
        for name in ("validFrom", "validTo"):
            if self.profile.get(name):
                yield read_time(self.profile[name])
        if since is None:
            return
        every_s = RECURRING_S.get(self.profile.get("recurrencyKind", ""), 0)
        offsets = [0.0, *(float(p["startPeriod"]) for p in self.schedule["chargingSchedulePeriod"])]
        if self.schedule.get("duration") is not None:
            offsets.append(float(self.schedule["duration"]))
        rounds = int((end - start).total_seconds() // every_s) + 2 if every_s else 1
        for number in range(rounds):
            for offset in offsets:
                yield start + timedelta(seconds=offset - since + number * every_s)


@dataclass(slots=True)
class Profiles:
    """All profiles of a station."""

    most: int = 20
    installed: list[Installed] = field(default_factory=list)

    def set(self, connector: int, profile: dict[str, Any]) -> bool:
        """Install a profile in the place of one of its id, or of its connector, purpose and stack level."""
        new = Installed(connector, profile)
        kept = [old for old in self.installed if not _replaces(new, old)]
        if len(kept) >= self.most:
            return False
        self.installed = [*kept, new]
        return True

    def clear(
        self, *, profile_id: int | None = None, connector: int | None, purpose: str | None, stack_level: int | None
    ) -> bool:
        """Remove the profile of an id, else those that match all that is given; whether there was one."""
        gone = [
            item
            for item in self.installed
            if (
                item.profile["chargingProfileId"] == profile_id
                if profile_id is not None
                else connector in {None, item.connector}
                and purpose in {None, item.purpose}
                and stack_level in {None, item.profile["stackLevel"]}
            )
        ]
        self.installed = [item for item in self.installed if item not in gone]
        return bool(gone)

    def end_transaction(self, connector: int) -> None:
        """A transaction's own profiles end with it."""
        self.installed = [i for i in self.installed if not (i.connector == connector and i.purpose == TX)]

    def limit_w(self, connector: int, at: datetime, began: datetime | None) -> float | None:
        """The least of the station's limit and the transaction's (else the default's); None without any limit."""
        on_it = [i for i in self.installed if i.connector in {0, connector}]
        own = _top((i for i in on_it if i.purpose == TX), at, began)
        if own is None:
            own = _top((i for i in on_it if i.purpose == DEFAULT), at, began)
        whole = _top((i for i in self.installed if i.purpose == MAX), at, began)
        limits = [limit for limit in (own, whole) if limit is not None]
        return min(limits) if limits else None

    def composite(
        self, connector: int, at: datetime, seconds: int, unit: str, began: datetime | None, most_w: float
    ) -> dict[str, Any]:
        """The schedule that is in force for so many seconds from a moment (GetCompositeSchedule)."""
        end = at + timedelta(seconds=seconds)
        edges = {at} | {edge for item in self.installed for edge in item.edges(at, end, began) if at < edge < end}
        periods: list[dict[str, Any]] = []
        for edge in sorted(edges):
            limit_w = self.limit_w(connector, edge, began)
            watts = most_w if limit_w is None else limit_w
            limit = round(watts if unit == "W" else watts / VOLTS / PHASES, 1)
            if not periods or periods[-1]["limit"] != limit:
                periods.append({"startPeriod": int((edge - at).total_seconds()), "limit": limit})
        return {"duration": seconds, "chargingRateUnit": unit, "chargingSchedulePeriod": periods}


def _replaces(new: Installed, old: Installed) -> bool:
    if new.profile["chargingProfileId"] == old.profile["chargingProfileId"]:
        return True
    place = (new.connector, new.purpose, new.profile["stackLevel"])
    return place == (old.connector, old.purpose, old.profile["stackLevel"])


def _top(items: Iterable[Installed], at: datetime, began: datetime | None) -> float | None:
    """The limit of the highest stack level that says something now."""
    said = [(i.profile["stackLevel"], limit) for i in items if (limit := i.limit_w(at, began)) is not None]
    return max(said)[1] if said else None
