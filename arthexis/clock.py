"""The time, injected: tests put their own clock in its place."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Wall time in UTC for what is stored, monotonic seconds for time-outs."""

    def now(self) -> datetime:
        """The moment, aware and in UTC."""
        return datetime.now(UTC)

    def now_text(self) -> str:
        """The moment as OCPP wants it: ISO 8601, UTC, milliseconds, ``Z``."""
        return self.now().isoformat(timespec="milliseconds")[:-6] + "Z"

    def monotonic(self) -> float:
        """Seconds that never jump; only differences mean anything."""
        return time.monotonic()
