"""Sending: a lane for each notifier, which gives it one notification after the other and waits for no other lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from arthexis import Clock, Connection, Context, DomainError, Notifier, Plugin, PluginError, Unavailable
from arthexis_notify import tables

T = TypeVar("T")
LOOK_S: Final = 0.1
FIRST_PAUSE_S: Final = 5.0
MOST_PAUSE_S: Final = 600.0
MOST_FAULTS: Final = 8
AGAIN_S: Final = 1.0
LONGEST: Final = timedelta(seconds=MOST_PAUSE_S)


def come(moment: datetime, now: datetime, longest: timedelta) -> bool:
    """Whether a moment has come; one further away than the ``longest`` was named before the clock was set back."""
    return not now < moment <= now + longest


async def until(
    clock: Clock,
    moment: datetime | None,
    woken: asyncio.Event,
    early: Callable[[], bool],
    longest: timedelta,
) -> None:
    """Wait until the clock has come to a moment, or something is there ``early``; without a moment until it is woken.

    The clock is looked at, not slept by: a test turns it, and so may an operator.
    """
    if moment is None:
        await woken.wait()
        return
    while not come(moment, clock.now(), longest) and not early():
        await asyncio.sleep(LOOK_S)


async def stored(ctx: Context, store: Callable[[Connection], T]) -> T:
    """Write something however long the database cannot be written: what was sent must not be sent for ever."""
    while True:
        try:
            return await ctx.journal.write(store)
        except Unavailable as failure:
            ctx.log.warning("notifications wait: %s", failure)
            await asyncio.sleep(AGAIN_S)


async def found(ctx: Context, look: Callable[[Connection], T]) -> T:
    """Read something however long the database cannot be read: who looks for ever must not end of one failure."""
    while True:
        try:
            return await ctx.host.database.read(look)
        except Unavailable as failure:
            ctx.log.warning("notifications wait: %s", failure)
            await asyncio.sleep(AGAIN_S)


class Lane:
    """One notifier and what waits for it.

    While it says that it cannot (``Unavailable``), the lane pauses, longer each time. A notification that it breaks at
    (``PluginError``) is tried again later, behind the others; one that it refuses (``DomainError``) is given up.
    """

    def __init__(self, ctx: Context, plugin: Plugin, notifier: Notifier) -> None:
        """Serve this notifier of this plugin; ``run`` must follow."""
        self.plugin = plugin
        self.notifier = notifier
        self.error: str | None = None
        self.paused_until: datetime | None = None
        self._ctx = ctx
        self._clock = ctx.clock
        self._woken = asyncio.Event()
        self._failures = 0
        self._was_away = False
        self._hurried = True

    @property
    def name(self) -> str:
        """The notifier's name."""
        return self.notifier.name

    @property
    def _works(self) -> bool:
        """Whether the plugin is there and may be called: neither unavailable nor suspended for what went wrong."""
        return self.plugin.at_work and self.plugin.state != "suspended"

    def hurry(self) -> None:
        """It works again: nothing waits any longer for its next try."""
        self._hurried = True
        self._woken.set()

    def wake(self) -> None:
        """Something may wait for it."""
        self._woken.set()

    def _early(self) -> bool:
        """Whether to look before it is time: it works again, or something new is there, and no pause."""
        self._hurried = self._hurried or (self._was_away and self._works)
        return self._hurried or (self._woken.is_set() and self.paused_until is None)

    async def run(self) -> None:
        """Give the notifier what waits, for ever."""
        while self.plugin.climbing and not self.plugin.at_work:  # its lifespan may not be open yet
            await asyncio.sleep(LOOK_S)
        self.wake()
        while True:
            await until(self._clock, await self._next_look(), self._woken, self._early, LONGEST)
            self._woken.clear()
            if self._hurried:
                now, self._hurried = self._clock.now(), False
                await stored(self._ctx, partial(tables.hurry, name=self.name, at=now))
            self.paused_until, self._was_away = None, False
            await self._round()

    async def _next_look(self) -> datetime | None:
        if self.paused_until is not None or self._woken.is_set():
            return self.paused_until
        return await found(self._ctx, lambda db: tables.next_try(db, self.name))

    async def _round(self) -> None:
        """Send everything that is due, the most urgent first; ends early where the notifier cannot."""
        while row := await found(self._ctx, lambda db: tables.waiting(db, self.name, self._clock.now(), LONGEST)):
            if not await self._send(row):
                return

    async def _send(self, row: Mapping[str, Any]) -> bool:
        """Give it one notification; False if it cannot take any now."""
        said, now = tables.said(row), self._clock.now()
        if said.expires_at is not None and said.expires_at <= now:
            await stored(self._ctx, lambda db: tables.ended(db, row["id"], tables.EXPIRED, now))
            return True
        try:
            await self._ctx.call(self.plugin, self.notifier.handler, said, within_s=self.notifier.within_s)
        except Unavailable as error:
            return await self._unavailable(row, str(error))
        except DomainError as error:
            self.error = problem = str(error)
            await self._ended(row, tables.GIVEN_UP, problem)
        except PluginError as error:
            await self._broke(row, error.problem)
        else:
            self._failures, self.error = 0, None
            await self._ended(row, tables.SENT)
        return True

    async def _ended(self, row: Mapping[str, Any], state: str, error: str | None = None) -> None:
        now = self._clock.now()
        await stored(self._ctx, lambda db: tables.ended(db, row["id"], state, now, error))

    async def _unavailable(self, row: Mapping[str, Any], problem: str) -> bool:
        """The notifier is not there: everything for it waits, at first for seconds, then for minutes."""
        self.error, self._was_away = problem, not self._works
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self._failures, 20), MOST_PAUSE_S)
        self._failures += 1
        self.paused_until = next_at = self._clock.now() + timedelta(seconds=pause_s)
        await stored(self._ctx, lambda db: tables.again(db, row["id"], next_at, problem, fault=False))
        return False

    async def _broke(self, row: Mapping[str, Any], problem: str) -> None:
        """The notifier broke at this one: others get their turn, and this one comes again a few times."""
        self.error = problem
        if row["faults"] + 1 >= MOST_FAULTS:
            await self._ended(row, tables.GIVEN_UP, problem)
            return
        next_at = self._clock.now() + timedelta(seconds=min(FIRST_PAUSE_S * 2 ** row["faults"], MOST_PAUSE_S))
        await stored(self._ctx, lambda db: tables.again(db, row["id"], next_at, problem, fault=True))
