"""Presence: from what a reader sees again and again to one presentation, held or not, and one removal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from arthexis_rfid.cards import Card, Sighting

SCANNED: Final = "scanned"
HELD: Final = "held"
REMOVED: Final = "removed"
MOST: Final = 1_000
MOST_MISREAD: Final = 64
"""More than so many at once are noise on a line, which must neither fill the memory nor hide a card."""


@dataclass(frozen=True, slots=True)
class Change:
    """A card came (``scanned``), stays (``held``) or went (``removed``)."""

    kind: str
    seen: Sighting


@dataclass(slots=True)
class _Present:
    since: float
    last: float
    held: bool = False


class Presence:
    """What is in the field of one reader. A card that is missed for less than ``gap_s`` was there all the time."""

    def __init__(self, gap_s: float, held_s: float) -> None:
        """Begin with an empty field; times are seconds of any clock that only goes on."""
        self._gap_s = gap_s
        self._held_s = held_s
        self._there: dict[Sighting, _Present] = {}

    @property
    def there(self) -> tuple[Sighting, ...]:
        """What is in the field now, the first that came first."""
        return tuple(self._there)

    def see(self, sightings: Iterable[Sighting], now: float) -> list[Change]:
        """What has changed, now that this is seen."""
        changes = []
        for seen in sightings:
            present = self._there.get(seen)
            if present is None and len(self._there) >= (MOST if isinstance(seen, Card) else MOST_MISREAD):
                continue
            if present is None:
                self._there[seen] = _Present(now, now)
                changes.append(Change(SCANNED, seen))
                continue
            present.last = now
            if not present.held and now - present.since >= self._held_s:
                present.held = True
                changes.append(Change(HELD, seen))
        gone = [seen for seen, present in self._there.items() if now - present.last >= self._gap_s]
        return [*self._left(gone), *changes]

    def clear(self) -> list[Change]:
        """The reader is gone, and with it whatever lay on it."""
        return self._left(list(self._there))

    def _left(self, gone: list[Sighting]) -> list[Change]:
        for seen in gone:
            del self._there[seen]
        return [Change(REMOVED, seen) for seen in gone]
