"""The writer: one connection that runs a batch of functions in one transaction, and knows what became of it.

On PostgreSQL a batch takes an advisory lock first, so that of all nodes on a database one writes at a time, just as
on SQLite: what a function reads is what is true when it commits, and events are numbered in the order of the commits.
A connection that breaks is made anew; if it broke during a commit, the database is asked what became of that commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from arthexis.clock import Clock
from arthexis.db.engine import Database
from arthexis.db.events import EventLog, Told
from arthexis.db.faults import Fault, fault
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import Refused
from arthexis.plugins.contain import attempt

log = logging.getLogger("arthexis.db")

Write = Callable[[Connection], Any]
Row = tuple[Prepared, dict[str, Any]]
Outcome = tuple[Any, "BaseException | None"]

LOCK: Final = 0x41525448
SESSION: Final = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'"
BEGIN: Final = f"BEGIN; SELECT pg_advisory_xact_lock({LOCK}); SELECT pg_current_xact_id()::text"
BECAME: Final = "SELECT pg_xact_status('{}'::xid8)"


class Stored(NamedTuple):
    """What came of a batch: each function's value or error, the events, and what is to be called after the commit."""

    outcomes: list[Outcome]
    told: Told | None
    afterwards: list[Callable[[], None]]


class Batch:
    """Functions that go into one commit, and rows that were gathered for it.

    ``stored`` is what came of it, once it was run; ``doubt`` names a commit of it whose outcome is not known.
    """

    __slots__ = ("doubt", "fns", "rows", "settled", "stored")

    def __init__(self, fns: list[Write], rows: list[Row]) -> None:
        """Of these functions and rows."""
        self.fns = fns
        self.rows = rows
        self.stored: Stored | None = None
        self.doubt: str | None = None
        self.settled = False


class Writer:
    """The connection that writes. Its methods are called by one thread at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Write to ``database``; nothing is opened yet."""
        self._database = database
        self._clock = clock
        self._events = EventLog()
        self._core: sa.Connection | None = None
        self._db: Connection
        self._began = ""

    def open(self) -> None:
        """Connect; raises SQLAlchemy's ``DBAPIError``."""
        core = self._database.engine.connect()
        core.begin()
        self._db = Connection(core)
        self._db.raw("PRAGMA busy_timeout=0" if self._database.sqlite else SESSION)
        self._events.open(self._db)
        core.__dict__.update(commit=_refuse, rollback=_refuse)
        self._core = core

    def close(self) -> None:
        """Disconnect."""
        if self._core is None:
            return
        core, self._core = self._core, None
        self._db.close()
        core.close()

    # ------------------------------------------------------------------ one batch

    def store(self, batch: Batch) -> BaseException | None:
        """Run a batch in an open transaction; what kept the database itself from it, or None.

        A function that fails fails alone: its error is among the outcomes.
        """
        try:
            self._connected()
            if batch.doubt is not None and self._settled(batch, batch.doubt):
                return None
            batch.stored = self._run(batch)
        except self._database.errors as error:
            return error
        return None

    def commit(self, batch: Batch) -> BaseException | None:
        """Commit what was stored; one that cannot be committed is rolled back and its error returned."""
        if batch.settled:
            return None
        try:
            self._db.raw("COMMIT")
        except self._database.errors as error:
            if self._database.broken(self._core):
                batch.doubt = self._began
            return error
        return None

    def roll_back(self) -> None:
        """Give up the open transaction, if there is one; a connection that is broken is closed."""
        if self._core is None:
            return
        try:
            if not self._database.broken(self._core):
                self._db.raw("ROLLBACK")
        except self._database.errors as error:
            log.debug("nothing to roll back: %s", error)
        if self._database.broken(self._core):
            self._drop()

    def _drop(self) -> None:
        """Forget a connection that is broken."""
        if self._core is not None:
            self._core.invalidate()
            _, error = attempt(self.close)
            log.debug("the writer's connection is gone: %s", error)

    def _connected(self) -> None:
        if self._core is None:
            self.open()
            log.warning("the database is connected again")

    def _begin(self) -> None:
        self._db.events.clear()
        self._db.gathered.clear()
        self._db.afterwards = []
        if self._database.sqlite:
            self._db.raw("BEGIN IMMEDIATE")
        else:
            self._began = str(self._db.last(BEGIN)[0])

    def _settled(self, batch: Batch, began: str) -> bool:
        """Whether an earlier commit of this batch, during which the connection broke, took place after all."""
        became = self._db.last(BECAME.format(began))[0]
        if became == "in progress":
            raise self._database.driver.OperationalError(f"the outcome of commit {began} is not known yet")
        batch.doubt = None
        batch.settled = became == "committed"
        return batch.settled

    def _run(self, batch: Batch) -> Stored:
        self._begin()
        stored, error = attempt(self._together, batch)
        if stored is not None:
            return stored
        if error is not None and fault(error) is not Fault.STATEMENT:
            raise error
        self._db.raw("ROLLBACK")
        self._begin()
        return self._apart(batch)

    def _together(self, batch: Batch) -> Stored:
        """Run all functions without savepoints; raises as soon as anything fails."""
        db = self._db
        outcomes: list[Outcome] = [(fn(db), None) for fn in batch.fns]
        self._keep([*db.gathered, *batch.rows])
        return Stored(outcomes, self._events.store(db, self._clock.now()), db.afterwards)

    def _apart(self, batch: Batch) -> Stored:
        """Run each function, and write each gathered row, under a savepoint of its own."""
        db, parts = self._db, list[Told]()
        outcomes = [db.apart(partial(self._whole, fn, parts)) for fn in batch.fns]
        for row in batch.rows:
            _, error = db.apart(partial(self._kept_alone, row))
            if error is not None:
                log.error("a gathered row could not be written: %s", error)
        return Stored(outcomes, _joined(parts), db.afterwards)

    def _whole(self, fn: Write, parts: list[Told], db: Connection) -> Any:
        """A function with the rows it gathers and the events it records."""
        value = fn(db)
        self._keep(db.gathered)
        told = self._events.store(db, self._clock.now())
        db.gathered.clear()
        if told is not None:
            parts.append(told)
        return value

    def _kept_alone(self, row: Row, _db: Connection) -> None:
        self._keep([row])

    def _keep(self, rows: list[Row]) -> None:
        """Write gathered rows, kind by kind."""
        kinds: dict[Prepared, list[dict[str, Any]]] = {}
        for statement, row in rows:
            kinds.setdefault(statement, []).append(row)
        for statement, same in kinds.items():
            self._db.many(statement, same)


def _joined(parts: list[Told]) -> Told | None:
    if not parts:
        return None
    numbers = [number for part in parts for number in part.numbers]
    return Told(parts[0].at, numbers, [row for part in parts for row in part.rows])


def _refuse() -> None:
    """Stand in for a connection's own ``commit`` and ``rollback``: other functions' writes are in its transaction."""
    raise Refused(
        "a journal function must not commit or roll back",
        place="journal",
        cure="Return to commit, raise an error to undo; begin_nested() makes a savepoint",
    )
