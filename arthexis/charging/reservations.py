"""Reservations: a connector kept for a tag during a time, once, from the wish to its use or its end.

``requested`` is wished for and not yet answered; ``accepted`` by the station, ``active`` while the station shows it;
then it is ``used`` by a transaction, ``expired`` or ``cancelled``, or the station ended it (``faulted``,
``unavailable``). A station that will not keep it answers ``occupied``, ``faulted``, ``rejected`` or ``unavailable``.
One whose answer never came leaves it ``unknown``: the station may keep it, so that it holds its connector like one that
was accepted.

Overlaps are refused by the database: each minute that a reservation holds is a row of its own, whose key is the
connector and the minute. What has ended holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging.ids import folded, uuid7
from arthexis.charging.tables import connector, reservation, reservation_minute, tag
from arthexis.charging.tables import station as station_table
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import DomainError, NotFound

REQUESTED: Final = "requested"
ACCEPTED: Final = "accepted"
ACTIVE: Final = "active"
UNKNOWN: Final = "unknown"
USED: Final = "used"
EXPIRED: Final = "expired"
CANCELLED: Final = "cancelled"
OPEN: Final = (REQUESTED, ACCEPTED, ACTIVE, UNKNOWN)
LONGEST: Final = timedelta(days=7)
BUSY: Final = frozenset(
    {"Faulted", "Unavailable", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Preparing"}
)
BROKEN: Final = frozenset({"Faulted", "Unavailable"})
SOON: Final = timedelta(minutes=5)

_c = reservation.c
_kept = sa.or_(_c.state == ACCEPTED, _c.state == ACTIVE, _c.state == UNKNOWN)
_theirs = sa.or_(
    _c.id_tag_key == bind("id_tag_key"),
    sa.func.lower(_c.parent_id_tag).in_(
        sa.select(sa.func.lower(tag.c.parent_id_tag)).where(tag.c.id_tag_key == bind("id_tag_key"))
    ),
)
USE_BY_ID = Prepared(
    sa.select(_c.id).where(
        _c.station_id == bind("station_id"),
        _c.id == bind("row", type_=sa.BigInteger),
        sa.or_(_c.state == REQUESTED, _kept),
        _theirs,
    )
)
USE_BY_TAG = Prepared(
    sa.select(_c.id)
    .where(
        _c.station_id == bind("station_id"),
        sa.or_(_c.connector == bind("connector"), _c.connector == 0),
        _theirs,
        _kept,
    )
    .order_by(_c.id_tag_key != bind("id_tag_key"), _c.id)
    .limit(1)
)
KEPT_HERE = Prepared(
    sa.select(_c.id, _c.state).where(_c.station_id == bind("station_id"), _c.connector == bind("connector"), _kept)
)
KEPT_ANYWHERE = Prepared(sa.select(_c.id, _c.state).where(_c.station_id == bind("station_id"), _kept))
IDENTITY = Prepared(
    sa.select(station_table.c.identity)
    .join(reservation, reservation.c.station_id == station_table.c.id)
    .where(_c.id == bind("row"))
)


@dataclass(frozen=True, slots=True)
class Wish:
    """A reservation that somebody wishes for; ``connector`` 0 is any connector of the station."""

    station_id: int
    connector: int
    id_tag: str
    starts_at: datetime
    expires_at: datetime
    parent_id_tag: str | None = None
    requested_by: str = "node"


def request(db: Connection, wish: Wish, at: datetime, number: int | None = None) -> int:
    """Keep a reservation; its number is the OCPP reservationId. Raises ``DomainError`` where it overlaps another.

    A ``number`` of the caller's own is taken where it is free; one that is open on this station is replaced.
    """
    if not wish.starts_at < wish.expires_at <= wish.starts_at + LONGEST or wish.expires_at <= at:
        raise DomainError(
            "a reservation ends after its start, within seven days of it and not in the past",
            place="reservation",
            cure="Mend starts_at or expires_at",
        )
    if number is not None:
        _make_room(db, wish, at, number)
    known = db.core.execute(
        sa.select(tag.c.parent_id_tag, tag.c.account_id).where(tag.c.id_tag_key == folded(wish.id_tag))
    )
    parent, account_id = known.first() or (None, None)
    row = int(
        db.core.execute(
            sa.insert(reservation)
            .values(
                **({} if number is None else {"id": number}),
                uid=uuid7(),
                station_id=wish.station_id,
                connector=wish.connector,
                id_tag=wish.id_tag,
                id_tag_key=folded(wish.id_tag),
                parent_id_tag=wish.parent_id_tag or parent,
                account_id=account_id,
                starts_at=wish.starts_at,
                expires_at=wish.expires_at,
                state=REQUESTED,
                requested_by=wish.requested_by,
                created_at=at,
                changed_at=at,
            )
            .returning(_c.id)
        ).scalar_one()
    )
    _hold(db, row, wish)
    _tell(db, row, REQUESTED, at)
    return row


def _make_room(db: Connection, wish: Wish, at: datetime, number: int) -> None:
    """Let a caller's own number be used: what is open under it on this station ends, by which it is replaced."""
    if not 0 < number < 2**31:
        raise DomainError(f"{number} is no reservationId", place="reservation", cure="Use 1 or higher, or leave it out")
    found = db.core.execute(sa.select(_c.station_id, _c.state).where(_c.id == number)).first()
    if found is None:
        if db.core.dialect.name == "postgresql":
            beyond = sa.text(
                "SELECT setval('reservation_id_seq', GREATEST(:number, (SELECT last_value FROM reservation_id_seq)))"
            )
            db.core.execute(beyond, {"number": number})
        return
    if found.station_id != wish.station_id or found.state not in OPEN:
        raise DomainError(
            f"reservation {number} was made before",
            place="reservation",
            cure="Leave reservationId out and we choose one",
        )
    cancelled(db, number, at, "replaced")
    db.core.execute(sa.delete(reservation).where(_c.id == number))


def _hold(db: Connection, row: int, wish: Wish) -> None:
    """Take every minute of it; the database refuses one that is taken."""
    first, last = int(wish.starts_at.timestamp() // 60), int(-(-wish.expires_at.timestamp() // 60))
    rows = [
        {"station_id": wish.station_id, "connector": wish.connector, "minute": minute, "reservation_id": row}
        for minute in range(first, last)
    ]

    def take(inner: Connection) -> None:
        inner.core.execute(sa.insert(reservation_minute), rows)

    _, error = db.apart(take)
    if isinstance(error, sa.exc.IntegrityError):
        raise DomainError(
            f"connector {wish.connector} is reserved during this time",
            place="reservation",
            cure="Choose another time or connector: arthexis reservations list",
        )
    if error is not None:
        raise error


def free_connectors(
    db: Connection, station_id: int, starts_at: datetime, expires_at: datetime, at: datetime
) -> list[int]:
    """The station's connectors that could be reserved, the best match first: free now, then free by then."""
    first, last = int(starts_at.timestamp() // 60), int(-(-expires_at.timestamp() // 60))
    minute = reservation_minute.c
    taken = sa.select(minute.connector).where(
        minute.station_id == station_id, minute.minute >= first, minute.minute < last
    )
    known = sa.select(connector.c.number, connector.c.status).where(
        connector.c.station_id == station_id, connector.c.number > 0, connector.c.number.not_in(taken)
    )
    busy = BUSY if starts_at <= at + SOON else BROKEN
    found = [(status != "Available", number) for number, status in db.core.execute(known) if status not in busy]
    return [number for _, number in sorted(found)]


def answered(db: Connection, row: int, state: str, at: datetime, said: str | None = None) -> None:
    """What the station said to the wish, or why there is no answer; ``accepted`` and ``unknown`` keep the connector."""
    _move(db, row, state, at, (REQUESTED,), said=said)


def cancelled(db: Connection, row: int, at: datetime, said: str | None = None) -> None:
    """It is not wanted any more; it blocks nothing from now on."""
    _move(db, row, CANCELLED, at, OPEN, said=said)


def expired(db: Connection, row: int, at: datetime) -> None:
    """Its time is over and nobody came."""
    _move(db, row, EXPIRED, at, OPEN)


def used(
    db: Connection, station_id: int, number: int, row: int | None, id_tag: str, transaction_id: int, at: datetime
) -> None:
    """A transaction uses the reservation that it names, else the one kept on its connector for its tag or its group.

    One that is named by a start with a tag that it is not for stays as it is. A group are the tags of one parent; a
    parent's own text is never compared with a tag that was presented.
    """
    key = folded(id_tag)
    found = db.one(USE_BY_ID, station_id=station_id, row=row, id_tag_key=key) if row is not None and row > 0 else None
    if found is None:
        found = db.one(USE_BY_TAG, station_id=station_id, connector=number, id_tag_key=key)
    if found is not None:
        _move(db, found[0], USED, at, OPEN, transaction_id=transaction_id)


def reported(db: Connection, station_id: int, number: int, status: str, at: datetime) -> None:
    """A connector's status says something of its reservation: it is kept now, or the station has ended it.

    Connector 0 is the whole station: broken, it ends every reservation there.
    """
    if status not in BROKEN and status != "Reserved":
        return
    if number == 0 and status in BROKEN:
        found, broken = db.all(KEPT_ANYWHERE, station_id=station_id), "station"
    else:
        found, broken = db.all(KEPT_HERE, station_id=station_id, connector=number), "connector"
    for row, state in found:
        if status in BROKEN:
            _move(db, row, status.lower(), at, OPEN, said=f"the {broken} is {status}")
        elif state != ACTIVE:
            _move(db, row, ACTIVE, at, (ACCEPTED, UNKNOWN))


def _move(
    db: Connection,
    row: int,
    state: str,
    at: datetime,
    before: Iterable[str],
    *,
    said: str | None = None,
    transaction_id: int | None = None,
) -> bool:
    """Change the state of one that is in one of the states before; what has ended holds no minute."""
    values = {"state": state, "changed_at": at, "said": said, "transaction_id": transaction_id}
    moved = sa.update(reservation).where(_c.id == row, _c.state.in_(list(before))).values(**values)
    if db.core.execute(moved).rowcount == 0:
        return False
    if state not in OPEN:
        db.core.execute(sa.delete(reservation_minute).where(reservation_minute.c.reservation_id == row))
    _tell(db, row, state, at)
    return True


def _tell(db: Connection, row: int, state: str, _at: datetime) -> None:
    found = db.one(IDENTITY, row=row)
    db.event("reservation.changed", found[0] if found else None, {"reservation_id": row, "state": state})


def find(db: Connection, row: int) -> dict[str, Any] | None:
    """One reservation, or None."""
    found = db.core.execute(_selected().where(_c.id == row)).mappings().first() if 0 < row < 2**31 else None
    return _public(dict(found)) if found is not None else None


def get(db: Connection, row: int) -> dict[str, Any]:
    """One reservation; raises ``NotFound``."""
    found = find(db, row)
    if found is None:
        raise NotFound(f"no reservation {row}", place="reservations", cure="See `arthexis reservations list`")
    return found


def rows(
    db: Connection,
    *,
    station_id: int | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Reservations, the latest first; ``before`` is the number of the last one seen."""
    wanted = _selected()
    if station_id is not None:
        wanted = wanted.where(_c.station_id == station_id)
    if state is not None:
        wanted = wanted.where(_c.state == state)
    if before is not None:
        wanted = wanted.where(_c.id < before)
    return [_public(dict(row)) for row in db.core.execute(wanted.order_by(_c.id.desc()).limit(limit)).mappings()]


def _selected() -> sa.Select[Any]:
    return sa.select(station_table.c.identity.label("station"), reservation).join(
        station_table, station_table.c.id == _c.station_id
    )


def _public(row: dict[str, Any]) -> dict[str, Any]:
    for hidden in ("station_id", "id_tag_key"):
        del row[hidden]
    return row
