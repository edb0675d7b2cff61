"""The journal: everything that waits to be written goes into one commit, and answers leave after it.

One writer thread drains a queue. All functions of a batch run in one database transaction; if one of them fails,
the batch is rolled back and run again with a savepoint each, so that a bad write fails alone. A database in memory
has nothing to wait for and is written on the event loop, once per turn of it.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from arthexis.db.events import Event, EventLog
from arthexis.clock import Clock
from arthexis.db.engine import Database
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import Unavailable
from arthexis.plugins.contain import attempt

log = logging.getLogger("arthexis.db")

T = TypeVar("T")
BATCH = {"sqlite": 1_000, "postgresql": 64}
LOCKED_FOR_S = 60.0
RETRY_S = 0.05
IO_ERROR = 10
MOST_GATHERED = 20_000
FLUSH_S = 0.5


class Entry(NamedTuple):
    """One function to run in the next commit, and who waits for it."""

    fn: Callable[[Connection], Any]
    waiter: asyncio.Future[Any] | None


class Outcome(NamedTuple):
    """What a function returned, or why it could not be stored."""

    value: Any
    error: BaseException | None


class Journal:
    """The only writer of a database."""

    def __init__(self, database: Database, clock: Clock, *, most_waiting: int = 50_000) -> None:
        """Write to ``database``; more than ``most_waiting`` entries are refused, never dropped."""
        self.database = database
        self.clock = clock
        self.most_waiting = most_waiting
        self.on_events: Callable[[Sequence[Event]], None] | None = None
        self.on_fatal: Callable[[str], None] | None = None
        self.commits = 0
        self.entries = 0
        self._waiting = 0
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._inline: list[Entry] = []
        self._gathered: deque[tuple[Prepared, dict[str, Any]]] = deque(maxlen=MOST_GATHERED)
        self._flush: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stopped = False
        self._events = EventLog()

    async def start(self) -> None:
        """Open the writer's connection; raises ``Unavailable`` if the database cannot be opened."""
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        if self.database.memory:
            self._core = self.database.engine.connect()
            self._db = Connection(self._core)
            self._events.open(self._db)
            return
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="arthexis-journal")
        self._thread.start()
        await opened

    async def stop(self) -> None:
        """Write everything that waits, then close."""
        self._flush_now()
        self._stopped = True
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        elif self.database.memory:
            self._drain()
            self._db.close()
            self._core.close()

    def write(self, fn: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Run ``fn`` in the next commit; the future is done after that commit, with what ``fn`` returned."""
        waiter: asyncio.Future[T] = self._loop.create_future()
        if self._stopped or self._waiting >= self.most_waiting:
            waiter.set_exception(Unavailable("the journal is full or closed", cure="Try again in a moment"))
            return waiter
        self._put(Entry(fn, waiter))
        return waiter

    def note(self, fn: Callable[[Connection], Any]) -> bool:
        """Run ``fn`` in the next commit and wait for nothing; False if the journal is full or closed."""
        if self._stopped or self._waiting >= self.most_waiting:
            return False
        self._put(Entry(fn, None))
        return True

    def gather(self, statement: Prepared, row: dict[str, Any]) -> None:
        """Store a row with the next commit, within half a second; for logs, which nobody waits for."""
        self._gathered.append((statement, row))
        if self._flush is None:
            self._flush = self._loop.call_later(FLUSH_S, self._flush_now)

    def _flush_now(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._gathered:
            self.note(_nothing)

    @property
    def waiting(self) -> int:
        """How many entries are not yet committed."""
        return self._waiting

    def _put(self, entry: Entry) -> None:
        self._waiting += 1
        if self._thread is not None:
            self._queue.put(entry)
            return
        self._inline.append(entry)
        if len(self._inline) == 1:
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Write what has gathered in this turn of the loop (databases in memory)."""
        batch, self._inline = self._inline, []
        if batch:
            self._deliver(batch, *self._commit(self._db, batch))

    def _work(self, opened: asyncio.Future[None]) -> None:
        """The writer thread, from opening the connection to closing it."""
        try:
            with self.database.connect() as db:
                self._events.open(db)
                self._loop.call_soon_threadsafe(opened.set_result, None)
                self._drain_queue(db)
        except sa.exc.DBAPIError as error:
            self._loop.call_soon_threadsafe(_fail, opened, error)

    def _drain_queue(self, db: Connection) -> None:
        most = BATCH["sqlite" if self.database.sqlite else "postgresql"]
        while (batch := self._gather(most)) is not None:
            if batch:
                outcome = self._commit(db, batch)
                self._loop.call_soon_threadsafe(self._deliver, batch, *outcome)

    def _gather(self, most: int) -> list[Entry] | None:
        """Wait for an entry and take everything behind it; None when the journal stops."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        try:
            while len(batch) < most:
                entry = self._queue.get_nowait()
                if entry is None:
                    self._queue.put(None)
                    break
                batch.append(entry)
        except queue.Empty:
            pass
        return batch

    def _deliver(self, batch: list[Entry], outcomes: list[Outcome], events: Sequence[Event]) -> None:
        """Back on the loop, after the commit: results to those who wait, events to those who listen."""
        self._waiting -= len(batch)
        self.commits += 1
        self.entries += len(batch)
        for entry, outcome in zip(batch, outcomes, strict=True):
            if entry.waiter is None:
                if outcome.error is not None:
                    log.error("a note could not be written: %s", outcome.error)
            elif not entry.waiter.done():
                if outcome.error is None:
                    entry.waiter.set_result(outcome.value)
                else:
                    entry.waiter.set_exception(outcome.error)
        if events and self.on_events is not None:
            self.on_events(events)

    def _commit(self, db: Connection, batch: list[Entry]) -> tuple[list[Outcome], Sequence[Event]]:
        """Store a batch: together if all goes well, else one by one; never raises."""
        deadline = time.monotonic() + LOCKED_FOR_S
        while True:
            try:
                return self._store(db, batch)
            except sa.exc.DBAPIError as error:  # pragma: no cover - Core statements inside BEGIN/COMMIT never raise here
                failure: BaseException = error
            except self.database.engine.dialect.dbapi.Error as error:  # type: ignore[union-attr]
                failure = error
            self._rolled_back(db)
            if not _locked(failure) or time.monotonic() > deadline or self._stopped:
                return self._lost(batch, failure), ()
            time.sleep(RETRY_S)

    def _store(self, db: Connection, batch: list[Entry]) -> tuple[list[Outcome], Sequence[Event]]:
        self._begin(db)
        outcomes = self._together(db, batch)
        if outcomes is None:
            self._rolled_back(db)
            self._begin(db)
            outcomes = [self._alone(db, entry) for entry in batch]
        self._store_gathered(db)
        events = self._events.store(db, self.clock.now())
        db.raw("COMMIT")
        return outcomes, events

    def _begin(self, db: Connection) -> None:
        db.events.clear()
        db.gathered.clear()
        db.raw(self.database.begin)

    def _store_gathered(self, db: Connection) -> None:
        """Write the rows that were gathered by this commit's functions and on the loop, kind by kind."""
        while self._gathered:
            db.gathered.append(self._gathered.popleft())
        kinds: dict[Prepared, list[dict[str, Any]]] = {}
        for statement, row in db.gathered:
            kinds.setdefault(statement, []).append(dict(row))
        for statement, rows in kinds.items():
            db.many(statement, rows)

    def _together(self, db: Connection, batch: list[Entry]) -> list[Outcome] | None:
        """Run all functions without savepoints; None as soon as one of them fails."""
        outcomes: list[Outcome] = []
        for entry in batch:
            value, error = attempt(entry.fn, db)
            if error is not None:
                return None
            outcomes.append(Outcome(value, None))
        return outcomes

    def _alone(self, db: Connection, entry: Entry) -> Outcome:
        """Run one function under its own savepoint."""
        events, gathered = len(db.events), len(db.gathered)
        db.raw("SAVEPOINT entry")
        value, error = attempt(entry.fn, db)
        if error is not None:
            del db.events[events:], db.gathered[gathered:]
            db.raw("ROLLBACK TO SAVEPOINT entry")
        db.raw("RELEASE SAVEPOINT entry")
        return Outcome(value, error)

    def _rolled_back(self, db: Connection) -> None:
        try:
            db.raw("ROLLBACK")
        except self.database.engine.dialect.dbapi.Error:  # type: ignore[union-attr]
            log.debug("nothing to roll back")

    def _lost(self, batch: list[Entry], failure: BaseException) -> list[Outcome]:
        """Nobody of the batch is told that it was stored; a failing disk ends the process (it may lie later)."""
        log.error("%d writes could not be committed: %s", len(batch), failure)
        if getattr(failure, "sqlite_errorcode", 0) & 0xFF == IO_ERROR and self.on_fatal is not None:
            self._loop.call_soon_threadsafe(self.on_fatal, f"the disk failed: {failure}")
        told = Unavailable(f"not stored: {failure}", place="database", cure="See `arthexis db status`")
        return [Outcome(None, told) for _ in batch]


def _nothing(_db: Connection) -> None:
    """What a commit runs that only stores gathered rows."""


def _fail(opened: asyncio.Future[None], error: Exception) -> None:
    opened.set_exception(Unavailable(f"cannot open the database: {error}", cure="See database.url in arthexis.toml"))


def _locked(error: BaseException) -> bool:
    """Whether trying again may help: another process holds the lock, or PostgreSQL asks for it."""
    state = getattr(error, "sqlstate", None)
    return "locked" in str(error) or "busy" in str(error) or state in {"40001", "40P01", "55P03"}
