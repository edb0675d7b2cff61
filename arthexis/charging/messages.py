"""The message log: every frame as it went over the wire, bounded by days and by bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from arthexis.charging.tables import message
from arthexis.db.statements import Connection, Prepared

INSERT = Prepared(
    sa.insert(message).values(**{c.name: sa.bindparam(c.name) for c in message.c if c.name != "id"})
)
CHUNK = 5_000


def trim(db: Connection, before: datetime, keep_bytes: int) -> int:
    """Delete messages older than ``before``, then the oldest beyond ``keep_bytes``; at most a chunk at a time.

    Returns how many were deleted: a full chunk means that there may be more.
    """
    return _trim_old(db, before) or _trim_large(db, keep_bytes)


def _trim_old(db: Connection, before: datetime) -> int:
    oldest = sa.select(message.c.id).where(message.c.at < before).order_by(message.c.id).limit(CHUNK)
    return db.core.execute(sa.delete(message).where(message.c.id.in_(oldest))).rowcount


def _trim_large(db: Connection, keep_bytes: int) -> int:
    held = db.core.execute(sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(message.c.frame)), 0))).scalar_one()
    if held <= keep_bytes:
        return 0
    count = db.core.execute(sa.select(sa.func.count()).select_from(message)).scalar_one()
    surplus = min(CHUNK, max(1, int(count * (held - keep_bytes) / held)))
    oldest = sa.select(message.c.id).order_by(message.c.id).limit(surplus)
    return db.core.execute(sa.delete(message).where(message.c.id.in_(oldest))).rowcount


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


def _public(row: dict[str, Any]) -> dict[str, Any]:
    row["frame"] = bytes(row["frame"]).decode("utf-8", "replace")
    row["repairs"] = msgspec.json.decode(row["repairs"]) if row["repairs"] else []
    return row
