"""A CALL of a station as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from arthexis.charging.messages import INSERT as LOG
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


class Call(Generic[P]):
    """One CALL: its decoded ``payload``, its ``record`` (raw frame, receipt time, repairs), and the node around it."""

    __slots__ = ("_link", "_ready", "host", "payload", "record", "reply", "stored")

    def __init__(self, link: Link, ready: Ready, payload: P, record: frames.Call) -> None:
        """Made by the link for each CALL."""
        self._link = link
        self._ready = ready
        self.host: Host = link.host
        self.payload = payload
        self.record: frames.Call = record
        self.stored = False
        self.reply: tuple[Any, bytes] | None = None

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
        row = self._link.log_row(self.record)
        if row is None:
            return self.host.journal.write(fn)
        response = self._ready.response

        def both(db: Connection) -> T:
            value = fn(db)
            if type(value) is response:
                answer = frames.result(self.record.wire_id, value)
                self.reply = (value, answer)
                row["answer"] = answer
            db.gather(LOG, row)
            return value

        return self.host.journal.write(both)

    def answer(self, **members: Any) -> Any:
        """The answer Struct of this action, from its members in Python's spelling."""
        return self._ready.response(**members)

    def time(self, text: str) -> datetime | None:
        """A time that the station wrote, in UTC; None where it is none. A missing zone is the station's own."""
        return self._link.time(text)

    async def ask(self, action: str, payload: Any, timeout_s: float | None = None) -> dict[str, Any]:
        """Send a CALL to the station from within a handler; raises ``CallFailed``."""
        return await self._link.ask(action, payload, timeout_s)
