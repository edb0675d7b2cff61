"""A CALL of a station as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from arthexis.charging.messages import INSERT as LOG
from arthexis.charging.times import parse_utc
from arthexis.db.statements import Connection
from arthexis.ocppj import frames

if TYPE_CHECKING:
    from datetime import datetime

    from arthexis.charging.station import Station
    from arthexis.clock import Clock
    from arthexis.host import Host
    from arthexis.ocppj.dialect import Ready
    from arthexis.ocppj.link import Link

P = TypeVar("P")
T = TypeVar("T")


class Call(Struct, Generic[P], gc=False):
    """One CALL: its decoded ``payload``, its ``record`` (raw frame, receipt time, repairs), and the node around it.

    A Struct, because one is made for each message; ``stored`` and ``reply`` are the link's notes on what was written.
    """

    _link: Link
    _ready: Ready
    payload: P
    record: frames.Call
    host: Host
    stored: bool = False
    reply: tuple[Any, bytes] | None = None

    @property
    def station(self) -> Station:
        """The station that calls."""
        return self._link.station

    @property
    def remote(self) -> str:
        """The address the station calls from."""
        return self._link.remote

    @property
    def clock(self) -> Clock:
        """The node's clock."""
        return self.host.clock

    @property
    def config(self) -> Any:
        """The settings of the plugin that answers."""
        return self._ready.plugin.settings

    def write(self, fn: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Run ``fn(db)`` in the next commit, together with the record of this message; await it before answering.

        Where ``fn`` returns the answer itself, that is put on record in the same commit too.
        """
        self.stored = True
        record, journal = self.record, self.host.journal
        if not self.host.log_messages and not record.repairs:
            return journal.write(fn)
        response, row_of = self._ready.response, self._link.row

        def both(db: Connection) -> T:
            value = fn(db)
            row = row_of(record)
            if type(value) is response:
                answer = row["answer"] = frames.result(record.wire_id, value)
                self.reply = (value, answer)
            db.gather(LOG, row)
            return value

        return journal.write(both)

    def answer(self, **members: Any) -> Any:
        """The answer Struct of this action, from its members in Python's spelling."""
        return self._ready.response(**members)

    def time(self, text: str) -> datetime | None:
        """A time that the station wrote, in UTC; None where it is none. A missing zone is the station's own."""
        return parse_utc(text, self._link.station.zone)

    async def ask(self, action: str, payload: Any, timeout_s: float | None = None) -> dict[str, Any]:
        """Send a CALL to the station from within a handler; raises ``CallFailed``."""
        return await self._link.ask(action, payload, timeout_s)
