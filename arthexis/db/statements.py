"""Core statements compiled once and run on the driver's own cursor, because Core's ``execute`` costs ten times that.

A ``Prepared`` is written in SQLAlchemy Core with named ``bindparam``s; a ``Connection`` runs it with keyword
values. Everything that is not on the message's path may use plain Core through ``Connection.core``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from arthexis.db.faults import Fault, fault
from arthexis.plugins.contain import attempt

T = TypeVar("T")
Row = tuple[Any, ...]
Convert = Callable[[Any], Any]
Values = dict[str, Any]

# What a station sends may be compared with a 32 bit column, where a value that does not fit equals none of its rows.
NARROW = re.compile(r"(%\(\w+\)s)::INTEGER\b")


class Compiled(NamedTuple):
    """SQL text, its own constants, the values to convert on the way in, and the columns to convert on the way out.

    ``pick`` makes of named values what the driver takes: SQLite binds by place in half the time that names take.
    """

    sql: str
    fixed: Values
    inward: tuple[tuple[str, Convert], ...]
    outward: tuple[tuple[int, Convert], ...]
    pick: Callable[[Values], Any]


class Prepared:
    """A Core statement (or a function of the dialect's own ``insert``) that is compiled at its first use."""

    __slots__ = ("_build", "kept")

    def __init__(self, build: sa.Executable | Callable[[Any], sa.Executable]) -> None:
        """Keep the statement, and in ``kept`` what it is for each dialect; a callable gets the dialect's ``insert``."""
        self._build = build
        self.kept: dict[str, Compiled] = {}

    def compiled(self, dialect: sa.Dialect) -> Compiled:
        """The statement for this dialect."""
        found = self.kept.get(dialect.name)
        return found if found is not None else self._compile(dialect)

    def _compile(self, dialect: sa.Dialect) -> Compiled:
        insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        clause = self._build(insert) if callable(self._build) else self._build
        text = cast("SQLCompiler", cast("sa.ClauseElement", clause).compile(dialect=_by_place(dialect)))
        fixed = {str(name): bound.value for name, bound in text.binds.items() if not bound.required}
        processors = {str(name): cast("Convert", convert) for name, convert in text._bind_processors.items()}
        processors = {name: convert for name, convert in processors.items() if not _is_boolean(text.binds[name])}
        fixed = {name: processors[name](value) if name in processors else value for name, value in fixed.items()}
        if dialect.name == "postgresql":
            texts = (name for name, bound in text.binds.items() if isinstance(bound.type, sa.String))
            processors = {str(name): without_nul for name in texts} | processors
        inward = tuple((name, convert) for name, convert in processors.items() if name not in fixed)
        sql = NARROW.sub(r"\1::BIGINT", text.string) if dialect.name == "postgresql" else text.string
        found = Compiled(sql, fixed, inward, tuple(_outward(clause, dialect)), _pick(text.positiontup))
        self.kept[dialect.name] = found
        return found


def without_nul(text: Any) -> Any:
    """A text as PostgreSQL can keep it, which knows no NUL; U+FFFD stands in its place."""
    return text.replace("\0", "\ufffd") if isinstance(text, str) and "\0" in text else text


def _by_place(dialect: sa.Dialect) -> sa.Dialect:
    """A dialect that writes SQL for this driver with ``?`` for values where the driver takes that."""
    return sqlite.dialect(paramstyle="qmark") if dialect.name == "sqlite" else dialect


def _is_boolean(bound: sa.BindParameter[Any]) -> bool:
    """Whether a value needs no converting because every driver takes True and False as they are."""
    return isinstance(bound.type, sa.Boolean)


def _pick(places: list[str] | None) -> Callable[[Values], Any]:
    """From named values to a row of them, or the names as they are where the driver goes by names."""
    if places is None:
        return _as_they_are
    names = list(map(str, places))
    if len(names) < 2:
        return lambda values: tuple(values[name] for name in names)
    return itemgetter(*names)


def _as_they_are(values: Values) -> Values:
    return values


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

    __slots__ = ("_cursor", "_dialect", "_name", "afterwards", "core", "events", "gathered")

    def __init__(self, core: sa.Connection) -> None:
        """Stand on an open SQLAlchemy connection."""
        self.core = core
        self.events: list[tuple[str, str | None, dict[str, Any]]] = []
        self.afterwards: list[Callable[[], None]] = []
        self.gathered: list[tuple[Prepared, dict[str, Any]]] = []
        self._dialect = core.dialect
        self._name = core.dialect.name
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
        sql, fixed, inward, _, pick = statement.kept.get(self._name) or statement.compiled(self._dialect)
        if fixed:
            values.update(fixed)
        for name, convert in inward:
            values[name] = convert(values[name])
        cursor = self._cursor
        cursor.execute(sql, pick(values))
        return cursor.rowcount

    def one(self, statement: Prepared, /, **values: Any) -> Row | None:
        """The first row, or None."""
        sql, fixed, inward, outward, pick = statement.kept.get(self._name) or statement.compiled(self._dialect)
        if fixed:
            values.update(fixed)
        for name, convert in inward:
            values[name] = convert(values[name])
        cursor = self._cursor
        cursor.execute(sql, pick(values))
        row: Row | None = cursor.fetchone()
        return row if row is None or not outward else _converted(row, outward)

    def all(self, statement: Prepared, /, **values: Any) -> list[Row]:
        """Every row."""
        sql, fixed, inward, outward, pick = statement.compiled(self._dialect)
        values.update(fixed)
        for name, convert in inward:
            values[name] = convert(values[name])
        self._cursor.execute(sql, pick(values))
        rows = cast("list[Row]", self._cursor.fetchall())
        return [_converted(row, outward) for row in rows] if outward else rows

    def many(self, statement: Prepared, rows: list[dict[str, Any]]) -> None:
        """Run a statement once for each of the rows."""
        sql, fixed, inward, _, pick = statement.compiled(self._dialect)
        bound = [row | fixed for row in rows]
        for row in bound:
            for name, convert in inward:
                row[name] = convert(row[name])
        self._cursor.executemany(sql, [pick(row) for row in bound])

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


def _converted(row: Row, outward: tuple[tuple[int, Convert], ...]) -> Row:
    cells = list(row)
    for place, convert in outward:
        cells[place] = convert(cells[place])
    return tuple(cells)
