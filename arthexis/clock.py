"""The time, injected: tests put their own clock in its place."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

import msgspec

SECOND: Final = len('"2026-11-23T20:05:17')
MILLISECOND: Final = len('"2026-11-23T20:05:17.123')
encode = msgspec.json.Encoder().encode


class Clock:
    """Wall time in UTC for what is stored, monotonic seconds for time-outs."""

    def now(self) -> datetime:
        """The moment, aware and in UTC."""
        return datetime.now(UTC)

    def now_text(self) -> str:
        """The moment as OCPP wants it: ISO 8601, UTC, milliseconds, ``Z``."""
        text = encode(self.now()).decode()
        return f"{text[1:MILLISECOND]}Z" if text[SECOND] == "." else f"{text[1:SECOND]}.000Z"

    def monotonic(self) -> float:
        """Seconds that never jump; only differences mean anything."""
        return time.monotonic()
