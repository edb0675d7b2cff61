"""What plugins offer each other without importing each other: Protocols, implemented by whoever registers them.

Offered with ``register_services`` and asked for with ``host.service(interface)``, which answers None where no plugin
offers one; each interface says what is then to be done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from arthexis.db.statements import Connection


class StationConfiguration(Protocol):
    """What stations said of their configuration. Without one, every key counts as never seen."""

    def value(self, db: Connection, station_id: int, key: str) -> str | None:
        """A key's value as the station last told or accepted it, whatever the key's case; None if that is not known."""


class FileStore(Protocol):
    """Files that are kept beside the database. Without one, there is no place for files: refuse what needs it."""

    async def keep(self, kind: str, name: str, content: AsyncIterator[bytes], *, station: str | None = None) -> str:
        """Keep a file of a kind (firmware, diagnostics, …) under a name for people; its uid.

        Raises ``DomainError`` where it is too large or the store is full.
        """

    async def read(self, uid: str) -> bytes:
        """A file's content, as it was kept; raises ``NotFound``, and ``Unavailable`` where it is not what was kept."""
