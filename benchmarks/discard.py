"""A journal that discards: look-ups are answered by the database in memory, everything that is written is thrown away.

Every handler, every domain function and every statement's values are made as always; only the driver's cursor keeps
nothing. What is left is the cost of the node without that of its storage.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Protocol

from arthexis.db.journal import Journal


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


def discard(journal: Journal) -> None:
    """Let a journal in memory throw away what is written from now on. Raises ``ValueError`` for a file."""
    if not journal.database.memory:
        raise ValueError("only a database in memory may lose what is written")
    connection = journal._db
    connection._cursor = DiscardingCursor(connection._cursor)
