"""Readers at work: each in a thread of its own, opened, watched, and looked for again when it is gone."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from arthexis import DomainError, Unavailable
from arthexis_rfid import drivers
from arthexis_rfid.cards import Card, Misread, Sighting
from arthexis_rfid.drivers import Driver
from arthexis_rfid.presence import Change, Presence
from arthexis_rfid.settings import Reader as ReaderSettings

T = TypeVar("T")
STARTING: Final = "starting"
READY: Final = "ready"
UNAVAILABLE: Final = "unavailable"
STOPPED: Final = "stopped"
STOP_S: Final = 3.0
WORK_S: Final = 10.0
"""What is done with a card is given up after so many seconds more than it may wait for one."""
MOST_TOLD: Final = 200
LONGEST_RETRY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Condition:
    """How a reader is: a state, and where it is unavailable why and the cure."""

    state: str = STARTING
    reason: str = ""
    cure: str = ""


@dataclass(slots=True)
class _Job:
    """Something to be done with the one card in the field, until a moment of the monotonic clock."""

    work: Callable[[Driver, Card], Any]
    until: float
    done: Future[Any] = field(default_factory=Future)


class Reader:
    """One reader: its driver, in which condition it is, and what is in its field.

    ``tell(reader, change)``, ``conditions(reader)`` and ``faults(reader, error)`` are called in the node's loop; the
    last gets what a driver or a work raised that neither is foreseen to raise.
    """

    def __init__(
        self,
        settings: ReaderSettings,
        retry_s: float,
        tell: Callable[[Reader, Change], None],
        conditions: Callable[[Reader], None],
        faults: Callable[[Reader, BaseException], None] = lambda _reader, _error: None,
    ) -> None:
        """Know its settings; ``run`` must follow."""
        self.settings = settings
        self.name = settings.name
        self.driver = drivers.driver(settings)
        self.condition = Condition()
        self.there: tuple[Sighting, ...] = ()
        self._presence = Presence(settings.gap_s, settings.held_s)
        self._retry_s = self._pause_s = retry_s
        self._tell = tell
        self._conditions = conditions
        self._faults = faults
        self._stopping = threading.Event()
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    async def run(self) -> None:
        """Watch until ``stop``. A fault is told, and then the reader is looked for again as if it had been gone."""
        self._loop = asyncio.get_running_loop()
        missing: Unavailable | None = None
        with self._thread() as thread:
            while not self._stopping.is_set():
                watching = self._loop.run_in_executor(thread, self._watch_on, missing)
                await asyncio.wait({watching})
                error = watching.exception()
                if error is not None:
                    self._faults(self, error)
                    problem = f"{type(error).__name__}: {error}"[:MOST_TOLD]
                    missing = self._failed(problem, f"driver {self.settings.driver}")

    def _failed(self, problem: str, place: str = "") -> Unavailable:
        cure = "See the log, and run: arthexis plugins info rfid; it is tried again by itself"
        return Unavailable(problem, place=place or f"reader {self.name}", cure=cure)

    @contextmanager
    def _thread(self) -> Iterator[ThreadPoolExecutor]:
        thread = ThreadPoolExecutor(1, f"rfid-{self.name}")
        try:
            yield thread
        finally:
            self._stopping.set()
            thread.shutdown(wait=False)

    def stop(self) -> None:
        """End ``run`` soon."""
        self._stopping.set()

    # ------------------------------------------------------------------ in the reader's thread

    def _watch_on(self, missing: Unavailable | None) -> None:
        """Watch until ``stop``, after a pause where something is missing."""
        try:
            while not self._stopping.is_set():
                if missing is not None:
                    self._gone(missing)
                missing = self._watched()
        finally:
            if self._stopping.is_set():
                self._close()

    def _watched(self) -> Unavailable | None:
        """Watch for as long as that goes; what is missing then."""
        try:
            self._watch()
        except Unavailable as missing:
            return missing
        return None

    def _gone(self, missing: Unavailable) -> None:
        """Say that the reader is gone, and wait until it is time to look for it again."""
        if self.condition.state == READY:
            self._pause_s = self._retry_s
        self._became(Condition(UNAVAILABLE, f"{missing.place}: {missing.problem}", missing.cure))
        self._report(self._presence.clear())
        self._wait(self._pause_s, missing)
        self._pause_s = min(2 * self._pause_s, LONGEST_RETRY_S)

    def _close(self) -> None:
        self._report(self._presence.clear())
        self._became(Condition(STOPPED))
        self._refuse_closed()

    def _refuse_closed(self) -> None:
        self._refuse(Unavailable("the reader is closed", place=f"reader {self.name}", cure="Start the node"))

    def _refuse(self, missing: Unavailable) -> None:
        """Give up what waits for a card."""
        while (job := self._job()) is not None:
            _answer(job, error=missing)

    def _wait(self, pause_s: float, missing: Unavailable) -> None:
        """Wait before the next try; what is to be done with a card meanwhile cannot be."""
        until = time.monotonic() + pause_s
        while (left := until - time.monotonic()) > 0 and not self._stopping.wait(min(left, 0.1)):
            self._refuse(missing)

    def _watch(self) -> None:
        with closing(self.driver.watch()) as looks:  # type: ignore[type-var]
            for seen in looks:
                self._became(Condition(READY))
                self._report(self._presence.see(seen, time.monotonic()))
                self._work([card for card in seen if isinstance(card, Card)])
                if self._stopping.is_set():
                    return

    def _work(self, present: list[Card]) -> None:
        """Do what waits for a card, if one is there; what has waited too long is given up."""
        waiting = []
        while (job := self._job()) is not None:
            if job.done.cancelled():
                continue
            if len(present) == 1:
                self._do(job, present[0])
            elif len(present) > 1:
                _answer(job, error=_refused("more than one card is in the field", "Hold one card against it"))
            elif time.monotonic() >= job.until:
                _answer(job, error=_refused("no card came", "Hold a card against it, and keep it there"))
            else:
                waiting.append(job)
        for job in waiting:
            self._jobs.put(job)

    def _do(self, job: _Job, card: Card) -> None:
        """Do it and answer, whatever comes of it; what is no refusal ends the watch."""
        try:
            _answer(job, job.work(self.driver, card))
        except DomainError as error:
            _answer(job, error=error)
        except Unavailable as error:
            _answer(job, error=error)
            raise
        finally:
            _answer(job, error=self._failed("it failed at what it was to do with the card"))

    def _job(self) -> _Job | None:
        try:
            return self._jobs.get_nowait()
        except queue.Empty:
            return None

    def _report(self, changes: list[Change]) -> None:
        self.there = self._presence.there
        for change in changes:
            self._in_loop(self._tell, self, change)

    def _became(self, condition: Condition) -> None:
        if condition != self.condition:
            self.condition = condition
            self._in_loop(self._conditions, self)

    def _in_loop(self, fn: Callable[..., None], *args: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(fn, *args)

    # ------------------------------------------------------------------ in the node's loop

    async def with_card(self, work: Callable[[Driver, Card], T], wait_s: float) -> T:
        """What ``work(driver, card)`` gives, run in the reader's thread with the one card that is or comes there.

        Raises ``DomainError`` where none comes, or more than one, and ``Unavailable`` while the reader is gone, where
        it fails at the work, or takes ``WORK_S`` longer than ``wait_s``.
        """
        if self.condition.state in {UNAVAILABLE, STOPPED}:
            raise Unavailable(
                self.condition.reason or "it is closed", place=f"reader {self.name}", cure=self.condition.cure
            )
        job = _Job(work, time.monotonic() + wait_s)
        self._jobs.put(job)
        if self.condition.state == STOPPED:
            self._refuse_closed()  # its thread ended meanwhile, and looks at no job any more
        try:
            async with asyncio.timeout(wait_s + WORK_S):
                found: T = await asyncio.wrap_future(job.done)
        except TimeoutError:
            raise self._failed(f"no answer within {wait_s + WORK_S:g} s") from None
        return found

    @property
    def misread(self) -> Misread | None:
        """What lies in the field and cannot be read, if anything does."""
        return next((seen for seen in self.there if isinstance(seen, Misread)), None)


def _answer(job: _Job, value: Any = None, *, error: Exception | None = None) -> None:
    try:
        if error is not None:
            job.done.set_exception(error)
        else:
            job.done.set_result(value)
    except InvalidStateError:
        return  # it has been answered, or who asked has gone


def _refused(problem: str, cure: str) -> DomainError:
    return DomainError(problem, place="reader", cure=cure)


async def stopped(readers: list[Reader], tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Stop readers and wait until their threads have let go of them."""
    for reader in readers:
        reader.stop()
    if tasks:
        await asyncio.wait(tasks, timeout=STOP_S)
