"""The message log: every CALL and its answer as they went over the wire, bounded by days and by bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from arthexis.charging.tables import message
from arthexis.db.statements import Connection, Prepared

INSERT = Prepared(sa.insert(message).values(**{c.name: sa.bindparam(c.name) for c in message.c if c.name != "id"}))
CHUNK = 2_000
BYTES = sa.func.coalesce(sa.func.length(message.c.frame), 0) + sa.func.coalesce(sa.func.length(message.c.answer), 0)


def trim(db: Connection, before: datetime, keep_bytes: int) -> int:
    """Delete messages older than ``before``, then the oldest beyond ``keep_bytes``; at most a chunk at a time.

    Returns how many were deleted; call it again until that is 0.
    """
    first, last = db.core.execute(sa.select(sa.func.min(message.c.id), sa.func.max(message.c.id))).one()
    if first is None:
        return 0
    held = db.core.execute(sa.select(sa.func.sum(BYTES))).scalar_one()
    surplus = int((last - first + 1) * (held - keep_bytes) / held) if held > keep_bytes else 0
    oldest = sa.select(message.c.id, message.c.at).order_by(message.c.id).limit(CHUNK)
    doomed = [row.id for row in db.core.execute(oldest) if row.at < before or row.id < first + surplus]
    if doomed:
        db.core.execute(sa.delete(message).where(message.c.id <= doomed[-1]))
    return len(doomed)


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
