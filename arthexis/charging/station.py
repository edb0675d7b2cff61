"""A station as the rest of the house sees it while it is connected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo

from arthexis.charging.decisions import RegistrationStatus


@dataclass(slots=True, eq=False)
class Station:
    """A charge point: ``id`` is its identity as the operator wrote it, ``key`` its row (None: not approved yet).

    ``registration`` is what its last boot was answered, ``held`` what an operator wants it to be answered instead of
    Accepted. ``strict`` tells whether its frames are mended; ``zone`` is the one of its timestamps that name none;
    ``charging`` the latest transaction of its own that it sent meter values of.
    """

    id: str
    key: int | None
    registration: RegistrationStatus | None = None
    strict: bool = False
    zone: tzinfo = UTC
    authenticated: bool = False
    held: RegistrationStatus | None = None
    charging: int = 0

    @property
    def known(self) -> bool:
        """Whether the station was added by an operator (or admitted by an open node)."""
        return self.key is not None

    @property
    def row(self) -> int:
        """The key of its row; a station that only waits for approval has none and never gets this far."""
        if self.key is None:
            raise LookupError(f"station {self.id} is not approved yet")
        return self.key
