"""The message log: every CALL and its answer as they went over the wire, bounded by days and by bytes."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from arthexis.charging.tables import message
from arthexis.db.statements import Connection, Prepared

INSERT = Prepared(sa.insert(message).values(**{c.name: sa.bindparam(c.name) for c in message.c if c.name != "id"}))
CHUNK = 2_000
BYTES = sa.func.coalesce(sa.func.length(message.c.frame), 0) + sa.func.coalesce(sa.func.length(message.c.answer), 0)
_next = (
    sa.select(message.c.id, BYTES.label("bytes"))
    .where(message.c.id > sa.bindparam("after", type_=sa.BigInteger))
    .order_by(message.c.id)
    .limit(CHUNK)
    .subquery()
)
NEXT = Prepared(sa.select(sa.func.max(_next.c.id), sa.func.count(), sa.func.sum(_next.c.bytes)))
_oldest = sa.select(message.c.id, message.c.at).order_by(message.c.id).limit(CHUNK).subquery()
EXPIRED = Prepared(
    sa.select(sa.func.max(_oldest.c.id)).where(_oldest.c.at < sa.bindparam("before", type_=message.c.at.type))
)
DELETE = Prepared(sa.delete(message).where(message.c.id <= sa.bindparam("through", type_=sa.BigInteger)))


class Piece(NamedTuple):
    """A run of messages: the last one's number, how many there are, and the bytes of their frames and answers."""

    through: int
    many: int
    held: int


class Measured:
    """How many bytes the log holds, known piece by piece, so that each message is measured once and never again."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._pieces: deque[Piece] = deque()
        self.held = 0

    @property
    def through(self) -> int:
        """The last message that was measured."""
        return self._pieces[-1].through if self._pieces else 0

    def add(self, piece: Piece) -> None:
        """Another piece, behind the last one; small ones are put together."""
        self.held += piece.held
        if self._pieces and self._pieces[-1].many + piece.many <= CHUNK:
            before = self._pieces.pop()
            piece = Piece(piece.through, before.many + piece.many, before.held + piece.held)
        self._pieces.append(piece)

    def surplus(self, keep_bytes: int) -> int:
        """Up to which number the oldest piece may go, if more than ``keep_bytes`` are held; else 0."""
        return self._pieces[0].through if self.held > keep_bytes and len(self._pieces) > 1 else 0

    def gone(self, through: int) -> None:
        """The messages up to this number were deleted; a piece of which some are left still counts whole."""
        while self._pieces and self._pieces[0].through <= through:
            self.held -= self._pieces.popleft().held


def measure(db: Connection, after: int) -> Piece | None:
    """The next piece behind number ``after``, at most a chunk; None if there is none."""
    row = db.one(NEXT, after=after)
    return Piece(int(row[0]), int(row[1]), int(row[2])) if row is not None and row[0] is not None else None


def expired(db: Connection, before: datetime) -> int:
    """Up to which number the oldest messages are older than ``before``, at most a chunk; 0 if none is."""
    row = db.one(EXPIRED, before=before)
    return int(row[0]) if row is not None and row[0] is not None else 0


def forget(db: Connection, through: int) -> int:
    """Delete the messages up to this number; how many."""
    return db.run(DELETE, through=through)


def rows(db: Connection, station: str | None = None, limit: int = 100, after: int = 0) -> list[dict[str, Any]]:
    """The latest messages, oldest first; with ``after``, those behind that number."""
    wanted = sa.select(message)
    if station is not None:
        wanted = wanted.where(message.c.station == station)
    if after:
        found = db.core.execute(wanted.where(message.c.id > after).order_by(message.c.id).limit(limit)).mappings()
        return [_public(dict(row)) for row in found]
    latest = db.core.execute(wanted.order_by(message.c.id.desc()).limit(limit)).mappings().all()
    return [_public(dict(row)) for row in reversed(latest)]


def page(
    db: Connection,
    *,
    station: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Messages, the latest first; ``before`` is the number of the last one seen."""
    wanted = sa.select(message)
    if station is not None:
        wanted = wanted.where(message.c.station == station)
    if action is not None:
        wanted = wanted.where(message.c.action == action)
    if since is not None:
        wanted = wanted.where(message.c.at >= since)
    if until is not None:
        wanted = wanted.where(message.c.at < until)
    if before is not None:
        wanted = wanted.where(message.c.id < before)
    return [_public(dict(row)) for row in db.core.execute(wanted.order_by(message.c.id.desc()).limit(limit)).mappings()]


def _public(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("frame", "answer"):
        row[name] = bytes(row[name]).decode("utf-8", "replace") if row[name] is not None else None
    row["repairs"] = msgspec.json.decode(row["repairs"]) if row["repairs"] else []
    return row
