"""Events: rows written in the same commit as what they tell of, numbered in the order of the commits."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from arthexis.db.schema import event, subscriber
from arthexis.db.statements import Connection, Prepared

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(dict[str, Any]).decode

INSERT = Prepared(sa.insert(event))
LAST = Prepared(sa.select(sa.func.coalesce(sa.func.max(event.c.id), 0)))
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
OLD = Prepared(sa.delete(event).where(event.c.at < sa.bindparam("before", type_=event.c.at.type)))


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
        """Read the last number, if the table is there already."""
        self._shared = db.core.dialect.name == "postgresql"
        if not self._shared and sa.inspect(db.core).has_table("event"):
            row = db.one(LAST)
            self._last = row[0] if row else 0

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


def after(db: Connection, last: int, most: int = 500) -> list[Event]:
    """The events behind number ``last``, oldest first."""
    return [Event(row[0], row[1], row[2], row[3], decode(row[4])) for row in db.all(AFTER, last=last, most=most)]


def forget(db: Connection, before: datetime) -> int:
    """Delete the events of before then; how many."""
    return db.run(OLD, before=before)


def cursor(db: Connection, name: str) -> int | None:
    """The last event this subscriber has handled, or None if it is new."""
    row = db.one(CURSOR, name=name)
    return row[0] if row else None


def move(db: Connection, name: str, last: int, at: datetime) -> None:
    """Remember how far a subscriber has come."""
    db.run(MOVE, name=name, last_event_id=last, at=at)
