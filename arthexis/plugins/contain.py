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
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from arthexis.clock import Clock
from arthexis.errors import DomainError, Unavailable
from arthexis.plugins.states import RUNNING, Ailment, Fault, Plugin, State

log = logging.getLogger("arthexis.plugins")

T = TypeVar("T")
Outcome = tuple[T | None, BaseException | None]
MOST_FAULTS = 100
ON_PURPOSE = (DomainError, Unavailable)
LOUD = 5
MOST_TOLD = 300
MOST_YIELDED: Final = 1_000
MOST_LEFT: Final = 20
"""So many calls of one hook that were given up and do not end; then it is called no more until one of them has."""
STALLED_S: Final = 0.1
MOST_PAUSE_S: Final = 3_600.0
ELSEWHERE: Final = "elsewhere"
LOOP: Final = "event loop"
UNCALLED: Final = frozenset({LOOP})
"""Places of faults that nobody calls, so that they cannot be seen to work again."""
RESTS: Final = (
    "on_",
    "decide_connector",
    "job ",
    "route ",
    "operation ",
    "diagnosis ",
    "notifier ",
)
"""What the node can do without for a while, by how its label begins; everything else is never suspended."""


def attempt(fn: Callable[..., T], *args: Any) -> Outcome[T]:
    """Run a function that may do anything; what it returned, or what it raised (SystemExit and its kin too)."""
    try:
        return fn(*args), None
    except BaseException as error:  # noqa: BLE001 - contained here so that nobody else has to
        return None, _honest(error)


def _honest(error: BaseException) -> BaseException:
    """An error that may be asked what it is; one that answers this in its own way is put in plain words."""
    try:
        plain = error.__class__ is type(error)
    except BaseException:  # noqa: BLE001 - an author's property
        plain = False
    return error if plain else RuntimeError(f"an error of class {kind(error)}").with_traceback(error.__traceback__)


def fits(value: object, wanted: type) -> bool:
    """``isinstance``, of a value that may answer it in its own way."""
    return attempt(isinstance, value, wanted)[0] is True


def attempt_within(seconds: float, fn: Callable[..., T], *args: Any) -> Outcome[T]:
    """Like ``attempt``, in a thread that is left behind when it takes longer than so many seconds.

    A Ctrl-C reaches the waiting main thread, so a KeyboardInterrupt among the outcomes is the function's own.
    """
    outcomes: list[Outcome[T]] = []
    thread = threading.Thread(target=lambda: outcomes.append(attempt(fn, *args)), name="arthexis-attempt", daemon=True)
    thread.start()
    thread.join(seconds)
    return outcomes[0] if outcomes else (None, TimeoutError(f"no end within {seconds:g} s"))


def spoken(value: object) -> str:
    """Anything as one short line of text, whatever its author made of it."""
    text, broken = attempt(lambda: str.__str__(str(value))[: 10 * MOST_TOLD])
    return "(its text cannot be read)" if text is None or broken is not None else " ".join(text.split())[:MOST_TOLD]


def kind(value: object) -> str:
    """The name of a value's type."""
    return spoken(attempt(lambda: type.__dict__["__name__"].__get__(type(value)))[0])


def told(error: BaseException) -> str:
    """An error in one line of text, whatever its author made of it."""
    said = spoken(error)
    return f"{kind(error)}: {said}"[:MOST_TOLD] if said else kind(error)


def where(error: BaseException) -> str:
    """``file:line`` of the innermost code that raised; empty where nothing is known."""
    traceback, found = error.__traceback__, ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found = f"{Path(code.co_filename).name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def collect(seconds: float, fn: Callable[[], Iterable[Any] | None]) -> tuple[list[Any], BaseException | None]:
    """Everything a ``register_*`` hook yields; None counts as an error, because something was forgotten."""

    def gathered() -> list[Any]:
        found = fn()
        if found is None:
            raise TypeError("returned None; yield what it contributes, or leave the hook out")
        listed = list(islice(found, MOST_YIELDED + 1))
        if len(listed) > MOST_YIELDED:
            raise ValueError(f"yields without end (more than {MOST_YIELDED})")
        return listed

    found, error = attempt_within(seconds, gathered)
    return found or [], error


def _passes(error: BaseException) -> bool:
    """Whether an exception is the node's own way of ending a coroutine, and not something the plugin did."""
    if issubclass(type(error), asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return issubclass(type(error), GeneratorExit)


async def outcome(fn: Callable[..., Awaitable[T]], *args: Any) -> Outcome[T]:
    """Await a function that may do anything; what it returned, or what it raised."""
    try:
        return await fn(*args), None
    except BaseException as error:
        if _passes(error):
            raise
        return None, _honest(error)


class Answering(Protocol):
    """An action that is ready to be answered, as its dialect holds it; ``label`` names it among a plugin's hooks."""

    @property
    def plugin(self) -> Plugin:
        """Whose it is."""

    @property
    def handler(self) -> Callable[..., Awaitable[Any]]:
        """What answers."""

    @property
    def response(self) -> type:
        """What an answer is."""

    @property
    def label(self) -> str:
        """``action <name>``."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a hook is suspended: after so many faults (0: never) within so many seconds, at first for so long."""

    faults: int = 5
    within_s: float = 60.0
    pause_s: float = 30.0


class Suspended(Unavailable):
    """A hook is not called just now, because it failed again and again."""


class Contain:
    """Calls into plugins while the node runs, and the faults that came of them.

    A hook that fails often is suspended for a growing while, if the node can do without it (``RESTS``). Whatever
    carries a station's message or guards a door is called for ever: nothing else could answer in its place, one
    station could otherwise switch it off for all others, and a guard that nobody asks keeps nobody out.
    """

    def __init__(self, clock: Clock | None = None, limits: Limits | None = None) -> None:
        """Start with a clean record."""
        self.faults: deque[tuple[Plugin, BaseException]] = deque(maxlen=MOST_FAULTS)
        self._clock = clock or Clock()
        self._limits = limits or Limits()
        self._running: set[asyncio.Task[Any]] = set()

    # ------------------------------------------------------------------ calling

    async def answer(self, ready: Answering, station: object, call: object) -> Outcome[Any]:
        """Await the handler of a station's CALL; what it answered, or what it raised. On the path of every message."""
        plugin = ready.plugin
        try:
            value = await ready.handler(station, call)
        except BaseException as error:
            if _passes(error):
                raise
            self._count(plugin, error, ready.label)
            return None, error
        if plugin.ailments and type(value) is ready.response:
            self.worked(plugin, ready.label)
        return value, None

    async def call(self, plugin: Plugin, fn: Callable[..., Awaitable[T]], *args: Any, hook: str = "") -> Outcome[T]:
        """Await a plugin's coroutine function; what it returned, or what it raised.

        A cancellation of the caller passes through; one that the plugin raised by itself is a fault like any other.
        What it says on purpose is none: it refuses (``DomainError``), or something is not there (``Unavailable``).
        """
        value, error = await outcome(fn, *args)
        if error is not None:
            self._count(plugin, error, hook or _name(fn))
        return value, error

    async def timed(
        self,
        seconds: float | None,
        plugin: Plugin,
        fn: Callable[..., Awaitable[T]],
        *args: Any,
        hook: str = "",
        unsound: Callable[[Any], str | None] | None = None,
    ) -> Outcome[T]:
        """Like ``call``, given up after so many seconds (None: never), whether or not it heeds its cancellation.

        ``hook`` names what is called in the plugin's record; one that is suspended is not called, the error is then
        ``Suspended``. ``unsound`` says what is wrong with an answer; such an answer is a fault.
        """
        hook = hook or _name(fn)
        kept = self._kept_from(plugin, hook)
        if kept is not None:
            return None, kept
        task = asyncio.get_running_loop().create_task(outcome(fn, *args), name=f"{plugin.name}: {hook}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await _within(task, seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        value, error = _settled(task) if task.done() else (None, TimeoutError(f"no answer within {seconds:g} s"))
        if error is None and unsound is not None:
            wrong, broken = attempt(unsound, value)
            error = broken or (TypeError(f"answered {wrong}") if wrong is not None else None)
        if error is not None:
            self._count(plugin, error, hook)
            self._let_go(plugin, hook, task)
            return None, error
        if plugin.ailments:
            self.worked(plugin, hook)
        return value, None

    async def apart(self, seconds: float, plugin: Plugin, fn: Callable[[], T], *, hook: str) -> Outcome[T]:
        """Like ``timed`` for a function that is none of asyncio's: in a thread of its own, left behind if it hangs."""

        async def waited() -> T:
            loop = asyncio.get_running_loop()
            done: asyncio.Future[Outcome[T]] = loop.create_future()

            def tell(found: Outcome[T]) -> None:
                if not done.done():
                    done.set_result(found)

            def run() -> None:
                attempt(loop.call_soon_threadsafe, tell, attempt(fn))

            threading.Thread(target=run, name=f"arthexis-apart {plugin.name}", daemon=True).start()
            value, error = await done
            if error is not None:
                raise error
            return value  # type: ignore[return-value]

        return await self.timed(seconds, plugin, waited, hook=hook)

    def _kept_from(self, plugin: Plugin, hook: str) -> BaseException | None:
        """Why a hook is not called: it is suspended, or too many earlier calls of it have not ended."""
        if not plugin.ailing:
            return None
        if self.rests(plugin, hook):
            until = plugin.ailments[hook].until_at
            return Suspended(
                f"{hook} of plugin {plugin.name} is suspended until {until:%H:%M:%S} UTC",
                place=f"plugin {plugin.name}",
                cure=f"It is tried again then; at once: arthexis plugins resume {plugin.name}",
            )
        ailment = plugin.ailments.get(hook)
        if ailment is None or ailment.left < MOST_LEFT:
            return None
        error = TimeoutError(f"{ailment.left} earlier calls have not ended")
        self._count(plugin, error, hook)
        return error

    def _let_go(self, plugin: Plugin, hook: str, task: asyncio.Task[Any]) -> None:
        """Cancel a call that was given up, and remember it as long as it does not end."""
        if task.done():
            return
        ailment = plugin.ailments[hook]
        ailment.left += 1

        def ended(_: object) -> None:
            ailment.left -= 1

        task.add_done_callback(ended)
        task.cancel()

    # ------------------------------------------------------------------ counting

    def count(self, plugin: Plugin, error: BaseException, hook: str = ELSEWHERE) -> None:
        """Remember a fault in one of a plugin's hooks; the plugin is degraded or suspended and says why."""
        plugin.errors += 1
        plugin.ailing = True
        self.faults.append((plugin, error))
        reason, now = told(error), self._clock.monotonic()
        ailment = plugin.ailments.setdefault(hook, Ailment(hook))
        ailment.faults += 1
        ailment.well = hook in UNCALLED
        ailment.last, ailment.last_at = reason, self._clock.now()
        ailment.failed_at = now
        ailment.times.append(now)
        plugin.recent.append(Fault(ailment.last_at, hook, reason, where(error)))
        if self._often(ailment, now) and hook.startswith(RESTS):
            self._suspend(ailment, now)
        shown = error if plugin.errors <= LOUD and len(reason) < MOST_TOLD else None
        log.error("plugin %s, %s: %s", plugin.name, hook, reason, exc_info=shown, extra={"plugin": plugin.name})
        self.stand(plugin)

    def late(self, ready: Answering, what: str) -> TimeoutError:
        """Count that an action took too long."""
        error = TimeoutError(f"{what} took too long")
        self.count(ready.plugin, error, ready.label)
        return error

    def junk(self, ready: Answering, what: str, answer: object) -> TypeError:
        """Count that an action answered something that is no answer."""
        error = TypeError(f"{what} answered {kind(answer)}")
        self.count(ready.plugin, error, ready.label)
        return error

    def worked(self, plugin: Plugin, hook: str) -> None:
        """A hook of a plugin with faults did what it should: it is no longer suspended, and maybe all is well again."""
        ailment = plugin.ailments.get(hook)
        if ailment is not None and not ailment.well:
            ailment.well = True
            if ailment.until is not None:
                self._release(ailment)
                log.warning("plugin %s: %s works again", plugin.name, hook, extra={"plugin": plugin.name})
                self.stand(plugin)
        if not plugin.ailing:
            return
        now = self._clock.monotonic()
        latest = max((a.failed_at for a in plugin.ailments.values()), default=0.0)
        if all(a.well for a in plugin.ailments.values()) and now - latest >= self._limits.within_s:
            self.resume(plugin)

    def rests(self, plugin: Plugin, hook: str) -> bool:
        """Whether a hook is suspended just now."""
        ailment = plugin.ailments.get(hook)
        return ailment is not None and ailment.until is not None and self._clock.monotonic() < ailment.until

    def resume(self, plugin: Plugin) -> None:
        """Let a degraded or suspended plugin begin anew: everything is called, its counted faults stay on record.

        Whether a hook is well is left to its next call.
        """
        plugin.ailing = False
        for ailment in plugin.ailments.values():
            ailment.pause_s = 0.0
            ailment.times.clear()
            self._release(ailment)
        if plugin.state in RUNNING:
            plugin.climb(State.ACTIVE)

    def _often(self, ailment: Ailment, now: float) -> bool:
        """Whether a hook has failed too often, or failed again where it was only tried."""
        limits = self._limits
        while ailment.times and now - ailment.times[0] > limits.within_s:
            ailment.times.popleft()
        while len(ailment.times) > max(limits.faults, 1):
            ailment.times.popleft()
        return limits.faults > 0 and (ailment.until is not None or len(ailment.times) >= limits.faults)

    def _suspend(self, ailment: Ailment, now: float) -> None:
        if ailment.until is not None and now < ailment.until:
            return  # a call that began before
        ailment.pause_s = min(2 * ailment.pause_s, MOST_PAUSE_S) if ailment.pause_s else self._limits.pause_s
        ailment.until = now + ailment.pause_s
        ailment.until_at = self._clock.now() + timedelta(seconds=ailment.pause_s)

    def _release(self, ailment: Ailment) -> None:
        ailment.until = ailment.until_at = None
        ailment.times.clear()

    def stand(self, plugin: Plugin) -> None:
        """Give a plugin that runs and has faults the state that says so."""
        if plugin.state not in RUNNING or not plugin.ailing:
            return
        suspended = [a for a in plugin.ailments.values() if a.until is not None]
        if not suspended:
            cure = f"Run: arthexis plugins info {plugin.name}; once it is mended: arthexis plugins resume {plugin.name}"
            plugin.rest(State.DEGRADED, plugin.recent[-1].error, cure)
            return
        hooks = ", ".join(f"{a.hook} (tried again at {a.until_at:%H:%M:%S} UTC)" for a in suspended)
        said = f"{hooks} suspended, having failed again and again: {suspended[-1].last}"
        cure = (
            f"Mend it and run: arthexis plugins resume {plugin.name}, or: arthexis plugins disable {plugin.full_name}"
        )
        plugin.rest(State.SUSPENDED, said, cure)

    def _count(self, plugin: Plugin, error: BaseException, hook: str) -> None:
        if issubclass(type(error), ON_PURPOSE):
            log.info("plugin %s, %s: %s", plugin.name, hook, told(error), extra={"plugin": plugin.name})
        else:
            self.count(plugin, error, hook)


async def _within(task: asyncio.Task[Any], seconds: float | None) -> None:
    """Wait so long for a task; where the loop itself stood still meanwhile, it gets that time besides."""
    time = asyncio.get_running_loop().time
    began = time()
    await asyncio.wait({task}, timeout=seconds)
    late_s = time() - began - seconds if seconds is not None else 0.0
    if late_s > STALLED_S and not task.done():
        await asyncio.wait({task}, timeout=late_s)


def _settled(task: asyncio.Task[Outcome[T]]) -> Outcome[T]:
    return (None, asyncio.CancelledError("it was cancelled")) if task.cancelled() else task.result()


def _name(fn: object) -> str:
    found, _ = attempt(getattr, fn, "__name__", None)
    return found if isinstance(found, str) else kind(fn)
