"""Rows of jobs: put in any commit, taken when they are due, kept for a while when they are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from arthexis.db.schema import job
from arthexis.db.statements import Connection
from arthexis.errors import NotFound

WAITING: Final = "waiting"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Due:
    """A job that is to run: ``tries`` counts this one."""

    id: int
    name: str
    key: str | None
    args: dict[str, Any]
    tries: int


def put(
    db: Connection,
    name: str,
    at: datetime,
    args: Mapping[str, Any],
    *,
    run_at: datetime | None = None,
    key: str | None = None,
) -> int:
    """Have a job run, now or at ``run_at``, once this commit is made; its number.

    With a ``key``, one that waits under the same name and key is moved and changed instead of doubled.
    """
    values = {"args": msgspec.json.encode(args).decode(), "run_at": run_at or at, "state": WAITING, "tries": 0}
    fresh = {**values, "created_at": at, "finished_at": None, "error": None}
    if key is not None:
        known = sa.update(job).where(job.c.name == name, job.c.key == key).values(**fresh).returning(job.c.id)
        found = db.core.execute(known).first()
        if found is not None:
            return int(found[0])
    return int(db.core.execute(sa.insert(job).values(name=name, key=key, **fresh).returning(job.c.id)).scalar_one())


def drop(db: Connection, name: str, key: str) -> bool:
    """Take a waiting job back; False if there is none."""
    gone = sa.delete(job).where(job.c.name == name, job.c.key == key, job.c.state == WAITING)
    return db.core.execute(gone).rowcount > 0


def take(db: Connection, names: list[str], now: datetime, most: int, busy: Sequence[int] = ()) -> list[Due]:
    """Mark the jobs that are due as running, the oldest first; ``busy`` are numbers whose last run is not over."""
    due = sa.select(job).where(_waiting(names, busy), job.c.run_at <= now)
    rows = db.core.execute(due.order_by(job.c.run_at, job.c.id).limit(most)).mappings().all()
    for row in rows:
        db.core.execute(sa.update(job).where(job.c.id == row["id"]).values(state=RUNNING, tries=row["tries"] + 1))
    return [Due(row["id"], row["name"], row["key"], msgspec.json.decode(row["args"]), row["tries"] + 1) for row in rows]


def _waiting(names: list[str], busy: Sequence[int]) -> sa.ColumnElement[bool]:
    return sa.and_(job.c.state == WAITING, job.c.name.in_(names), job.c.id.not_in(busy))


def not_after(db: Connection, name: str, key: str, last: datetime) -> None:
    """Let a waiting job run at ``last``, if it would run later than that."""
    late = sa.update(job).where(job.c.name == name, job.c.key == key, job.c.state == WAITING, job.c.run_at > last)
    db.core.execute(late.values(run_at=last))


def next_at(db: Connection, names: list[str], busy: Sequence[int] = ()) -> datetime | None:
    """When the next job is due, or None."""
    waiting = sa.select(sa.func.min(job.c.run_at)).where(_waiting(names, busy))
    moment: datetime | None = db.core.execute(waiting).scalar()
    return moment


def end(db: Connection, number: int, state: str, at: datetime, error: str | None = None) -> None:
    """A job is over: done, or failed for good. One that was put anew meanwhile is left alone."""
    over = sa.update(job).where(job.c.id == number, job.c.state == RUNNING)
    db.core.execute(over.values(state=state, finished_at=at, error=error))


def again(db: Connection, number: int, run_at: datetime, error: str) -> None:
    """A job failed and is tried again."""
    later = sa.update(job).where(job.c.id == number, job.c.state == RUNNING)
    db.core.execute(later.values(state=WAITING, run_at=run_at, error=error))


def recover(db: Connection, at: datetime) -> int:
    """After a start: what was running when the node died runs again. Returns how many those are."""
    lost = sa.update(job).where(job.c.state == RUNNING).values(state=WAITING, run_at=at)
    return int(db.core.execute(lost).rowcount)


def forget(db: Connection, before: datetime) -> int:
    """Delete jobs that were over before then; how many."""
    return int(db.core.execute(sa.delete(job).where(job.c.finished_at < before)).rowcount)


def rows(
    db: Connection, *, name: str | None = None, state: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Jobs, the latest first."""
    wanted = sa.select(job)
    if name is not None:
        wanted = wanted.where(job.c.name == name)
    if state is not None:
        wanted = wanted.where(job.c.state == state)
    found = db.core.execute(wanted.order_by(job.c.id.desc()).limit(limit)).mappings()
    return [{**row, "args": msgspec.json.decode(row["args"])} for row in found]


def retry(db: Connection, number: int, at: datetime) -> None:
    """Run a failed job once more; raises ``NotFound``."""
    again_now = sa.update(job).where(job.c.id == number, job.c.state == FAILED)
    if db.core.execute(again_now.values(state=WAITING, run_at=at, tries=0, finished_at=None)).rowcount == 0:
        raise NotFound(f"no failed job {number}", place="jobs", cure="See `arthexis jobs list --state failed`")
