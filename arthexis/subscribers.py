"""Durable readers of events: each goes on where it stopped, at least once, in order, also after a restart."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from arthexis.contributions import Subscriber
from arthexis.db import events
from arthexis.db.events import Event
from arthexis.errors import Unavailable
from arthexis.plugins.states import Plugin

if TYPE_CHECKING:
    from arthexis.host import Host

log = logging.getLogger("arthexis.host")

HANDLE_S = 30.0
TRIES = 10
PAUSE_S = 0.5
MOST_PAUSE_S = 60.0
IDLE_S = 30.0


class Readers:
    """One task for each durable subscriber."""

    def __init__(self, host: Host) -> None:
        """Start nothing yet."""
        self._host = host
        self._woken: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read for every subscriber."""
        for plugin, subscriber in self._host.composition.subscribers:
            woken = asyncio.Event()
            self._woken.append(woken)
            work = self._read(plugin, subscriber, woken)
            self._tasks.append(self._host.spawn(work, f"subscriber {subscriber.name}"))

    def wake(self) -> None:
        """There are new events."""
        for woken in self._woken:
            woken.set()

    async def stop(self) -> None:
        """End all readers; what they have not handled waits for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._woken.clear()

    async def _read(self, plugin: Plugin, subscriber: Subscriber, woken: asyncio.Event) -> None:
        last = await self._place(subscriber)
        while True:
            woken.clear()
            batch = await self._host.database.read(lambda db, last=last: events.after(db, last))  # type: ignore[misc]
            for event in batch:
                if event.kind in subscriber.kinds:
                    await self._deliver(plugin, subscriber, event)
                last = event.id
            if batch:
                await self._remember(subscriber, last)
                continue
            try:
                async with asyncio.timeout(IDLE_S):
                    await woken.wait()
            except TimeoutError:
                continue

    async def _place(self, subscriber: Subscriber) -> int:
        """Where this reader stopped; a new one starts with the next event."""
        last = await self._host.database.read(lambda db: events.cursor(db, subscriber.name))
        if last is not None:
            return last
        row = await self._host.database.read(lambda db: db.one(events.LAST))
        last = int(row[0]) if row else 0
        await self._remember(subscriber, last)
        return last

    async def _deliver(self, plugin: Plugin, subscriber: Subscriber, event: Event) -> None:
        """Hand one event over; a handler that fails is asked again, then the event is given up, loudly."""
        pause_s = PAUSE_S
        handler = self._host.context(plugin).fitted(subscriber.handler)
        for _ in range(TRIES):
            _, error = await self._host.contain.timed(HANDLE_S, plugin, handler, event)
            if error is None:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MOST_PAUSE_S)
        log.error("subscriber %s gave up event %d (%s)", subscriber.name, event.id, event.kind)

    async def _remember(self, subscriber: Subscriber, last: int) -> None:
        at = self._host.clock.now()
        while True:
            try:
                await self._host.journal.write(lambda db: events.move(db, subscriber.name, last, at))
            except Unavailable:
                await asyncio.sleep(PAUSE_S)
            else:
                return
