"""The journal: everything that waits to be written goes into one commit, and answers leave after it.

There is one writer. All functions of a batch run in one database transaction; if one of them fails, the batch is
rolled back and run again with a savepoint each, so that a bad write fails alone. On SQLite the functions run on the
event loop, where a statement costs microseconds, and only the commit, which waits for the disk, runs in a thread:
handing every statement to a thread costs more than the statement. On PostgreSQL, where every statement waits for
the network, the whole batch runs in the thread; so do functions that say they take long.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from arthexis.clock import Clock
from arthexis.db.engine import Database
from arthexis.db.events import EventLog, Told
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import Unavailable
from arthexis.plugins.contain import attempt

log = logging.getLogger("arthexis.db")

T = TypeVar("T")
Write = Callable[[Connection], Any]
Entry = tuple[Write, "asyncio.Future[Any] | None", bool]
Outcome = tuple[Any, "BaseException | None"]
Stored = tuple[list[Outcome], "Told | None", list[Callable[[], None]]]

MOST_IN_COMMIT = {"sqlite": 1_000, "postgresql": 64}
LOCKED_FOR_S = 60.0
RETRY_S = 0.05
IO_ERROR = 10
MOST_GATHERED = 20_000
FLUSH_S = 0.5


class Journal:
    """The only writer of a database."""

    def __init__(self, database: Database, clock: Clock, *, most_waiting: int = 50_000) -> None:
        """Write to ``database``; more than ``most_waiting`` entries are refused, never dropped."""
        self.database = database
        self.clock = clock
        self.most_waiting = most_waiting
        self.on_events: Callable[[Told], None] | None = None
        self.on_fatal: Callable[[str], None] | None = None
        self.commits = 0
        self.entries = 0
        self._most = MOST_IN_COMMIT["sqlite" if database.sqlite else "postgresql"]
        self._errors: Any = database.engine.dialect.loaded_dbapi.Error
        self._waiting: deque[Entry] = deque()
        self._gathered: deque[tuple[Prepared, dict[str, Any]]] = deque(maxlen=MOST_GATHERED)
        self._flush: asyncio.TimerHandle | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._events = EventLog()
        self._busy = True
        self._closed = True
        self._locked_since: float | None = None
        self._idle: asyncio.Event

    # ------------------------------------------------------------------ opening and closing

    async def start(self) -> None:
        """Open the writer's connection; raises ``Unavailable`` if the database cannot be opened."""
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        try:
            self._core = self.database.engine.connect()
            self._db = Connection(self._core)
            if self.database.sqlite:
                self._db.raw("PRAGMA busy_timeout=0")
            self._events.open(self._db)
        except sa.exc.DBAPIError as error:
            raise Unavailable(f"cannot open the database: {error.orig}", cure="See database.url") from None
        if not self.database.memory:
            self._thread = threading.Thread(target=self._work, name="arthexis-journal")
            self._thread.start()
        self._busy = self._closed = False
        self._idle.set()

    async def stop(self) -> None:
        """Write everything that waits, then close."""
        self._flush_now()
        self._closed = True
        while self._waiting or self._busy:
            await self._idle.wait()
            await asyncio.sleep(0)
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._db.close()
        self._core.close()

    def _work(self) -> None:
        """The thread: one job after the other, until there is None."""
        while (job := self._jobs.get()) is not None:
            job()

    # ------------------------------------------------------------------ what others ask

    def write(self, fn: Callable[[Connection], T], *, slow: bool = False) -> asyncio.Future[T]:
        """Run ``fn`` in the next commit; the future is done after that commit, with what ``fn`` returned.

        ``fn`` may run twice and must not wait for anything; one that takes many milliseconds says ``slow``.
        """
        waiter: asyncio.Future[T] = self._loop.create_future()
        if self._closed or len(self._waiting) >= self.most_waiting:
            waiter.set_exception(Unavailable("the journal is full or closed", cure="Try again in a moment"))
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
        """Store a row with the next commit, within half a second; for logs, which nobody waits for."""
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
        waiting, most = self._waiting, self._most
        batch = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        if self._thread is None:
            self._deliver(batch, *self._committed(batch, self._stored(batch)))
        elif self.database.sqlite and not any(slow for _, _, slow in batch):
            stored = self._stored(batch)
            self._jobs.put(lambda: self._hand_back(batch, self._committed(batch, stored)))
        else:
            self._jobs.put(lambda: self._hand_back(batch, self._committed(batch, self._stored(batch))))

    def _hand_back(self, batch: list[Entry], done: tuple[Stored | None, BaseException | None]) -> None:
        """From the thread to the loop."""
        self._loop.call_soon_threadsafe(self._deliver, batch, *done)

    def _stored(self, batch: list[Entry]) -> Stored | BaseException:
        """Run a batch in an open transaction; a failure of the database itself comes back as such."""
        db = self._db
        try:
            self._begin(db)
            outcomes = self._together(db, batch)
            if outcomes is None:
                db.raw("ROLLBACK")
                self._begin(db)
                outcomes = [db.apart(fn) for fn, _, _ in batch]
            self._store_gathered(db)
            told = self._events.store(db, self.clock.now())
            afterwards, db.afterwards = db.afterwards, []
            return outcomes, told, afterwards
        except self._errors as error:
            return error  # type: ignore[no-any-return]

    def _committed(
        self, batch: list[Entry], stored: Stored | BaseException
    ) -> tuple[Stored | None, BaseException | None]:
        """Commit what was stored; a transaction that cannot be committed is rolled back."""
        try:
            if isinstance(stored, BaseException):
                raise stored
            self._db.raw("COMMIT")
        except self._errors as error:
            self._roll_back()
            return None, error
        return stored, None

    def _roll_back(self) -> None:
        try:
            self._db.raw("ROLLBACK")
        except self._errors as error:
            log.debug("nothing to roll back: %s", error)

    def _begin(self, db: Connection) -> None:
        db.events.clear()
        db.gathered.clear()
        db.afterwards.clear()
        db.raw(self.database.begin)

    def _together(self, db: Connection, batch: list[Entry]) -> list[Outcome] | None:
        """Run all functions without savepoints; None as soon as one of them fails."""
        outcomes: list[Outcome] = []
        for fn, _, _ in batch:
            outcome = attempt(fn, db)
            if outcome[1] is not None:
                return None
            outcomes.append(outcome)
        return outcomes

    def _store_gathered(self, db: Connection) -> None:
        """Write the rows that were gathered by this commit's functions and on the loop, kind by kind."""
        kinds: dict[Prepared, list[dict[str, Any]]] = {}
        for statement, row in db.gathered:
            kinds.setdefault(statement, []).append(row)
        for _ in range(len(self._gathered)):
            statement, row = self._gathered.popleft()
            kinds.setdefault(statement, []).append(row)
        for statement, rows in kinds.items():
            db.many(statement, rows)

    # ------------------------------------------------------------------ after a commit

    def _deliver(self, batch: list[Entry], stored: Stored | None, failure: BaseException | None) -> None:
        """Back on the loop: results to those who wait, events to those who listen, and the next commit."""
        if stored is None:
            self._not_stored(batch, failure)
            return
        self._locked_since = None
        self.commits += 1
        self.entries += len(batch)
        outcomes, told, afterwards = stored
        for (_, waiter, _), (value, error) in zip(batch, outcomes, strict=True):
            if waiter is None:
                if error is not None:
                    log.error("a note could not be written: %s", error)
            elif waiter.done():
                continue
            elif error is None:
                waiter.set_result(value)
            else:
                waiter.set_exception(_told(error) if isinstance(error, self._errors) else error)
        if told is not None and self.on_events is not None:
            self.on_events(told)
        for call in afterwards:
            call()
        self._turn()

    def _not_stored(self, batch: list[Entry], failure: BaseException | None) -> None:
        """Try again while another process holds the lock; else tell everybody that nothing was stored."""
        now = self._loop.time()
        self._locked_since = self._locked_since or now
        if failure is not None and _locked(failure) and now - self._locked_since < LOCKED_FOR_S:
            self._waiting.extendleft(reversed(batch))
            self._loop.call_later(RETRY_S, self._turn)
            return
        log.error("%d writes could not be committed: %s", len(batch), failure)
        if getattr(failure, "sqlite_errorcode", 0) & 0xFF == IO_ERROR and self.on_fatal is not None:
            self.on_fatal(f"the disk failed: {failure}")
        for _, waiter, _ in batch:
            if waiter is not None and not waiter.done():
                waiter.set_exception(_told(failure))
        self._loop.call_soon(self._turn)


def _told(failure: BaseException | None) -> Unavailable:
    return Unavailable(f"not stored: {failure}", place="database", cure="See `arthexis db status`")


def _nothing(_db: Connection) -> None:
    """What a commit runs that only stores gathered rows."""


def _locked(error: BaseException) -> bool:
    """Whether trying again may help: another process holds the lock, or PostgreSQL asks for it."""
    state = getattr(error, "sqlstate", None)
    return "locked" in str(error) or "busy" in str(error) or state in {"40001", "40P01", "55P03"}
