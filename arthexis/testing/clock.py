"""A clock that stands still until a test turns it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from arthexis.clock import Clock


class FrozenClock(Clock):
    """Wall and monotonic time that pass only by ``advance``; ``set`` jumps the wall clock alone, as an operator may."""

    def __init__(self, now: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)) -> None:
        """Stand at this moment (aware, UTC)."""
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """The moment at which the clock stands."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that only ``advance`` moves."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set(self, now: datetime) -> None:
        """Jump the wall clock; monotonic time does not move."""
        self._now = now
