"""A journal that discards what it is handed, so that what is left is the cost of the node without its storage.

Links, decoding, handlers and answers run as always. A function that answers with the very same object every time (that
of MeterValues and StatusNotification) is dropped: what it would do is the journal's work. One whose answer depends on
it (StartTransaction, StopTransaction, Authorize) runs, its look-ups on the database in memory, and what it writes is
thrown away by the driver's cursor. There is no commit and nothing to wait for.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any, Protocol, TypeVar

from arthexis.db.journal import Journal
from arthexis.db.statements import Connection

T = TypeVar("T")


class Cursor(Protocol):
    """What the journal uses of a driver's cursor."""

    rowcount: int

    def execute(self, sql: str, values: Any = ..., /) -> Any:
        """Run a statement."""

    def executemany(self, sql: str, rows: Iterable[Any], /) -> Any:
        """Run a statement for each row."""

    def fetchone(self) -> Any:
        """The next row."""

    def fetchall(self) -> list[Any]:
        """All rows."""

    def close(self) -> None:
        """Give it back."""


class DiscardingCursor:
    """A cursor that runs SELECT and nothing else. A row that was to be written gets the next number as its key."""

    def __init__(self, reading: Cursor) -> None:
        """Answer look-ups with ``reading``."""
        self._reading = reading
        self._numbers = itertools.count(1)
        self._selected = False
        self.rowcount = 1

    def execute(self, sql: str, values: Any = ()) -> None:
        """Run a look-up; forget anything else."""
        self._selected = sql.startswith("SELECT")
        if self._selected:
            self._reading.execute(sql, values)

    def executemany(self, _sql: str, _rows: Iterable[Any]) -> None:
        """Forget rows."""

    def fetchone(self) -> Any:
        """The row that was looked up, or the number of the one that was not written."""
        return self._reading.fetchone() if self._selected else (next(self._numbers),)

    def fetchall(self) -> list[Any]:
        """The rows that were looked up."""
        return self._reading.fetchall()

    def close(self) -> None:
        """Give the cursor back."""
        self._reading.close()


class Discarding:
    """Stands in for ``Journal.write``."""

    def __init__(self, db: Connection, loop: asyncio.AbstractEventLoop, *, runs_all: bool = False) -> None:
        """Run functions on ``db``; with ``runs_all`` also those whose answer is known."""
        self._db = db
        self._new_future = loop.create_future
        self._runs_all = runs_all
        self._last: dict[CodeType, Any] = {}
        self._known: dict[CodeType, asyncio.Future[Any]] = {}

    def write(self, fn: Callable[[Connection], T], *, slow: bool = False) -> asyncio.Future[T]:
        """A future that is done: with what ``fn`` returned, or what it returns every time."""
        known = self._known.get(fn.__code__)
        return known if known is not None else self._run(fn)

    def _run(self, fn: Callable[[Connection], T]) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self._new_future()
        value = fn(self._db)
        done.set_result(value)
        self._db.events.clear()
        self._db.gathered.clear()
        if not self._runs_all and value is not None and self._last.get(fn.__code__) is value:
            self._known[fn.__code__] = done
        self._last[fn.__code__] = value
        return done


def discard(journal: Journal, *, runs_all: bool = False) -> None:
    """Let a journal in memory throw away what it is handed from now on. Raises ``ValueError`` for a file."""
    if not journal.database.memory:
        raise ValueError("only a database in memory may lose what is written")
    db = Connection(journal.database.engine.connect())
    db._cursor = DiscardingCursor(db._cursor)
    discarding = Discarding(db, asyncio.get_running_loop(), runs_all=runs_all)
    journal.write = discarding.write  # type: ignore[method-assign]
