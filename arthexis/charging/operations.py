"""Operations: what a station is told, kept from the moment somebody asks for it to its one and only end.

A row is ``queued``, then ``sent``, then ends in exactly one of: the station's own word (its answer's status, or
``answered`` where the answer has none), ``error``, ``timed out``, ``station gone``, ``cancelled``, ``expired``, or
``sent, unknown`` where the node died between sending and hearing the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging.ids import uuid7
from arthexis.charging.tables import operation
from arthexis.charging.tables import station as station_table
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import DomainError, NotFound

QUEUED: Final = "queued"
SENT: Final = "sent"
ANSWERED: Final = "answered"
ERROR: Final = "error"
TIMED_OUT: Final = "timed out"
STATION_GONE: Final = "station gone"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
SENT_UNKNOWN: Final = "sent, unknown"
OPEN: Final = frozenset({QUEUED, SENT})

_c = operation.c
_NEW = ("uid", "batch", "station_id", "action", "payload", "state", "priority", "requested_by", "created_at")
_WHEN = ("send_after", "queue_until", "expires_at")
INSERT = Prepared(sa.insert(operation).values(**{name: bind(name) for name in (*_NEW, *_WHEN)}).returning(_c.id))
MARK_SENT = Prepared(
    sa.update(operation).where(_c.id == bind("row"), _c.state == QUEUED).values(state=SENT, sent_at=bind("sent_at"))
)
_END = ("finished_at", "answer", "error_code", "error_text", "repairs", "follow_up", "follow_up_until")
FINISH = Prepared(
    sa.update(operation)
    .where(_c.id == bind("row"), sa.or_(_c.state == QUEUED, _c.state == SENT))
    .values(state=bind("state"), **{name: bind(name) for name in _END})
)
FOLLOW = Prepared(
    sa.update(operation)
    .where(_c.id == bind("row"), _c.follow_up_until.is_not(None))
    .values(follow_up=bind("follow_up"), follow_up_at=bind("follow_up_at"), follow_up_until=bind("follow_up_until"))
)


@dataclass(frozen=True, slots=True)
class Draft:
    """An operation that is asked for: to which station (row and identity), which action, and its request as JSON.

    ``secret`` is the request as it is sent where ``payload`` has parts of it masked; it is never stored.
    """

    station_id: int
    station: str
    action: str
    payload: bytes
    requested_by: str
    priority: int = 0
    send_after: datetime | None = None
    queue_until: datetime | None = None
    expires_at: datetime | None = None
    batch: str | None = None
    secret: bytes | None = field(default=None, repr=False)

    @property
    def request(self) -> bytes:
        """The request as it goes over the wire."""
        return self.payload if self.secret is None else self.secret


@dataclass(frozen=True, slots=True)
class Queued:
    """An operation that waits to be sent; sorts by priority, then by age."""

    id: int
    uid: str
    draft: Draft

    @property
    def order(self) -> tuple[int, int]:
        """What it is sorted by: the higher priority first, then the older one."""
        return (-self.draft.priority, self.id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended: its state, the station's answer verbatim (JSON), or what went wrong."""

    state: str
    answer: bytes | None = None
    error_code: str | None = None
    error_text: str | None = None
    repairs: tuple[str, ...] = ()
    follow_up: str | None = None
    follow_up_until: datetime | None = None


def add(db: Connection, draft: Draft, at: datetime) -> Queued:
    """Queue an operation."""
    uid = uuid7()
    row = db.one(
        INSERT,
        uid=uid,
        batch=draft.batch,
        station_id=draft.station_id,
        action=draft.action,
        payload=draft.payload.decode(),
        state=QUEUED,
        priority=draft.priority,
        requested_by=draft.requested_by,
        created_at=at,
        send_after=draft.send_after,
        queue_until=draft.queue_until,
        expires_at=draft.expires_at,
    )
    return Queued(row[0] if row else 0, uid, draft)


def mark_sent(db: Connection, row: int, at: datetime) -> bool:
    """Say that the frame leaves now, before it does; False if the operation has ended meanwhile."""
    return db.run(MARK_SENT, row=row, sent_at=at) == 1


def finish(db: Connection, queued: Queued, outcome: Outcome, at: datetime) -> bool:
    """End an operation, once; False if it had ended before. Tells of it by the event ``operation.finished``."""
    changed = db.run(
        FINISH,
        row=queued.id,
        state=outcome.state,
        finished_at=at,
        answer=outcome.answer.decode("utf-8", "replace") if outcome.answer is not None else None,
        error_code=outcome.error_code,
        error_text=outcome.error_text,
        repairs=msgspec.json.encode(outcome.repairs).decode() if outcome.repairs else None,
        follow_up=outcome.follow_up,
        follow_up_until=outcome.follow_up_until,
    )
    if changed:
        told = {"operation": queued.uid, "action": queued.draft.action, "state": outcome.state}
        db.event("operation.finished", queued.draft.station, {**told, "error": outcome.error_text})
    return changed == 1


def follow(db: Connection, row: int, said: str, at: datetime, until: datetime | None) -> None:
    """Note what came of an operation after its answer; ``until`` None ends the waiting."""
    db.run(FOLLOW, row=row, follow_up=said, follow_up_at=at, follow_up_until=until)


def sent(db: Connection) -> list[Queued]:
    """Every operation whose frame left and whose end is not known."""
    return [_queued(row) for row in db.core.execute(_selected().where(_c.state == SENT).order_by(_c.id)).mappings()]


def left(db: Connection, row: int) -> bool:
    """Whether the operation's frame has left, or may have."""
    return db.core.execute(sa.select(_c.sent_at).where(_c.id == row)).scalar() is not None


def send_again(db: Connection, row: int) -> None:
    """Queue an operation again that is safe to be sent twice."""
    db.core.execute(sa.update(operation).where(_c.id == row, _c.state == SENT).values(state=QUEUED, sent_at=None))


def waiting(db: Connection) -> list[Queued]:
    """Every queued operation, the oldest first."""
    return [_queued(row) for row in db.core.execute(_selected().where(_c.state == QUEUED).order_by(_c.id)).mappings()]


def followed(db: Connection) -> list[tuple[Queued, dict[str, Any]]]:
    """Every ended operation of which something is still awaited, with its public record."""
    wanted = _selected().where(_c.follow_up_until.is_not(None)).order_by(_c.id)
    return [(_queued(row), public(dict(row))) for row in db.core.execute(wanted).mappings()]


def get(db: Connection, uid: str) -> dict[str, Any]:
    """One operation by its uid; raises ``NotFound``."""
    row = db.core.execute(_selected().where(_c.uid == uid)).mappings().first()
    if row is None:
        raise NotFound(f"no operation {uid}", place="operations", cure="See `arthexis operations list`")
    return public(dict(row))


def rows(
    db: Connection,
    *,
    station_id: int | None = None,
    states: Iterable[str] | None = None,
    action: str | None = None,
    batch: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Operations, the latest first; ``before`` is the number of the last one seen."""
    wanted = _selected()
    if station_id is not None:
        wanted = wanted.where(_c.station_id == station_id)
    if states is not None:
        wanted = wanted.where(_c.state.in_(list(states)))
    if action is not None:
        wanted = wanted.where(_c.action == action)
    if batch is not None:
        wanted = wanted.where(_c.batch == batch)
    if before is not None:
        wanted = wanted.where(_c.id < before)
    found = db.core.execute(wanted.order_by(_c.id.desc()).limit(limit)).mappings()
    return [public(dict(row)) for row in found]


def check_open(record: dict[str, Any]) -> None:
    """Raise ``DomainError`` for an operation that can no longer be cancelled."""
    if record["state"] != QUEUED:
        raise DomainError(
            f"operation {record['id']} is {record['state']}",
            place="operations",
            cure="Only a queued one can be cancelled",
        )


def _selected() -> sa.Select[Any]:
    return sa.select(station_table.c.identity.label("station"), operation).join(
        station_table, station_table.c.id == _c.station_id
    )


def _queued(row: Any) -> Queued:
    draft = Draft(
        row["station_id"],
        row["station"],
        row["action"],
        row["payload"].encode(),
        row["requested_by"],
        row["priority"],
        row["send_after"],
        row["queue_until"],
        row["expires_at"],
        row["batch"],
    )
    return Queued(row["id"], row["uid"], draft)


def public(row: dict[str, Any]) -> dict[str, Any]:
    """An operation as the API shows it: ``id`` is its uid, ``number`` its place in the table."""
    del row["station_id"]
    row["number"], row["id"] = row["id"], row.pop("uid")
    row["payload"] = msgspec.json.decode(row["payload"])
    row["answer"] = _verbatim(row["answer"])
    row["repairs"] = msgspec.json.decode(row["repairs"]) if row["repairs"] else []
    row["final"] = row["state"] not in OPEN
    return row


def _verbatim(answer: str | None) -> Any:
    """The answer as JSON, or as its text where it is none."""
    if answer is None:
        return None
    try:
        return msgspec.json.decode(answer)
    except (msgspec.MsgspecError, RecursionError):
        return answer
