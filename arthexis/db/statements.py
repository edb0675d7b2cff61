"""Core statements compiled once and run on the driver's own cursor, because Core's ``execute`` costs ten times that.

A ``Prepared`` is written in SQLAlchemy Core with named ``bindparam``s; a ``Connection`` runs it with keyword
values. Everything that is not on the message's path may use plain Core through ``Connection.core``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from arthexis.db.faults import Fault, fault
from arthexis.plugins.contain import attempt

T = TypeVar("T")
Row = tuple[Any, ...]
Convert = Callable[[Any], Any]

# What a station sends may be compared with a 32 bit column, where a value that does not fit equals none of its rows.
NARROW = re.compile(r"(%\(\w+\)s)::INTEGER\b")


class Compiled(NamedTuple):
    """SQL text, its own constants, the values to convert on the way in, and the columns to convert on the way out."""

    sql: str
    fixed: dict[str, Any]
    inward: tuple[tuple[str, Convert], ...]
    outward: tuple[tuple[int, Convert], ...]


class Prepared:
    """A Core statement (or a function of the dialect's own ``insert``) that is compiled at its first use."""

    __slots__ = ("_build", "_compiled")

    def __init__(self, build: sa.Executable | Callable[[Any], sa.Executable]) -> None:
        """Keep the statement; a callable gets the dialect's ``insert``, which knows ``on_conflict_do_…``."""
        self._build = build
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: sa.Dialect) -> Compiled:
        """The statement for this dialect."""
        found = self._compiled.get(dialect.name)
        return found if found is not None else self._compile(dialect)

    def _compile(self, dialect: sa.Dialect) -> Compiled:
        insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        clause = self._build(insert) if callable(self._build) else self._build
        text = cast("SQLCompiler", cast("sa.ClauseElement", clause).compile(dialect=dialect))
        fixed = {str(name): bound.value for name, bound in text.binds.items() if not bound.required}
        processors = {str(name): cast("Convert", convert) for name, convert in text._bind_processors.items()}
        fixed = {name: processors[name](value) if name in processors else value for name, value in fixed.items()}
        if dialect.name == "postgresql":
            texts = (name for name, bound in text.binds.items() if isinstance(bound.type, sa.String))
            processors = {str(name): without_nul for name in texts} | processors
        inward = tuple((name, convert) for name, convert in processors.items() if name not in fixed)
        sql = NARROW.sub(r"\1::BIGINT", text.string) if dialect.name == "postgresql" else text.string
        found = Compiled(sql, fixed, inward, tuple(_outward(clause, dialect)))
        self._compiled[dialect.name] = found
        return found


def without_nul(text: Any) -> Any:
    """A text as PostgreSQL can keep it, which knows no NUL; U+FFFD stands in its place."""
    return text.replace("\0", "\ufffd") if isinstance(text, str) and "\0" in text else text


def _outward(clause: sa.Executable, dialect: sa.Dialect) -> Iterable[tuple[int, Convert]]:
    """Which columns of the result need converting, by place."""
    described = getattr(clause, "exported_columns", None)
    for place, column in enumerate(described if described is not None else ()):
        if dialect.name == "postgresql" and isinstance(column.type, (sa.Numeric, sa.Float)):
            continue  # psycopg gives floats and decimals as they are meant; SQLAlchemy would ask for the column's OID
        convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if convert is not None:
            yield place, convert


class Connection:
    """What a journal function gets: prepared statements on the driver's cursor, Core beside it, and events.

    Every function must be re-runnable: it may run twice if the first commit could not be made.
    """

    __slots__ = ("_cursor", "_dialect", "afterwards", "core", "events", "gathered")

    def __init__(self, core: sa.Connection) -> None:
        """Stand on an open SQLAlchemy connection."""
        self.core = core
        self.events: list[tuple[str, str | None, dict[str, Any]]] = []
        self.afterwards: list[Callable[[], None]] = []
        self.gathered: list[tuple[Prepared, dict[str, Any]]] = []
        self._dialect = core.dialect
        self._cursor = core.connection.cursor()

    def raw(self, sql: str) -> None:
        """Run a bare SQL command (BEGIN, COMMIT, SAVEPOINT)."""
        self._cursor.execute(sql)

    def last(self, sql: str) -> Row:
        """Run bare SQL commands, parted by semicolons; the one row that the last of them answers."""
        self._cursor.execute(sql)
        while self._cursor.nextset():
            pass
        return cast("Row", self._cursor.fetchone())

    def run(self, statement: Prepared, /, **values: Any) -> int:
        """Run a statement; how many rows it touched."""
        self._execute(statement, values)
        return self._cursor.rowcount

    def one(self, statement: Prepared, /, **values: Any) -> Row | None:
        """The first row, or None."""
        compiled = self._execute(statement, values)
        row = cast("Row | None", self._cursor.fetchone())
        return row if row is None or not compiled.outward else _converted(row, compiled.outward)

    def all(self, statement: Prepared, /, **values: Any) -> list[Row]:
        """Every row."""
        compiled = self._execute(statement, values)
        rows = cast("list[Row]", self._cursor.fetchall())
        return [_converted(row, compiled.outward) for row in rows] if compiled.outward else rows

    def many(self, statement: Prepared, rows: list[dict[str, Any]]) -> None:
        """Run a statement once for each of the rows."""
        compiled = statement.compiled(self._dialect)
        bound = [row | compiled.fixed for row in rows]
        for row in bound:
            for name, convert in compiled.inward:
                row[name] = convert(row[name])
        self._cursor.executemany(compiled.sql, bound)

    def gather(self, statement: Prepared, row: dict[str, Any]) -> None:
        """Store a row at the end of this commit, together with all others of its kind."""
        self.gathered.append((statement, row))

    def apart(self, fn: Callable[[Connection], T]) -> tuple[T | None, BaseException | None]:
        """Run ``fn`` under a savepoint of its own; if it fails, nothing that it did stays and its error comes back.

        Raises what is no fault of ``fn`` but the database's own trouble (a lock, a full disk, a lost connection).
        """
        events, gathered, afterwards = len(self.events), len(self.gathered), len(self.afterwards)
        self.raw("SAVEPOINT apart")
        value, error = attempt(fn, self)
        if error is not None:
            if fault(error) is not Fault.STATEMENT:
                raise error
            del self.events[events:], self.gathered[gathered:], self.afterwards[afterwards:]
            self.raw("ROLLBACK TO SAVEPOINT apart")
        self.raw("RELEASE SAVEPOINT apart")
        return value, error

    def event(self, kind: str, station: str | None, data: dict[str, Any]) -> None:
        """Record an event in this very commit; live and durable readers get it after it."""
        self.events.append((kind, station, data))

    def afterward(self, call: Callable[[], None]) -> None:
        """Have something called on the loop once this commit is made, and not at all if it is not."""
        self.afterwards.append(call)

    def close(self) -> None:
        """Give the cursor back."""
        self._cursor.close()

    def _execute(self, statement: Prepared, values: dict[str, Any]) -> Compiled:
        compiled = statement.compiled(self._dialect)
        if compiled.fixed:
            values.update(compiled.fixed)
        for name, convert in compiled.inward:
            values[name] = convert(values[name])
        self._cursor.execute(compiled.sql, values)
        return compiled


def _converted(row: Row, outward: tuple[tuple[int, Convert], ...]) -> Row:
    cells = list(row)
    for place, convert in outward:
        cells[place] = convert(cells[place])
    return tuple(cells)
