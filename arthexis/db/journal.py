"""The journal: everything that waits to be written goes into one commit, and answers leave after it.

There is one writer. All functions of a batch run in one database transaction; if one of them fails, the batch is
rolled back and run again with a savepoint each, so that a bad write fails alone. On SQLite the functions run on the
event loop, where a statement costs microseconds, and only the commit, which waits for the disk, runs in a thread:
handing every statement to a thread costs more than the statement. On PostgreSQL, where every statement waits for
the network, the whole batch runs in the thread; so do functions that say they take long.

A batch that meets a lock, or a connection that broke, is tried again. A full disk is told to everybody who waits,
and heals by itself. A disk that fails ends the node: what it says it keeps is no longer true.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from arthexis.clock import Clock
from arthexis.db.engine import Database
from arthexis.db.events import Told
from arthexis.db.faults import Fault, fault
from arthexis.db.statements import Connection, Prepared
from arthexis.db.writer import Batch, Row, Write, Writer
from arthexis.errors import Unavailable
from arthexis.plugins.contain import attempt

log = logging.getLogger("arthexis.db")

T = TypeVar("T")
Entry = tuple[Write, "asyncio.Future[Any] | None", bool]

MOST_IN_COMMIT = {"sqlite": 1_000, "postgresql": 64}
PATIENCE_S = 60.0
PATIENCE_STOPPING_S = 5.0
RETRY_S = 0.05
MOST_GATHERED = 20_000
FLUSH_S = 0.5
CURE = "See `arthexis db status`"


class Journal:
    """The only writer of a database. ``trouble`` is why nothing can be stored just now, or None."""

    def __init__(self, database: Database, clock: Clock, *, most_waiting: int = 50_000) -> None:
        """Write to ``database``; more than ``most_waiting`` entries are refused, never dropped."""
        self.database = database
        self.clock = clock
        self.most_waiting = most_waiting
        self.on_events: Callable[[Told], None] | None = None
        self.on_fatal: Callable[[str], None] | None = None
        self.trouble: str | None = None
        self.commits = 0
        self.entries = 0
        self._most = MOST_IN_COMMIT["sqlite" if database.sqlite else "postgresql"]
        self._writer = Writer(database, clock)
        self._waiting: deque[Entry] = deque()
        self._gathered: deque[Row] = deque(maxlen=MOST_GATHERED)
        self._flush: asyncio.TimerHandle | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy = True
        self._closed = "is not open yet"
        self._troubled_since = 0.0
        self._idle: asyncio.Event

    # ------------------------------------------------------------------ opening and closing

    async def start(self) -> None:
        """Open the writer's connection; raises ``Unavailable`` if the database cannot be opened."""
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        try:
            self._writer.open()
        except sa.exc.DBAPIError as error:
            raise Unavailable(f"cannot open the database: {error.orig}", cure="See database.url") from None
        if not self.database.memory:
            self._thread = threading.Thread(target=self._work, name="arthexis-journal")
            self._thread.start()
        self._busy = False
        self._closed = ""
        self._idle.set()

    async def stop(self) -> None:
        """Write everything that waits, then close."""
        self._flush_now()
        self._closed = self._closed or "is closed"
        while self._waiting or self._busy:
            await self._idle.wait()
            await asyncio.sleep(0)
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._writer.close()

    def _work(self) -> None:
        """The thread: one job after the other, until there is None."""
        while (job := self._jobs.get()) is not None:
            job()

    # ------------------------------------------------------------------ what others ask

    def write(self, fn: Callable[[Connection], T], *, slow: bool = False) -> asyncio.Future[T]:
        """Run ``fn`` in the next commit; the future is done after that commit, with what ``fn`` returned.

        ``fn`` may run twice and must not wait for anything; one that takes many milliseconds says ``slow``. The
        future raises what ``fn`` raised, then nothing of it is stored, or ``Unavailable`` where nothing can be.
        """
        waiter: asyncio.Future[T] = self._loop.create_future()
        if self._closed or len(self._waiting) >= self.most_waiting:
            waiter.set_exception(Unavailable(f"the journal {self._closed or 'is full'}", cure="Try again in a moment"))
            return waiter
        self._put((fn, waiter, slow))
        return waiter

    def note(self, fn: Callable[[Connection], Any]) -> bool:
        """Run ``fn`` in the next commit and wait for nothing; False if the journal is full or closed."""
        if self._closed or len(self._waiting) >= self.most_waiting:
            return False
        self._put((fn, None, False))
        return True

    def gather(self, statement: Prepared, row: dict[str, Any]) -> None:
        """Store a row with the next commit, within half a second; for logs, which nobody waits for.

        While nothing can be stored the latest ``MOST_GATHERED`` rows are kept.
        """
        self._gathered.append((statement, row))
        if self._flush is None and not self._closed:
            self._flush = self._loop.call_later(FLUSH_S, self._flush_now)

    @property
    def waiting(self) -> int:
        """How many entries are not yet in a commit."""
        return len(self._waiting)

    def _put(self, entry: Entry) -> None:
        self._waiting.append(entry)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._turn)

    def _flush_now(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._gathered:
            self.note(_nothing)

    # ------------------------------------------------------------------ one commit

    def _turn(self) -> None:
        """Begin a commit with what has gathered; on the loop."""
        if not self._waiting:
            self._busy = False
            self._idle.set()
            return
        waiting = self._waiting
        entries = [waiting.popleft() for _ in range(min(self._most, len(waiting)))]
        rows = list(self._gathered)
        self._gathered.clear()
        self._try(entries, Batch([fn for fn, _, _ in entries], rows))

    def _try(self, entries: list[Entry], batch: Batch) -> None:
        """Run and commit a batch, as much of it in the thread as is worth it."""
        if self._thread is None:
            self._deliver(entries, batch, self._committed(batch, self._writer.store(batch)))
        elif self.database.sqlite and not any(slow for _, _, slow in entries):
            failure = self._writer.store(batch)
            self._jobs.put(lambda: self._hand_back(entries, batch, self._committed(batch, failure)))
        else:
            self._jobs.put(lambda: self._hand_back(entries, batch, self._committed(batch, self._writer.store(batch))))

    def _hand_back(self, entries: list[Entry], batch: Batch, failure: BaseException | None) -> None:
        """From the thread to the loop."""
        self._loop.call_soon_threadsafe(self._deliver, entries, batch, failure)

    def _committed(self, batch: Batch, failure: BaseException | None) -> BaseException | None:
        """Commit a batch that was stored; what kept the database from it, or None."""
        failure = failure or self._writer.commit(batch)
        if failure is not None:
            self._writer.roll_back()
        return failure

    # ------------------------------------------------------------------ after a commit

    def _deliver(self, entries: list[Entry], batch: Batch, failure: BaseException | None) -> None:
        """Back on the loop: results to those who wait, events to those who listen, and the next commit."""
        if failure is not None or batch.stored is None:
            self._not_stored(entries, batch, failure)
            return
        if self.trouble is not None:
            log.warning("writes are stored again")
            self.trouble = None
        self.commits += 1
        self.entries += len(entries)
        outcomes, told, afterwards = batch.stored
        for (_, waiter, _), (value, error) in zip(entries, outcomes, strict=True):
            if waiter is None:
                if error is not None:
                    log.error("a note could not be written: %s", error)
            elif waiter.done():
                continue
            elif error is None:
                waiter.set_result(value)
            else:
                waiter.set_exception(self._raised(error))
        if told is not None and self.on_events is not None:
            afterwards.insert(0, partial(self.on_events, told))
        for call in afterwards:
            _, error = attempt(call)
            if error is not None:
                log.error("what followed a commit failed: %s", error, exc_info=error)
        self._turn()

    def _not_stored(self, entries: list[Entry], batch: Batch, failure: BaseException | None) -> None:
        """Try again while that may help; else tell everybody that nothing was stored."""
        now = self._loop.time()
        kind = fault(failure) if failure is not None else Fault.STATEMENT
        if self.trouble is None:
            self._troubled_since = now
            log.error("%d writes could not be committed: %s", len(entries), failure)
        self.trouble = str(failure)
        patience_s = PATIENCE_STOPPING_S if self._closed else PATIENCE_S
        if kind is Fault.BUSY and now - self._troubled_since < patience_s:
            self._loop.call_later(RETRY_S, self._try, entries, batch)
            return
        self._gathered = deque((*batch.rows, *self._gathered), maxlen=MOST_GATHERED)
        if kind is Fault.DISK:
            self._give_up(entries, failure)
            return
        _tell(entries, failure)
        self._loop.call_soon(self._turn)

    def _give_up(self, entries: list[Entry], failure: BaseException | None) -> None:
        """The disk failed: nothing is written any more, so that no answer is a lie."""
        self._closed = "is closed, because the disk failed"
        _tell([*entries, *self._waiting], failure)
        self._waiting.clear()
        self._busy = False
        self._idle.set()
        if self.on_fatal is not None:
            self.on_fatal(f"the disk failed: {failure}")

    def _raised(self, error: BaseException) -> Exception:
        """What a function raised, as those who wait for it can take it."""
        if isinstance(error, self.database.errors):
            return _untold(error)
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            return error
        wrapped = RuntimeError(f"the write raised {type(error).__name__}: {error}")
        wrapped.__cause__ = error
        return wrapped


def _tell(entries: list[Entry], failure: BaseException | None) -> None:
    for _, waiter, _ in entries:
        if waiter is not None and not waiter.done():
            waiter.set_exception(_untold(failure))


def _untold(failure: BaseException | None) -> Unavailable:
    return Unavailable(f"not stored: {failure}", place="database", cure=CURE)


def _nothing(_db: Connection) -> None:
    """What a commit runs that only stores gathered rows."""
