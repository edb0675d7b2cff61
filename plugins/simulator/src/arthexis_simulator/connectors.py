"""What a simulated station knows of its connectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from arthexis_simulator.car import Meter

if TYPE_CHECKING:
    from arthexis_simulator.session import Session

UNDELIVERED = -1


@dataclass(slots=True)
class Transaction:
    """One transaction; ``id`` is None until the central system has answered its start."""

    connector: int
    id_tag: str
    began: datetime
    id: int | None = None

    @property
    def wire_id(self) -> int:
        """Its id for messages; -1 where the start could not be delivered (OCPP 1.6 errata 3.18)."""
        return self.id if self.id is not None else UNDELIVERED


@dataclass(frozen=True, slots=True)
class Reservation:
    """A connector is kept for a tag until a time."""

    id: int
    id_tag: str
    expires: datetime

    def for_tag(self, id_tag: str) -> bool:
        """Whether it is this tag's."""
        return self.id_tag.casefold() == id_tag.casefold()


@dataclass(slots=True)
class Connector:
    """A connector with its meter, and what goes on there."""

    number: int
    meter: Meter = field(default_factory=Meter)
    status: str = "Available"
    operative: bool = True
    starting: bool = False
    transaction: Transaction | None = None
    reservation: Reservation | None = None
    session: Session | None = None
    metered: datetime | None = None

    @property
    def resting(self) -> str:
        """Its status when no car is there."""
        if not self.operative:
            return "Unavailable"
        return "Reserved" if self.reservation is not None else "Available"

    def free_for(self, id_tag: str) -> bool:
        """Whether a session of this tag may begin here."""
        if not self.operative or self.starting or self.transaction is not None:
            return False
        if self.reservation is not None:
            return self.reservation.for_tag(id_tag)
        return self.status in {"Available", "Preparing"}
