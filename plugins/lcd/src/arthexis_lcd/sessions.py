"""The sessions that run on the node: read from its database whenever a hook says that something has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from arthexis import meter_values, transactions

if TYPE_CHECKING:
    from arthexis import Connection

REGISTER: Final = "Energy.Active.Import.Register"
KILO: Final = {"Wh": 1, "kWh": 1000}
MOST_COUNTED: Final = 200
MOST_SHOWN: Final = 20
LATEST: Final = 5
"""So many of the latest readings are looked through for a register."""


@dataclass(frozen=True, slots=True)
class Session:
    """A transaction whose tag may charge; ``energy_wh`` is None until its meter has said something that makes sense."""

    id: int
    station: str
    connector: int
    started_at: datetime | None
    energy_wh: float | None = None

    @property
    def place(self) -> str:
        """Station and connector."""
        return f"{self.station} #{self.connector}"

    def told(self, now: datetime, columns: int) -> str:
        """Energy and minutes, as wide as there is room."""
        minutes = int((now - self.started_at).total_seconds() // 60) if self.started_at is not None else 0
        spent = f"{max(0, minutes)} min"
        if self.energy_wh is None:
            return spent
        kwh = self.energy_wh / 1000
        ways = (f"{kwh:.2f} kWh {spent}", f"{kwh:.1f} kWh {spent}", f"{kwh:.1f}kWh {max(0, minutes)}min")
        return next((way for way in ways if len(way) <= columns), ways[-1])


@dataclass(frozen=True, slots=True)
class Running:
    """What runs: how many sessions (``more``: there are even more), and the latest of them in full."""

    many: int = 0
    more: bool = False
    sessions: tuple[Session, ...] = ()

    @property
    def count(self) -> str:
        """How many, as it is shown."""
        return f"{self.many}+" if self.more else str(self.many)


def running(db: Connection) -> Running:
    """The sessions that are open now, the oldest first."""
    rows = [row for row in transactions.rows(db, active=True, limit=MOST_COUNTED) if row["authorization"] == "Accepted"]
    latest = reversed(rows[:MOST_SHOWN])
    return Running(len(rows), len(rows) >= MOST_COUNTED, tuple(_metered(db, row) for row in latest))


def ended(db: Connection, session: Session) -> Session | None:
    """A session as it ended; None where it is still open or its energy makes no sense."""
    row = transactions.get(db, session.id)
    if row is None or row["open"] or row["energy_wh"] is None:
        return None
    return replace(session, energy_wh=float(row["energy_wh"]))


def _metered(db: Connection, row: Mapping[str, Any]) -> Session:
    wrong = transactions.CLOCK in row["flags"]
    started_at = row["start_received_at"] if wrong else row["started_at"]
    readings = meter_values.page(db, transaction_id=row["id"], limit=LATEST)
    energy_wh = _energy(row["meter_start_wh"], readings)
    return Session(row["id"], row["station"], row["connector"], started_at, energy_wh)


def _energy(start_wh: int | None, readings: Iterable[Mapping[str, Any]]) -> float | None:
    """Wh since the start by the highest of the latest registers; 0 before there is one; None where that is nonsense."""
    if start_wh is None:
        return None
    reached = max((wh for reading in readings for wh in _registers(reading["samples"])), default=float(start_wh))
    return reached - start_wh if reached >= start_wh else None


def _registers(samples: Iterable[Any]) -> Iterator[float]:
    """The registers of whole connectors among samples, in Wh."""
    for sample in samples:
        if not isinstance(sample, dict) or sample.get("phase") or sample.get("measurand", REGISTER) != REGISTER:
            continue
        try:
            yield float(sample.get("value", "")) * KILO[sample.get("unit") or "Wh"]
        except (ValueError, TypeError, KeyError):
            continue
