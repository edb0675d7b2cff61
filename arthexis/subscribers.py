"""Durable readers of events: each goes on where it stopped, at least once, in order, also after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from arthexis.contributions import EVERY, Subscriber
from arthexis.db import events
from arthexis.db.events import Event, Told
from arthexis.db.statements import Prepared
from arthexis.errors import Unavailable
from arthexis.plugins.contain import attempt
from arthexis.plugins.states import Plugin, State

if TYPE_CHECKING:
    from arthexis.host import Host

log = logging.getLogger("arthexis.host")

HANDLE_S = 30.0
TRIES = 10
PAUSE_S = 0.5
MOST_PAUSE_S = 60.0
IDLE_S = 30.0
KEEP_PLACE_S = 1.0
STOP_S = 1.0
FAR = 10_000
"""Events of other kinds after which a reader's place is kept, so that a restart need not pass by them again."""


def kinds_of(plugin: Plugin, subscriber: Subscriber) -> tuple[frozenset[str], BaseException | None]:
    """The kinds that a subscriber reads under its plugin's settings; none where its own function of that fails."""
    if not callable(subscriber.kinds):
        return frozenset(subscriber.kinds), None
    kinds, error = attempt(subscriber.kinds, plugin.settings)
    if error is None and not isinstance(kinds, (frozenset, set)):
        error = TypeError(f"the kinds of subscriber {subscriber.name} are no frozenset")
    return (frozenset(), error) if error is not None else (frozenset(kinds or ()), None)


class Readers:
    """One task for each durable subscriber."""

    def __init__(self, host: Host) -> None:
        """Start nothing yet."""
        self._host = host
        self._woken: list[tuple[frozenset[str], asyncio.Event]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Begin to read for every subscriber, from where it stopped; a new one gets every event from now on."""
        for plugin, subscriber in self._host.composition.subscribers:
            kinds = self._kinds(plugin, subscriber)
            woken = asyncio.Event()
            self._woken.append((kinds, woken))
            work = self._read(plugin, subscriber, kinds, woken, await self._place(subscriber))
            self._tasks.append(self._host.spawn(work, f"subscriber {subscriber.name}"))

    def _kinds(self, plugin: Plugin, subscriber: Subscriber) -> frozenset[str]:
        """What a subscriber reads; nothing where its own function of that fails, which is counted."""
        kinds, error = kinds_of(plugin, subscriber)
        if error is not None:
            self._host.contain.count(plugin, error, f"subscriber {subscriber.name}")
        return kinds

    def wake(self, told: Told) -> None:
        """There are new events: those who read one of their kinds look. Meter values alone come thousands a second."""
        if self._woken:
            kinds = {kind for kind, _, _ in told.rows}
            for wanted, woken in self._woken:
                if EVERY in wanted or not kinds.isdisjoint(wanted):
                    woken.set()

    async def stop(self) -> None:
        """End all readers, after the event they are at if that is soon done; the rest waits for the next start."""
        self._stopping = True
        for _, woken in self._woken:
            woken.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._woken.clear()

    async def _read(
        self, plugin: Plugin, subscriber: Subscriber, kinds: frozenset[str], woken: asyncio.Event, last: int
    ) -> None:
        wanted = events.AFTER if EVERY in kinds else events.of_kinds(kinds)
        kept = last
        while not self._stopping:
            woken.clear()
            batch, through = await self._behind(wanted, last)
            if batch:
                last = kept = await self._handle(plugin, subscriber, batch)
                continue
            last = through
            if last - kept >= FAR:
                self._note(subscriber, last)
                kept = last
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await woken.wait()

    async def _handle(self, plugin: Plugin, subscriber: Subscriber, batch: list[Event]) -> int:
        """Deliver a batch; the last number. How far it came is kept on the way, and where it is broken off."""
        done, kept_at = batch[0].id - 1, self._host.loop.time()
        try:
            for event in batch:
                await self._deliver(plugin, subscriber, event)
                done = event.id
                if self._stopping:
                    break
                if self._host.loop.time() - kept_at > KEEP_PLACE_S:
                    kept_at = self._host.loop.time()
                    self._note(subscriber, done)
        finally:
            self._note(subscriber, done)
        return done

    async def _behind(self, wanted: Prepared, last: int) -> tuple[list[Event], int]:
        """The next events, and how far there are no others; waits while the database cannot be read."""
        while True:
            try:
                return await self._host.database.read(lambda db: events.behind(db, wanted, last))
            except Unavailable as error:
                log.warning("subscribers wait: %s", error)
                await asyncio.sleep(PAUSE_S)

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
        """Hand one event over; a handler that fails is asked again.

        As long as it raises ``Unavailable`` it is asked for ever, because what it needs will come back. An event at
        which it fails otherwise, ``TRIES`` times in minutes, is given up, loudly, so that others get their turn.
        """
        handler = self._host.context(plugin).fitted(subscriber.handler)
        while plugin.state in (State.FAILED, State.UNAVAILABLE):
            await asyncio.sleep(PAUSE_S)
        pause_s, tries, label = PAUSE_S, 0, f"subscriber {subscriber.name}"
        while tries < TRIES:
            _, error = await self._host.contain.timed(HANDLE_S, plugin, handler, event, hook=label)
            if error is None:
                return
            tries += not isinstance(error, Unavailable)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MOST_PAUSE_S)
        log.error("subscriber %s gave up event %d (%s)", subscriber.name, event.id, event.kind)

    def _note(self, subscriber: Subscriber, last: int) -> None:
        """Keep how far a reader has come with the next commit; if that is not made, it reads some events again."""
        at = self._host.clock.now()
        self._host.journal.note(lambda db: events.move(db, subscriber.name, last, at))

    async def _remember(self, subscriber: Subscriber, last: int) -> None:
        at = self._host.clock.now()
        while True:
            try:
                await self._host.journal.write(lambda db: events.move(db, subscriber.name, last, at))
            except Unavailable:
                await asyncio.sleep(PAUSE_S)
            else:
                return
