"""The desk of one node: where notifications come in, and the lanes on which they go out."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection
from datetime import timedelta
from functools import partial
from typing import Any

from arthexis import Context, Event, NotFound, Notification, Notifications, Notifier, Unavailable
from arthexis_notify import tables, taking
from arthexis_notify.sending import Lane, come, found, stored, until
from arthexis_notify.settings import Settings


class Desk:
    """Everything that this plugin holds open while the node runs."""

    def __init__(self, ctx: Context) -> None:
        """Belong to this node, and know the notifiers of all its plugins; ``open`` must follow."""
        self.ctx = ctx
        self.settings: Settings = ctx.config
        self.lanes = {
            notifier.name: Lane(ctx, plugin, notifier)
            for plugin, notifier in ctx.contributions(Notifier)
            if plugin is not ctx.plugin or notifier.name in self.settings.set_up
        }
        self._due = asyncio.Event()

    def open(self) -> None:
        """Begin to send."""
        for lane in self.lanes.values():
            self.ctx.spawn(lane.run(), f"notifier {lane.name}")
        self.ctx.spawn(self._tell_due(), "what is told later")
        for rule, name, cure in self.strangers():
            self.ctx.log.warning("rule %s names a notifier %s that there is not. %s", rule, name, cure)

    def strangers(self) -> list[tuple[str, str, str]]:
        """Rules that name notifiers that there are not: the rule, the name, and a cure."""
        strange = [(rule.name, name) for rule in self.settings.in_force for name in rule.to if name not in self.lanes]
        return [(rule, name, self._cure(name)) for rule, name in strange]

    def _cure(self, name: str) -> str:
        if name in {"mail", "webhook"}:
            return f"Set it up: write [plugins.notify.{name}] in arthexis.toml"
        close = difflib.get_close_matches(name, self.lanes, 1)
        there = ", ".join(sorted(self.lanes))
        return f"Did you mean {close[0]}?" if close else f"There are {there}. A plugin that brings it may be off"

    def lane(self, name: str) -> Lane:
        """The lane of a notifier; raises ``NotFound``."""
        if name not in self.lanes:
            raise NotFound(f"there is no notifier {name}", place="notify", cure=self._cure(name))
        return self.lanes[name]

    async def take(self, event: Event) -> None:
        """Store what an event leads to; raises ``Unavailable`` where that cannot be."""
        store = taking.taking(self.settings, event, sorted(self.lanes), self.ctx.clock.now())
        if store is not None:
            await self.ctx.journal.write(store)
            self._wake()

    async def say(self, said: Notification, to: Collection[str]) -> int:
        """Store a notification for these notifiers, or all; its number. Raises ``NotFound`` and ``Unavailable``."""
        names = [self.lane(name).name for name in dict.fromkeys(to)] or sorted(self.lanes)
        number = await self.ctx.journal.write(taking.saying(self.settings, said, names, self.ctx.clock.now()))
        self._wake()
        return number

    def _wake(self) -> None:
        self._due.set()
        for lane in self.lanes.values():
            lane.wake()

    async def _tell_due(self) -> None:
        """Tell of what is not over after the time that its rule waits."""
        clock = self.ctx.clock
        while True:
            self._due.clear()
            next_at = await found(self.ctx, tables.next_due)
            await until(clock, next_at, self._due, self._due.is_set, taking.LONGEST_WAIT)
            if next_at is not None and come(next_at, clock.now(), taking.LONGEST_WAIT):
                await stored(self.ctx, taking.tell_due(self.settings, sorted(self.lanes), clock.now()))
                self._wake()

    async def tidy(self) -> None:
        """Forget what is too old or too many, in small steps."""
        before = self.ctx.clock.now() - timedelta(days=self.settings.keep_days)
        most = self.settings.keep_rows
        while numbers := await self.ctx.host.database.read(lambda db: tables.surplus(db, before, most)):
            await self.ctx.journal.write(partial(tables.forget, numbers=numbers), slow=True)


class Counter:
    """The ``Notifications`` that other plugins ask for, and by which the handlers here find their node's desk."""

    def __init__(self) -> None:
        """Closed until the plugin's lifespan opens it."""
        self.desk: Desk | None = None

    @property
    def open(self) -> Desk:
        """The desk; raises ``Unavailable`` while it is closed."""
        if self.desk is None:
            raise Unavailable("notifications are not taken now", place="plugin notify", cure="Try again in a moment")
        return self.desk

    async def notify(self, notification: Notification, to: Collection[str] = ()) -> None:
        """Keep a notification for notifiers; see ``Notifications``."""
        await self.open.say(notification, to)


def desk_of(host: Any) -> Desk:
    """The desk of a node; raises ``Unavailable``."""
    offered = host.service(Notifications)
    if not isinstance(offered, Counter):
        raise Unavailable("another plugin takes notifications", place="plugin notify", cure="arthexis plugins list")
    return offered.open


def counter_of(host: Any) -> Counter | None:
    """The counter of a node, or None where another plugin offers the service."""
    offered = host.service(Notifications)
    return offered if isinstance(offered, Counter) else None
