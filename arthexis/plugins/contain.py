"""The only file that catches everything: each call into a plugin's code goes through here.

A plugin that raises, exits, hangs or returns junk is counted and named; it never takes the caller down. In strict
mode (tests) every contained fault is kept in ``Contain.faults``, and the test kit fails the test for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from arthexis.errors import DomainError, Unavailable
from arthexis.plugins.states import Plugin, State

log = logging.getLogger("arthexis.plugins")

T = TypeVar("T")
Outcome = tuple[T | None, BaseException | None]
MOST_FAULTS = 100
ON_PURPOSE = (DomainError, Unavailable)
LOUD = 5
MOST_TOLD = 300


def attempt(fn: Callable[..., T], *args: Any) -> Outcome[T]:
    """Run a function that may do anything; what it returned, or what it raised (SystemExit and its kin too)."""
    try:
        return fn(*args), None
    except BaseException as error:  # noqa: BLE001 - contained here so that nobody else has to
        return None, error


def attempt_within(seconds: float, fn: Callable[..., T], *args: Any) -> Outcome[T]:
    """Like ``attempt``, in a thread that is left behind when it takes longer than so many seconds.

    A Ctrl-C reaches the waiting main thread, so a KeyboardInterrupt among the outcomes is the function's own.
    """
    outcomes: list[Outcome[T]] = []
    thread = threading.Thread(target=lambda: outcomes.append(attempt(fn, *args)), name="arthexis-attempt", daemon=True)
    thread.start()
    thread.join(seconds)
    return outcomes[0] if outcomes else (None, TimeoutError(f"no end within {seconds:g} s"))


def told(error: BaseException) -> str:
    """An error in one line of text, whatever its author made of it."""
    text, broken = attempt(str, error)
    said = " ".join((text or "").split()) if broken is None else "(its text cannot be read)"
    name = type(error).__name__
    return f"{name}: {said}"[:MOST_TOLD] if said else name


def collect(seconds: float, fn: Callable[[], Iterable[Any] | None]) -> tuple[list[Any], BaseException | None]:
    """Everything a ``register_*`` hook yields; None counts as an error, because something was forgotten."""

    def gathered() -> list[Any]:
        found = fn()
        if found is None:
            raise TypeError("returned None; yield what it contributes, or leave the hook out")
        return list(found)

    found, error = attempt_within(seconds, gathered)
    return found or [], error


def _passes(error: BaseException) -> bool:
    """Whether an exception is the node's own way of ending a coroutine, and not something the plugin did."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, GeneratorExit)


async def outcome(fn: Callable[..., Awaitable[T]], *args: Any) -> Outcome[T]:
    """Await a function that may do anything; what it returned, or what it raised."""
    try:
        return await fn(*args), None
    except BaseException as error:
        if _passes(error):
            raise
        return None, error


class Contain:
    """Calls into plugins while the node runs, and the faults that came of them."""

    def __init__(self) -> None:
        """Start with a clean record."""
        self.faults: deque[tuple[Plugin, BaseException]] = deque(maxlen=MOST_FAULTS)
        self._running: set[asyncio.Task[Any]] = set()

    def count(self, plugin: Plugin, error: BaseException) -> None:
        """Remember a fault; the plugin is degraded from now on and says why."""
        plugin.errors += 1
        self.faults.append((plugin, error))
        reason = told(error)
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

    async def call(self, plugin: Plugin, fn: Callable[..., Awaitable[T]], *args: Any) -> Outcome[T]:
        """Await a plugin's coroutine function; what it returned, or what it raised.

        A cancellation of the caller passes through; one that the plugin raised by itself is a fault like any other.
        What it says on purpose is none: it refuses (``DomainError``), or something is not there (``Unavailable``).
        """
        try:
            return await fn(*args), None
        except BaseException as error:
            if _passes(error):
                raise
            self._count(plugin, error)
            return None, error

    async def timed(self, seconds: float, plugin: Plugin, fn: Callable[..., Awaitable[T]], *args: Any) -> Outcome[T]:
        """Like ``call``, and given up after so many seconds, whether or not the plugin heeds its cancellation."""
        task = asyncio.get_running_loop().create_task(outcome(fn, *args), name=f"{plugin.name}: {_name(fn)}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        value, error = _settled(task) if task.done() else (None, TimeoutError(f"no answer within {seconds:g} s"))
        task.cancel()
        if error is not None:
            self._count(plugin, error)
        return value, error

    def _count(self, plugin: Plugin, error: BaseException) -> None:
        if isinstance(error, ON_PURPOSE):
            log.info("plugin %s: %s", plugin.name, error, extra={"plugin": plugin.name})
        else:
            self.count(plugin, error)


def _settled(task: asyncio.Task[Outcome[T]]) -> Outcome[T]:
    return (None, asyncio.CancelledError("it was cancelled")) if task.cancelled() else task.result()


def _name(fn: object) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))
