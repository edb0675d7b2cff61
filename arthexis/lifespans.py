"""Lifespans: plugins that open something are opened in order, retried while it is unavailable, closed in reverse.

Each lifespan has a task of its own that enters and leaves it, so that what must be closed where it was opened (task
groups, cancel scopes) works; one that hangs is given up, whether or not it heeds its cancellation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from arthexis.contributions import CONTEXT, context_goes
from arthexis.errors import PluginError, Unavailable
from arthexis.plugins.contain import ON_PURPOSE, attempt, fits, outcome, spoken, told
from arthexis.plugins.states import Plugin, State

if TYPE_CHECKING:
    from arthexis.clock import Clock
    from arthexis.db.journal import Journal
    from arthexis.host import Host

C = TypeVar("C")
T = TypeVar("T")
CALL_S = 5.0
RETRY_S = 5.0
MOST_RETRY_S = 300.0


@dataclass(frozen=True, slots=True)
class Context:
    """What a plugin's ``lifespan`` gets: its settings, the node, and a way to start a task that the node ends."""

    plugin: Plugin
    config: Any
    host: Host
    journal: Journal
    clock: Clock
    log: logging.Logger

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task beside everything else; it is cancelled when the node stops, and what it raises is counted.

        Whatever it raises: a task that is over does its work no more, so that an ``Unavailable`` is a fault too.
        """

        async def contained() -> None:
            _, error = await outcome(lambda: work)
            if error is not None:
                self.host.contain.count(self.plugin, error, "spawned task")

        task = self.host.spawn(contained(), f"{self.plugin.name}: {name}")
        task.add_done_callback(lambda _: work.close())  # of one that was cancelled before it began
        return task

    def contributions(self, kind: type[C]) -> list[tuple[Plugin, C]]:
        """What all plugins contribute of a kind (``ctx.contributions(Notifier)``), each with the plugin it came from.

        This is how a plugin is extended by others that it does not know: the kind is the host's, the use is its own.
        What is contributed is called with ``ctx.call``. Those that failed are left out.
        """
        return [(plugin, found) for plugin, found in self.host.composition.of_kind(kind) if plugin.standing]

    async def call(self, plugin: Plugin, fn: Callable[..., Awaitable[T]], *args: Any, within_s: float = CALL_S) -> T:
        """Call what another plugin contributed, at most so many seconds; what goes wrong is counted as that plugin's.

        A function of one argument more gets its own plugin's context (``fitted``). Raises ``Unavailable`` where the
        plugin is not at work or says so itself, ``DomainError`` where it refuses, and ``PluginError`` for anything
        else: it raised, took too long, or ended the task it ran in. Nothing but these, so that a loop over
        contributions needs no more than these three.
        """
        if not plugin.at_work:
            said = f"plugin {plugin.name} is {plugin.state}"
            raise Unavailable(f"{said}: {plugin.reason}" if plugin.reason else said, cure=plugin.cure)
        fitted = self.host.context(plugin).fitted(fn, len(args))
        label = _label(self.host, plugin, fn)
        value, error = await self.host.contain.timed(within_s, plugin, fitted, *args, hook=label)
        if error is None:
            return cast("T", value)
        if isinstance(error, ON_PURPOSE):
            raise error
        raise PluginError(
            told(error), place=f"plugin {plugin.name}", cure=f"Run: arthexis plugins info {plugin.name}"
        ) from error

    def fitted(self, handler: Callable[..., Any], arguments: int = 1, given: Any = None) -> Callable[..., Any]:
        """A handler of so many arguments; one that has a place for it gets this context too (``context_goes``).

        ``given`` is what it gets instead, from who has more to tell than this context.
        """
        place, context = context_goes(handler, arguments), self if given is None else given
        if isinstance(place, int):
            return lambda *args: handler(*args[:place], context, *args[place:])
        return partial(handler, **{CONTEXT: context}) if place == "named" else handler

    def lacks(self, missing: Unavailable) -> None:
        """Say that what this plugin needs has gone while it runs; it goes on, and its state tells why and the cure."""
        if self.plugin.at_work or self.plugin.state is State.UNAVAILABLE:
            self.plugin.rest(State.UNAVAILABLE, missing.problem, missing.cure or "It is tried again by itself")

    def has_all(self) -> None:
        """Say that what this plugin needs is there (again)."""
        if self.plugin.state is State.UNAVAILABLE:
            self.plugin.climb(State.ACTIVE)
            self.host.contain.stand(self.plugin)


def _label(host: Host, plugin: Plugin, handler: Callable[..., Any]) -> str:
    """What a contribution's handler is called among the hooks of its plugin: ``notifier mail``."""
    for contributions in host.composition.contributions.values():
        for owner, found in contributions:
            if owner is plugin and getattr(found, "handler", None) is handler:
                return f"{type(found).__name__.lower()} {getattr(found, 'name', '')}".strip()
    return ""


def context_of(host: Host, plugin: Plugin) -> Context:
    """The context of a plugin on this node."""
    logger = logging.getLogger(f"arthexis.plugins.{plugin.name}")
    return Context(plugin, plugin.settings, host, host.journal, host.clock, logger)


class Held:
    """One lifespan and the task that enters it, waits and leaves it."""

    def __init__(self, host: Host, plugin: Plugin, lifespan: AbstractAsyncContextManager[None]) -> None:
        """Hold this one; ``open`` opens it."""
        self._host = host
        self.plugin = plugin
        self._lifespan = lifespan
        self._opened: asyncio.Future[BaseException | None] = host.loop.create_future()
        self._closing = asyncio.Event()
        self._patience_s = host.settings.node.plugin_timeout_s

    async def open(self) -> BaseException | None:
        """Enter; what kept it from opening."""
        self._task = self._host.loop.create_task(self._hold(), name=f"lifespan of {self.plugin.name}")
        try:
            await asyncio.wait({self._opened}, timeout=self._patience_s)
        except asyncio.CancelledError:
            await self._give_up()
            raise
        if self._opened.done():
            return self._opened.result()
        self._closing.set()
        self._task.cancel()
        return TimeoutError(f"no start within {self._patience_s:g} s")

    async def _give_up(self) -> None:
        """The node stops while this opens: what is open by then is left, what is not is broken off."""
        self._closing.set()
        if not self._opened.done():
            self._task.cancel()
        await asyncio.wait({self._task}, timeout=self._patience_s)

    async def close(self) -> None:
        """Leave; what goes wrong is counted."""
        self._closing.set()
        await asyncio.wait({self._task}, timeout=self._patience_s)
        if not self._task.done():
            self._task.cancel()
            self._host.contain.count(
                self.plugin, TimeoutError(f"its lifespan did not close within {self._patience_s:g} s"), "lifespan"
            )

    async def _hold(self) -> None:
        _, error = await outcome(self._lifespan.__aenter__)
        if not self._opened.done():
            self._opened.set_result(error)
        if error is not None:
            return
        await self._closing.wait()
        _, error = await outcome(self._lifespan.__aexit__, None, None, None)
        if error is not None:
            self._host.contain.count(self.plugin, error, "lifespan")


class Lifespans:
    """The open lifespans of a node's plugins."""

    def __init__(self, host: Host) -> None:
        """Open nothing yet."""
        self._host = host
        self._opened: list[Held] = []
        self._retrying: list[asyncio.Task[Any]] = []
        self._at_once: dict[str, asyncio.Event] = {}
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Open each plugin's lifespan; plugins without one are active at once."""
        having = {plugin.full_name for plugin, _ in self._host.composition.hooks.get("lifespan", ())}
        for plugin, _ in self._host.composition.hooks.get("lifespan", ()):
            if plugin.state is State.MIGRATED and not await self._open(plugin):
                self._retrying.append(self._host.spawn(self._retry(plugin), f"retrying {plugin.name}"))
        for plugin in self._host.composition.plugins:
            if plugin.state is State.MIGRATED and plugin.full_name not in having:
                plugin.climb(State.ACTIVE)

    async def close(self) -> None:
        """Close what was opened, the last first."""
        for task in self._retrying:
            task.cancel()
        await asyncio.gather(*self._retrying, return_exceptions=True)
        while self._opened:
            held = self._opened.pop()
            await held.close()
            held.plugin.rest(State.STOPPED, "the node stopped")

    def retry(self, plugin: Plugin) -> bool:
        """Try a plugin that is unavailable now instead of later; whether there is anything to try."""
        at_once = self._at_once.get(plugin.full_name)
        if at_once is None or plugin.state is not State.UNAVAILABLE:
            return False
        at_once.set()
        return True

    async def _open(self, plugin: Plugin) -> bool:
        """Open one; False if it should be tried again later."""
        host = self._host
        context = context_of(host, plugin)
        make = next(fn for owner, fn in host.composition.hooks["lifespan"] if owner is plugin)
        lifespan, error = attempt(make, context)
        host.keep_loop(plugin)
        if error is None and not fits(lifespan, AbstractAsyncContextManager):
            error = TypeError("lifespan is no async context manager; decorate it with asynccontextmanager")
        if error is None and lifespan is not None:
            held = Held(host, plugin, lifespan)
            error = await held.open()
            host.keep_loop(plugin)
            if error is None:
                self._opened.append(held)
                plugin.climb(State.ACTIVE)
                host.contain.stand(plugin)
                return True
        return self._not_opened(plugin, error)

    def _not_opened(self, plugin: Plugin, error: BaseException | None) -> bool:
        """Say why a lifespan did not open; only what is unavailable is tried again."""
        if isinstance(error, Unavailable):
            plugin.rest(State.UNAVAILABLE, spoken(error.problem), spoken(error.cure) or "It is tried again by itself")
            return False
        said = spoken(error) if isinstance(error, TimeoutError) else told(error or RuntimeError("nothing to open"))
        cure = f"Mend it, or run: arthexis plugins disable {plugin.full_name}"
        plugin.fail(State.ACTIVE, f"its start failed: {said}", cure)
        self._host.drop_actions(plugin)
        return True

    async def _retry(self, plugin: Plugin) -> None:
        pause_s = RETRY_S
        at_once = self._at_once[plugin.full_name] = asyncio.Event()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await at_once.wait()
            at_once.clear()
            async with self._lock:
                if await self._open(plugin):
                    return
            pause_s = min(2 * pause_s, MOST_RETRY_S)
