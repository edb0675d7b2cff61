"""What plugins offer each other without importing each other: Protocols, implemented by whoever registers them.

Offered with ``register_services`` and asked for with ``host.service(interface)``, which answers None where no plugin
offers one; each interface says what is then to be done. What goes through an interface stands beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

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


MOST_LIFETIME_S: Final = 366 * 24 * 3600.0
PRIORITIES: Final = ("alarm", "event", "session", "status")
"""What a notification may be, the most urgent first."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that people should read: a text, and what a notifier needs to know to show it well.

    ``at`` is when it was said (aware UTC: ``ctx.clock.now()``); it is worth showing for ``lifetime_s`` seconds, or for
    ever. ``priority`` is one of ``PRIORITIES``. A newer one with the same ``key`` replaces the older. ``station``,
    ``connector`` and ``kind`` (the kind of event) say what it is about, where it is about something.
    """

    text: str
    title: str = ""
    priority: str = "event"
    lifetime_s: float | None = None
    key: str = ""
    station: str | None = None
    connector: int | None = None
    kind: str = ""
    at: datetime = field(kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what nobody could show; raises ``ValueError``."""
        if self.priority not in PRIORITIES:
            raise ValueError(f"priority {self.priority!r} is none of {', '.join(PRIORITIES)}")
        if self.lifetime_s is not None and not 0 < self.lifetime_s < MOST_LIFETIME_S:
            raise ValueError(f"lifetime_s must be above 0 and below {MOST_LIFETIME_S:g}")
        if self.at.tzinfo is None:
            raise ValueError("at must be an aware datetime, as ctx.clock.now() is")

    @property
    def expires_at(self) -> datetime | None:
        """From when on it is not worth showing any more; None: always."""
        return None if self.lifetime_s is None else self.at + timedelta(seconds=self.lifetime_s)


class Notifications(Protocol):
    """Telling people something. Without one (no plugin sends notifications), say it in the log and go on."""

    async def notify(self, notification: Notification, to: Collection[str] = ()) -> None:
        """Keep it for these notifiers, or for those that the rules name where ``to`` is empty; they have it soon.

        Returns when it is kept, so that it is not lost. Raises ``NotFound`` for a notifier that there is not, and
        ``Unavailable`` where it cannot be kept.
        """
