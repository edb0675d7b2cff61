"""Subscriptions and deliveries: tables, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from arthexis import Connection, DomainError, Event, NotFound, UtcDateTime, format_utc

WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
GIVEN_UP: Final = "given up"
MOST_ERROR: Final = 300

metadata = sa.MetaData()
subscription = sa.Table(
    "webhooks_subscription",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("kinds", sa.Text, nullable=False),
    sa.Column("stations", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("failing_since", UtcDateTime),
    sa.Column("last_error", sa.Text),
    sa.Column("dropped", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)
delivery = sa.Table(
    "webhooks_delivery",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("subscription_id", sa.ForeignKey(subscription.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("event_id", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("station", sa.Text),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("delivered_at", UtcDateTime),
)
_s, _d = subscription.c, delivery.c


def add(db: Connection, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Keep a subscription; raises ``DomainError`` if its name is taken."""
    if db.core.execute(sa.select(_s.id).where(_s.name == values["name"])).first() is not None:
        raise DomainError(
            f"there is a webhook {values['name']}", place="webhooks", cure="Choose another name, or remove that one"
        )
    lists = {name: msgspec.json.encode(values[name]).decode() for name in ("kinds", "stations")}
    fresh = {"active": True, "failures": 0, "dropped": 0, "created_at": at}
    db.core.execute(sa.insert(subscription).values(**{**values, **lists, **fresh}))
    return get(db, values["name"])


def subscriptions(db: Connection) -> list[dict[str, Any]]:
    """Every subscription, by name, with how many of its deliveries wait."""
    many = sa.select(sa.func.count()).where(_d.subscription_id == _s.id, _d.state == WAITING).scalar_subquery()
    found = db.core.execute(sa.select(subscription, many.label("waiting")).order_by(_s.name)).mappings()
    return [_subscription(row) for row in found]


def _subscription(row: Any) -> dict[str, Any]:
    return {**row, "kinds": msgspec.json.decode(row["kinds"]), "stations": msgspec.json.decode(row["stations"])}


def get(db: Connection, name: str) -> dict[str, Any]:
    """One subscription; raises ``NotFound``."""
    found = next((row for row in subscriptions(db) if row["name"] == name), None)
    if found is None:
        raise NotFound(f"no webhook {name}", place="webhooks", cure="See `arthexis webhooks list`")
    return found


def by_number(db: Connection, number: int) -> dict[str, Any] | None:
    """One subscription by its row, or None if it was removed."""
    row = db.core.execute(sa.select(subscription).where(_s.id == number)).mappings().first()
    return None if row is None else _subscription(row)


def remove(db: Connection, name: str) -> None:
    """Forget a subscription and its deliveries; raises ``NotFound``."""
    number = get(db, name)["id"]
    db.core.execute(sa.delete(delivery).where(_d.subscription_id == number))
    db.core.execute(sa.delete(subscription).where(_s.id == number))


def switch(db: Connection, name: str, *, active: bool, reason: str | None = None) -> dict[str, Any]:
    """Switch a subscription on, with a clean record, or off, with a reason; raises ``NotFound``."""
    fresh = {"failures": 0, "failing_since": None} if active else {}
    changed = sa.update(subscription).where(_s.id == get(db, name)["id"])
    db.core.execute(changed.values(active=active, reason=None if active else reason, **fresh))
    return get(db, name)


def wants(row: Mapping[str, Any], event: Event) -> bool:
    """Whether a subscription is about an event: ``transaction.*`` is every kind that begins so."""
    kinds, stations = row["kinds"], row["stations"]
    of_kind = not kinds or any(
        event.kind.startswith(kind[:-1]) if kind.endswith(".*") else event.kind == kind for kind in kinds
    )
    here = (event.station or "").casefold()
    return of_kind and (not stations or any(here == name.casefold() for name in stations))


def queue(db: Connection, row: Mapping[str, Any], event: Event, at: datetime, most: int) -> bool:
    """Keep an event for a subscription, once; False if it was kept before, or if ``most`` wait already."""
    mine = _d.subscription_id == row["id"]
    known = sa.select(_d.id).where(mine, _d.event_id == event.id)
    if db.core.execute(known).first() is not None:
        return False
    waiting = sa.select(sa.func.count()).select_from(delivery).where(mine, _d.state == WAITING)
    if db.core.execute(waiting).scalar_one() >= most:
        db.core.execute(sa.update(subscription).where(_s.id == row["id"]).values(dropped=_s.dropped + 1))
        return False
    told = {"id": event.id, "kind": event.kind, "station": event.station, "at": format_utc(event.at)}
    db.core.execute(
        sa.insert(delivery).values(
            subscription_id=row["id"],
            event_id=event.id,
            kind=event.kind,
            station=event.station,
            body=msgspec.json.encode({**told, "data": event.data}).decode(),
            state=WAITING,
            tries=0,
            created_at=at,
        )
    )
    return True


def waiting(db: Connection, number: int, most: int) -> list[dict[str, Any]]:
    """What waits for a subscription, the oldest first."""
    wanted = sa.select(delivery).where(_d.subscription_id == number, _d.state == WAITING)
    return [dict(row) for row in db.core.execute(wanted.order_by(_d.id).limit(most)).mappings()]


def deliveries(
    db: Connection, name: str, *, state: str | None = None, before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """The log of a subscription, the latest first; raises ``NotFound``."""
    wanted = sa.select(delivery).where(_d.subscription_id == get(db, name)["id"])
    if state is not None:
        wanted = wanted.where(_d.state == state)
    if before is not None:
        wanted = wanted.where(_d.id < before)
    return [dict(row) for row in db.core.execute(wanted.order_by(_d.id.desc()).limit(limit)).mappings()]


def tried(db: Connection, number: int, *, state: str, status: int | None, error: str | None, at: datetime) -> None:
    """Note how a try went."""
    done = {"delivered_at": at} if state == DELIVERED else {}
    db.core.execute(
        sa.update(delivery)
        .where(_d.id == number)
        .values(state=state, tries=_d.tries + 1, status=status, error=(error or "")[:MOST_ERROR] or None, **done)
    )


def record(db: Connection, number: int, *, error: str | None, at: datetime, off_before: datetime) -> int:
    """Note whether a round of tries went well; how many in a row failed. Since ``off_before``: off."""
    row = by_number(db, number)
    if row is None:
        return 0
    mine = sa.update(subscription).where(_s.id == number)
    if error is None:
        db.core.execute(mine.values(failures=0, failing_since=None))
        return 0
    since = row["failing_since"] or at
    values: dict[str, Any] = {"failures": row["failures"] + 1, "failing_since": since, "last_error": error[:MOST_ERROR]}
    if since <= off_before:
        said = f"nothing could be delivered since {format_utc(since)}: {error[:MOST_ERROR]}"
        values |= {"active": False, "reason": said}
    db.core.execute(mine.values(**values))
    return int(row["failures"]) + 1


def again(db: Connection, name: str, number: int) -> dict[str, Any]:
    """Let a delivery wait once more, behind none that came after it; raises ``NotFound``."""
    mine = sa.and_(_d.id == number, _d.subscription_id == get(db, name)["id"])
    changed = sa.update(delivery).where(mine).values(state=WAITING, tries=0, error=None, status=None)
    if db.core.execute(changed).rowcount == 0:
        raise NotFound(
            f"webhook {name} has no delivery {number}", place="webhooks", cure=f"See `arthexis webhooks log {name}`"
        )
    return dict(db.core.execute(sa.select(delivery).where(mine)).mappings().one())


def forget(db: Connection, before: datetime) -> int:
    """Delete what was over before then; how many."""
    old = sa.delete(delivery).where(_d.state != WAITING, _d.created_at < before)
    return int(db.core.execute(old).rowcount)
