"""Events: rows written in the same commit as what they tell of, numbered in the order of the commits."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from arthexis.db.schema import event, subscriber
from arthexis.db.statements import Connection, Prepared

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(dict[str, Any]).decode

CHUNK = 2_000
LATEST = 200
INSERT = Prepared(sa.insert(event))
LAST = Prepared(sa.select(sa.func.coalesce(sa.func.max(event.c.id), 0)))
FURTHEST = Prepared(sa.select(sa.func.coalesce(sa.func.max(subscriber.c.last_event_id), 0)))
NUMBERS = Prepared(
    sa.text("SELECT nextval(pg_get_serial_sequence('event', 'id')) FROM generate_series(1, :many)").bindparams(
        sa.bindparam("many", type_=sa.Integer)
    )
)
AFTER = Prepared(
    sa.select(event.c.id, event.c.kind, event.c.station, event.c.at, event.c.data)
    .where(event.c.id > sa.bindparam("last"))
    .order_by(event.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
CURSOR = Prepared(sa.select(subscriber.c.last_event_id).where(subscriber.c.name == sa.bindparam("name")))
MOVE = Prepared(
    lambda insert: (
        insert(subscriber)
        .values(**{column.name: sa.bindparam(column.name) for column in subscriber.c})
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"last_event_id": sa.bindparam("last_event_id"), "at": sa.bindparam("at", type_=subscriber.c.at.type)},
        )
    )
)
_oldest = sa.select(event.c.id, event.c.at).order_by(event.c.id).limit(CHUNK).subquery()
_all = event.alias()
OLD = Prepared(
    sa.delete(event).where(
        event.c.id.in_(sa.select(_oldest.c.id).where(_oldest.c.at < sa.bindparam("before", type_=event.c.at.type))),
        event.c.id < sa.select(sa.func.max(_all.c.id)).scalar_subquery(),
    )
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was stored: ``kind`` such as "transaction.started", the station's identity, when, and what."""

    id: int
    kind: str
    station: str | None
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """The events of one commit; made into ``Event``s only where somebody listens."""

    at: datetime
    numbers: Sequence[int]
    rows: Sequence[tuple[str, str | None, dict[str, Any]]]

    def events(self, kinds: Container[str] | None = None) -> Iterator[Event]:
        """The events, or those of some kinds."""
        for number, (kind, station, data) in zip(self.numbers, self.rows, strict=True):
            if kinds is None or kind in kinds:
                yield Event(number, kind, station, self.at, data)


class EventLog:
    """Numbers and stores the events of a commit; lives in the writer thread."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._last = 0
        self._shared = False

    def open(self, db: Connection) -> None:
        """Read the last number that was given, if the tables are there already.

        A reader may have come further than the events that are left, and must not meet their numbers again.
        """
        self._shared = db.core.dialect.name == "postgresql"
        if not self._shared and sa.inspect(db.core).has_table("event"):
            self._last = max(int((db.one(statement) or (0,))[0]) for statement in (LAST, FURTHEST))

    def store(self, db: Connection, at: datetime) -> Told | None:
        """Write the events that this commit's functions recorded; None if there are none."""
        if not db.events:
            return None
        told, db.events = db.events, []
        numbers = self._numbers(db, len(told))
        rows = [
            {"id": number, "kind": kind, "station": station, "at": at, "data": encode(data).decode()}
            for number, (kind, station, data) in zip(numbers, told, strict=True)
        ]
        db.many(INSERT, rows)
        return Told(at, numbers, told)

    def _numbers(self, db: Connection, many: int) -> Sequence[int]:
        """The next numbers: our own on SQLite (one writer), the sequence's where writers share a database."""
        if self._shared:
            return [row[0] for row in db.all(NUMBERS, many=many)]
        first = self._last + 1
        self._last += many
        return range(first, first + many)


def of_kinds(kinds: Collection[str]) -> Prepared:
    """What reads the events of these kinds behind a number, for ``behind``."""
    wanted = sa.or_(sa.false(), *(event.c.kind == kind for kind in sorted(kinds)))
    return Prepared(
        sa.select(event.c.id, event.c.kind, event.c.station, event.c.at, event.c.data)
        .where(event.c.id > sa.bindparam("last"), wanted)
        .order_by(event.c.id)
        .limit(sa.bindparam("most", type_=sa.Integer))
    )


def behind(db: Connection, wanted: Prepared, last: int, most: int = 500) -> tuple[list[Event], int]:
    """The wanted events behind number ``last``, oldest first, and up to which number there are no others."""
    row = db.one(LAST)
    newest = int(row[0]) if row else 0
    found = [Event(row[0], row[1], row[2], row[3], decode(row[4])) for row in db.all(wanted, last=last, most=most)]
    return found, found[-1].id if found else max(last, newest)


def after(db: Connection, last: int, most: int = 500) -> list[Event]:
    """The events behind number ``last``, oldest first."""
    return [Event(row[0], row[1], row[2], row[3], decode(row[4])) for row in db.all(AFTER, last=last, most=most)]


def latest(db: Connection, most: int = LATEST) -> list[Event]:
    """The latest events, oldest first."""
    rows = db.core.execute(sa.select(event).order_by(event.c.id.desc()).limit(most)).mappings().all()
    return [Event(row["id"], row["kind"], row["station"], row["at"], decode(row["data"])) for row in reversed(rows)]


def last(db: Connection) -> int:
    """The number of the latest event; 0 if there is none."""
    row = db.one(LAST)
    return int(row[0]) if row is not None else 0


def matching(
    db: Connection, behind: int, *, kinds: Iterable[str] = (), station: str | None = None, most: int = 500
) -> tuple[list[Event], int]:
    """The events behind number ``behind`` of these kinds (``transaction.*`` is all of those) and this station.

    Also the number up to which everything was looked at, from where to go on.
    """
    until = last(db)
    wanted = sa.select(event).where(event.c.id > behind, event.c.id <= until).order_by(event.c.id).limit(most)
    chosen = [_of_kind(kind) for kind in kinds]
    if chosen:
        wanted = wanted.where(sa.or_(*chosen))
    if station is not None:
        wanted = wanted.where(event.c.station == station)
    rows = db.core.execute(wanted).mappings().all()
    found = [Event(row["id"], row["kind"], row["station"], row["at"], decode(row["data"])) for row in rows]
    return found, found[-1].id if len(found) == most else max(until, behind)


def _of_kind(kind: str) -> sa.ColumnElement[bool]:
    if kind.endswith(".*"):
        return event.c.kind.startswith(kind.removesuffix("*"), autoescape=True)
    return event.c.kind == kind


def forget(db: Connection, before: datetime) -> int:
    """Delete the oldest events of before then, a chunk at a time; how many. The newest stays, for its number."""
    return db.run(OLD, before=before)


def cursor(db: Connection, name: str) -> int | None:
    """The last event this subscriber has handled, or None if it is new."""
    row = db.one(CURSOR, name=name)
    return row[0] if row else None


def move(db: Connection, name: str, last: int, at: datetime) -> None:
    """Remember how far a subscriber has come."""
    db.run(MOVE, name=name, last_event_id=last, at=at)
