"""Notifications, what of them each notifier still has to be given, and how often each rule has spoken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from arthexis import PRIORITIES, Connection, NotFound, Notification, UtcDateTime

WAITING: Final = "waiting"
SENT: Final = "sent"
EXPIRED: Final = "expired"
REPLACED: Final = "replaced"
GIVEN_UP: Final = "given up"
MOST_ERROR: Final = 300

metadata = sa.MetaData()
notification = sa.Table(
    "notify_notification",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.Text),
    sa.Column("event_id", sa.BigInteger),
    sa.Column("matter", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("station", sa.Text),
    sa.Column("connector", sa.Integer),
    sa.Column("priority", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("lifetime_s", sa.Float),
    sa.Column("due_at", UtcDateTime),
    sa.Column("told_at", UtcDateTime),
    sa.Column("over_at", UtcDateTime),
    sa.Column("repeats", sa.Integer, nullable=False),
    sa.Column("acknowledged_at", UtcDateTime),
    sa.Column("acknowledged_by", sa.Text),
)
delivery = sa.Table(
    "notify_delivery",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("notification_id", sa.ForeignKey(notification.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("notifier", sa.Text, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("faults", sa.Integer, nullable=False),
    sa.Column("next_at", UtcDateTime, nullable=False),
    sa.Column("done_at", UtcDateTime),
    sa.Column("error", sa.Text),
)
rate = sa.Table(
    "notify_rate",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("tokens", sa.Float, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("suppressed", sa.Integer, nullable=False),
)
station = sa.Table(
    "notify_station",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False),
)
_n, _d, _r, _s = notification.c, delivery.c, rate.c, station.c


# ---------------------------------------------------------------------- notifications


def known(db: Connection, rule: str, event_id: int) -> bool:
    """Whether a rule has seen an event already: it may be read again after a crash."""
    seen = sa.select(_n.id).where(_n.rule == rule, _n.event_id == event_id)
    return db.core.execute(seen).first() is not None


def last(db: Connection, rule: str, matter: str) -> dict[str, Any] | None:
    """The latest notification of a matter that is not over, or None."""
    wanted = sa.select(notification).where(_n.rule == rule, _n.matter == matter, _n.over_at.is_(None))
    row = db.core.execute(wanted.order_by(_n.id.desc()).limit(1)).mappings().first()
    return dict(row) if row is not None else None


def open_matters(db: Connection, rule: str, matter: str) -> list[dict[str, Any]]:
    """Every notification of a matter that is not over."""
    wanted = sa.select(notification).where(_n.rule == rule, _n.matter == matter, _n.over_at.is_(None))
    return [dict(row) for row in db.core.execute(wanted.order_by(_n.id)).mappings()]


def keep(db: Connection, values: Mapping[str, Any]) -> int:
    """Keep a notification; its number."""
    inserted = db.core.execute(sa.insert(notification).values(repeats=0, **values))
    return int((inserted.inserted_primary_key or (0,))[0])


def change(db: Connection, number: int, **values: Any) -> None:
    """Change a notification."""
    db.core.execute(sa.update(notification).where(_n.id == number).values(**values))


def repeated(db: Connection, number: int) -> None:
    """Count that a matter came up once more without being told of."""
    db.core.execute(sa.update(notification).where(_n.id == number).values(repeats=_n.repeats + 1))


def forget(db: Connection, numbers: Collection[int]) -> None:
    """Forget notifications and their deliveries."""
    for piece in _pieces(list(numbers)):
        db.core.execute(sa.delete(delivery).where(_d.notification_id.in_(piece)))
        db.core.execute(sa.delete(notification).where(_n.id.in_(piece)))


def _pieces(numbers: list[int], size: int = 500) -> list[list[int]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def due(db: Connection, at: datetime, longest: timedelta, most: int = 20) -> list[dict[str, Any]]:
    """Notifications whose time to be told has come, the oldest first.

    None waits longer than ``longest``: what seems to was kept before the clock was set back.
    """
    is_due = sa.or_(_n.due_at <= at, _n.due_at > at + longest)
    wanted = sa.select(notification).where(_n.due_at.is_not(None), is_due)
    return [dict(row) for row in db.core.execute(wanted.order_by(_n.due_at, _n.id).limit(most)).mappings()]


def next_due(db: Connection) -> datetime | None:
    """When the next notification is to be told, or None."""
    found: datetime | None = db.core.execute(sa.select(sa.func.min(_n.due_at))).scalar_one()
    return found


def surplus(db: Connection, before: datetime, most: int, chunk: int = 1_000) -> list[int]:
    """Numbers of notifications that are too old, or too many (the oldest of them); at most ``chunk``."""
    old = sa.select(_n.id).where(_n.at < before, _n.due_at.is_(None)).limit(chunk)
    newest = sa.select(_n.id).order_by(_n.id.desc()).offset(most).limit(chunk)
    found = {*db.core.execute(old).scalars(), *db.core.execute(newest).scalars()}
    return sorted(found)[:chunk]


def rows(
    db: Connection,
    *,
    of_station: str | None = None,
    rule: str | None = None,
    state: str | None = None,
    unacknowledged: bool = False,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Notifications that were told, the latest first, each with how every notifier stands to it.

    ``state`` is one that at least one of their deliveries is in.
    """
    wanted = sa.select(notification).where(_n.told_at.is_not(None))
    if of_station is not None:
        wanted = wanted.where(sa.func.lower(_n.station) == of_station.lower())
    if rule is not None:
        wanted = wanted.where(_n.rule == rule)
    if state is not None:
        wanted = wanted.where(_n.id.in_(sa.select(_d.notification_id).where(_d.state == state)))
    if unacknowledged:
        wanted = wanted.where(_n.acknowledged_at.is_(None))
    if before is not None:
        wanted = wanted.where(_n.id < before)
    return _with_deliveries(db, db.core.execute(wanted.order_by(_n.id.desc()).limit(limit)).mappings().all())


def get(db: Connection, number: int) -> dict[str, Any]:
    """One notification with its deliveries; raises ``NotFound``."""
    found = _with_deliveries(db, db.core.execute(sa.select(notification).where(_n.id == number)).mappings().all())
    if not found:
        raise NotFound(f"no notification {number}", place="notify", cure="See `arthexis notify list`")
    return found[0]


def _with_deliveries(db: Connection, found: Any) -> list[dict[str, Any]]:
    of: dict[int, list[dict[str, Any]]] = {row["id"]: [] for row in found}
    for row in db.core.execute(sa.select(delivery).where(_d.notification_id.in_(of)).order_by(_d.id)).mappings():
        of[row["notification_id"]].append(dict(row))
    return [{**row, "deliveries": of[row["id"]]} for row in found]


def acknowledge(db: Connection, number: int, by: str, at: datetime) -> dict[str, Any]:
    """Note that somebody has taken notice, once; the first one stays. Raises ``NotFound``."""
    if get(db, number)["acknowledged_at"] is None:
        change(db, number, acknowledged_at=at, acknowledged_by=by)
    return get(db, number)


# ---------------------------------------------------------------------- deliveries


def queue(db: Connection, number: int, names: Collection[str], priority: str, at: datetime, most: int) -> None:
    """Have a notification given to notifiers; where ``most`` wait for one already, the oldest is given up."""
    for name in names:
        many = sa.select(sa.func.count()).where(_d.notifier == name, _d.state == WAITING)
        if db.core.execute(many).scalar_one() >= most:
            oldest = sa.select(sa.func.min(_d.id)).where(_d.notifier == name, _d.state == WAITING).scalar_subquery()
            gone = {"state": GIVEN_UP, "done_at": at, "error": f"more than {most} waited for {name}"}
            db.core.execute(sa.update(delivery).where(_d.id == oldest).values(**gone))
        fresh = {"state": WAITING, "tries": 0, "faults": 0, "next_at": at, "rank": PRIORITIES.index(priority)}
        db.core.execute(sa.insert(delivery).values(notification_id=number, notifier=name, **fresh))


def replace(db: Connection, key: str, number: int, at: datetime) -> None:
    """What still waits of older notifications with the same key is not sent any more."""
    older = sa.select(_n.id).where(_n.key == key, _n.id < number)
    waits = sa.update(delivery).where(_d.state == WAITING, _d.notification_id.in_(older))
    db.core.execute(waits.values(state=REPLACED, done_at=at))


def receivers(db: Connection, number: int) -> list[str]:
    """The notifiers that a notification went to, or was to go to."""
    return list(db.core.execute(sa.select(_d.notifier).where(_d.notification_id == number).order_by(_d.id)).scalars())


def waiting(db: Connection, name: str, at: datetime, longest: timedelta) -> dict[str, Any] | None:
    """What a notifier is to be given next, with its notification: the most urgent, then the oldest; None: nothing.

    Nothing waits longer than ``longest`` for its next try: what seems to was kept before the clock was set back.
    """
    joined = sa.join(delivery, notification, _d.notification_id == _n.id)
    columns = [_d.id, _d.tries, _d.faults, *(_n[name] for name in SAID)]
    is_due = sa.or_(_d.next_at <= at, _d.next_at > at + longest)
    wanted = sa.select(*columns).select_from(joined).where(_d.notifier == name, _d.state == WAITING, is_due)
    row = db.core.execute(wanted.order_by(_d.rank, _d.id).limit(1)).mappings().first()
    return dict(row) if row is not None else None


SAID: Final = ("text", "title", "priority", "lifetime_s", "key", "station", "connector", "kind", "at")


def said(row: Mapping[str, Any]) -> Notification:
    """The notification that a row tells of."""
    return Notification(**{name: row[name] for name in SAID})


def next_try(db: Connection, name: str) -> datetime | None:
    """When something of what waits for a notifier is due, or None where nothing waits."""
    earliest = sa.select(sa.func.min(_d.next_at)).where(_d.notifier == name, _d.state == WAITING)
    found: datetime | None = db.core.execute(earliest).scalar_one()
    return found


def hurry(db: Connection, name: str, at: datetime) -> None:
    """Have everything that waits for a notifier tried now."""
    db.core.execute(sa.update(delivery).where(_d.notifier == name, _d.state == WAITING).values(next_at=at))


def ended(db: Connection, number: int, state: str, at: datetime, error: str | None = None) -> None:
    """Note how the last try of a delivery went; one that was replaced meanwhile and is sent now was sent."""
    done = {"state": state, "done_at": at, "tries": _d.tries + 1, "error": _cut(error)}
    still = _d.state.in_((WAITING, REPLACED)) if state == SENT else _d.state == WAITING
    db.core.execute(sa.update(delivery).where(_d.id == number, still).values(**done))


def again(db: Connection, number: int, next_at: datetime, error: str, *, fault: bool) -> None:
    """Note that a delivery failed and is tried again at ``next_at``."""
    tried = {"tries": _d.tries + 1, "faults": _d.faults + int(fault), "next_at": next_at, "error": _cut(error)}
    db.core.execute(sa.update(delivery).where(_d.id == number, _d.state == WAITING).values(**tried))


def _cut(error: str | None) -> str | None:
    return None if error is None else error[:MOST_ERROR]


def counts(db: Connection) -> dict[str, dict[str, int]]:
    """For each notifier that ever had anything: how many deliveries are in which state."""
    many = sa.select(_d.notifier, _d.state, sa.func.count()).group_by(_d.notifier, _d.state)
    found: dict[str, dict[str, int]] = {}
    for name, state, number in db.core.execute(many):
        found.setdefault(name, {})[state] = number
    return found


# ---------------------------------------------------------------------- rates


def take_token(db: Connection, rule: str, most: int, per_s: float, at: datetime) -> int | None:
    """Take a token of a rule's bucket; how many were suppressed since the last one, or None if it is empty.

    The bucket holds ``most`` tokens and is full again after ``per_s`` seconds. A clock that was set back fills nothing.
    """
    row = db.core.execute(sa.select(rate).where(_r.rule == rule)).mappings().first()
    passed_s = max((at - row["at"]).total_seconds(), 0.0) if row is not None else 0.0
    tokens = min(row["tokens"] + passed_s * most / per_s, float(most)) if row is not None else float(most)
    suppressed = int(row["suppressed"]) if row is not None else 0
    left, missed = (tokens - 1, 0) if tokens >= 1 else (tokens, suppressed + 1)
    values = {"tokens": left, "at": at, "suppressed": missed}
    if row is None:
        db.core.execute(sa.insert(rate).values(rule=rule, **values))
    else:
        db.core.execute(sa.update(rate).where(_r.rule == rule).values(**values))
    return suppressed if tokens >= 1 else None


def suppressed(db: Connection) -> dict[str, int]:
    """How many notifications of each rule were suppressed since it last spoke."""
    return {row.rule: row.suppressed for row in db.core.execute(sa.select(_r.rule, _r.suppressed))}


# ---------------------------------------------------------------------- who is connected


def online(db: Connection) -> dict[str, str]:
    """The stations that were connected when somebody last looked, by folded identity."""
    return {row.key: row.identity for row in db.core.execute(sa.select(station))}


def note_online(db: Connection, identity: str, *, online: bool) -> None:
    """Note that a station has come or gone."""
    key = identity.casefold()
    db.core.execute(sa.delete(station).where(_s.key == key))
    if online:
        db.core.execute(sa.insert(station).values(key=key, identity=identity))
