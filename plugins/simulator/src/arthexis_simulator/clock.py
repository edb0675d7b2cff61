"""A station's clock: real time, or time that passes faster so that a session of an hour takes seconds."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class StationClock:
    """UTC that passes ``speed`` times as fast as it does, from ``start`` (now, if that is not given)."""

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        """Begin to tick."""
        self.speed = speed
        self._start = start or datetime.now(UTC)
        self._since = time.monotonic()

    def now(self) -> datetime:
        """The station's time, UTC."""
        return self._start + timedelta(seconds=(time.monotonic() - self._since) * self.speed)

    async def until(self, when: datetime) -> None:
        """Wait for a moment of the station's time."""
        await self.pause((when - self.now()).total_seconds())

    async def pause(self, seconds: float) -> None:
        """Let so many of the station's seconds pass."""
        await asyncio.sleep(max(0.0, seconds / self.speed))


def text_of(at: datetime) -> str:
    """A time as stations write it: UTC, milliseconds, ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
