"""The only file that catches everything: each call into a plugin's code goes through here.

A plugin that raises, exits, hangs or returns junk is counted and named; it never takes the caller down. In strict
mode (tests) every contained fault is kept in ``Contain.faults``, and the test kit fails the test for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from arthexis.errors import DomainError, Unavailable
from arthexis.plugins.states import Plugin, State

log = logging.getLogger("arthexis.plugins")

T = TypeVar("T")
MOST_FAULTS = 100
ON_PURPOSE = (DomainError, Unavailable)
LOUD = 5


def attempt(fn: Callable[..., T], *args: Any) -> tuple[T | None, BaseException | None]:
    """Run a function that may do anything; what it returned, or what it raised."""
    try:
        return fn(*args), None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - contained here so that nobody else has to
        return None, error


def collect(fn: Callable[[], Iterable[Any] | None]) -> tuple[list[Any], BaseException | None]:
    """Everything a ``register_*`` hook yields; None counts as an error, because something was forgotten."""

    def gathered() -> list[Any]:
        found = fn()
        if found is None:
            raise TypeError("returned None; yield what it contributes, or leave the hook out")
        return list(found)

    found, error = attempt(gathered)
    return found or [], error


class Contain:
    """Calls into plugins while the node runs, and the faults that came of them."""

    def __init__(self) -> None:
        """Start with a clean record."""
        self.faults: deque[tuple[Plugin, BaseException]] = deque(maxlen=MOST_FAULTS)

    def count(self, plugin: Plugin, error: BaseException) -> None:
        """Remember a fault; the plugin is degraded from now on and says why."""
        plugin.errors += 1
        self.faults.append((plugin, error))
        reason = f"{type(error).__name__}: {error}"[:200]
        if plugin.state in {State.ACTIVE, State.DEGRADED}:
            plugin.rest(State.DEGRADED, reason, f"Run: arthexis plugins info {plugin.name}")
        shown = error if plugin.errors <= LOUD else None
        log.error("plugin %s: %s", plugin.name, reason, exc_info=shown, extra={"plugin": plugin.name})

    def late(self, plugin: Plugin, what: str) -> TimeoutError:
        """Count that a plugin took too long."""
        error = TimeoutError(f"{what} took too long")
        self.count(plugin, error)
        return error

    def junk(self, plugin: Plugin, what: str, answer: object) -> TypeError:
        """Count that a plugin answered something that is no answer."""
        error = TypeError(f"{what} answered {type(answer).__name__}")
        self.count(plugin, error)
        return error

    async def call(
        self, plugin: Plugin, fn: Callable[..., Awaitable[T]], *args: Any
    ) -> tuple[T | None, BaseException | None]:
        """Await a plugin's coroutine function; what it returned, or what it raised. Cancellation passes through.

        A ``DomainError`` (it refuses) and ``Unavailable`` (what it needs is not there) are no faults of the plugin.
        """
        try:
            return await fn(*args), None
        except ON_PURPOSE as said:
            return None, said
        except (Exception, SystemExit) as error:  # noqa: BLE001 - contained here so that nobody else has to
            self.count(plugin, error)
            return None, error

    async def timed(
        self, seconds: float, plugin: Plugin, fn: Callable[..., Awaitable[T]], *args: Any
    ) -> tuple[T | None, BaseException | None]:
        """Like ``call``, and given up after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                return await fn(*args), None
        except TimeoutError as error:
            late = TimeoutError(f"no answer within {seconds:g} s")
            late.__cause__ = error
            self.count(plugin, late)
            return None, late
        except ON_PURPOSE as said:
            return None, said
        except (Exception, SystemExit) as error:  # noqa: BLE001 - contained here so that nobody else has to
            self.count(plugin, error)
            return None, error

    async def enter(
        self, plugin: Plugin, seconds: float, lifespan: AbstractAsyncContextManager[None]
    ) -> BaseException | None:
        """Open a plugin's lifespan; what kept it from opening."""
        _, error = await self._uncounted(seconds, lifespan.__aenter__)
        return error

    async def leave(self, plugin: Plugin, seconds: float, lifespan: AbstractAsyncContextManager[None]) -> None:
        """Close a plugin's lifespan."""
        _, error = await self._uncounted(seconds, lifespan.__aexit__, None, None, None)
        if error is not None:
            self.count(plugin, error)

    async def _uncounted(
        self, seconds: float, fn: Callable[..., Awaitable[Any]], *args: Any
    ) -> tuple[Any, BaseException | None]:
        try:
            async with asyncio.timeout(seconds):
                return await fn(*args), None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - contained here so that nobody else has to
            return None, error
