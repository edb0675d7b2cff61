"""Transactions: each belongs to the station that started it, is opened once, closed once, and never lost.

The same start or stop sent again finds its own row by content, whatever its message id, before and after a restart.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging import reservations, tags
from arthexis.charging.decisions import Authorization
from arthexis.charging.ids import TRANSACTION_IDS, folded, uuid7
from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.charging.tables import station as station_table
from arthexis.charging.tables import transaction
from arthexis.charging.times import MOST_AHEAD, clock_is_wrong
from arthexis.db.statements import Connection, Prepared

LARGEST = 2**62
SUPERSEDED = "superseded, no stop seen"
BACKWARDS = "meter ran backwards"
NO_REGISTER = "meter register missing or absurd"
NO_START = "stop without a start"
LATE_CLAIM = "stop named no transaction, attached to the only open one"
NEGATIVE = "meter register below zero"
CLOCK = "station clock cannot be right"
MOST_OPEN = 16

_c = transaction.c
encode = msgspec.json.Encoder().encode
authorization_from = msgspec.json.Decoder(Authorization).decode
flags_from = msgspec.json.Decoder(list[str]).decode

TWIN = Prepared(
    sa.select(_c.id, _c.id_tag_info).where(
        _c.station_id == bind("station_id"),
        _c.open.is_(True),
        _c.connector == bind("connector"),
        _c.id_tag_key == bind("id_tag_key"),
        _c.started_at_raw == bind("started_at_raw"),
        _c.meter_start_wh.is_not_distinct_from(bind("meter_start_wh", type_=sa.BigInteger)),
    )
)
CLAIMED_TWIN = Prepared(
    sa.select(_c.id, _c.id_tag_info)
    .where(
        _c.station_id == bind("station_id"),
        _c.claimed_id <= 0,
        _c.connector == bind("connector"),
        _c.id_tag_key == bind("id_tag_key"),
        _c.started_at_raw == bind("started_at_raw"),
        _c.meter_start_wh.is_not_distinct_from(bind("meter_start_wh", type_=sa.BigInteger)),
    )
    .order_by(_c.id.desc())
    .limit(1)
)
OPEN_HERE = Prepared(
    sa.select(_c.id, _c.flags, _c.authorization).where(
        _c.station_id == bind("station_id"), _c.open.is_(True), _c.connector == bind("connector")
    )
)
SUPERSEDE = Prepared(sa.update(transaction).where(_c.id == bind("row")).values(open=False, flags=bind("flags")))
INSERT = Prepared(
    sa.insert(transaction)
    .values(
        **{
            name: bind(name)
            for name in (
                "uid",
                "station_id",
                "connector",
                "id_tag",
                "id_tag_key",
                "authorization",
                "id_tag_info",
                "reservation_id",
                "started_at",
                "started_at_raw",
                "start_received_at",
                "meter_start_wh",
                "open",
                "flags",
                "start_repairs",
            )
        }
    )
    .returning(_c.id)
)
_closing = (_c.id, _c.connector, _c.meter_start_wh, _c.stop_received_at, _c.stop_answer, _c.flags)
CLOSING = Prepared(
    sa.select(*_closing).where(_c.station_id == bind("station_id"), _c.id == bind("row", type_=sa.BigInteger))
)
CLAIMED = Prepared(
    sa.select(*_closing).where(
        _c.station_id == bind("station_id"),
        _c.claimed_id == bind("claimed_id"),
        _c.stopped_at_raw == bind("stopped_at_raw"),
        _c.meter_stop_wh.is_not_distinct_from(bind("meter_stop_wh", type_=sa.BigInteger)),
    )
)
OPEN_OF = Prepared(
    sa.select(*_closing, _c.started_at, _c.id_tag_key)
    .where(_c.station_id == bind("station_id"), _c.open.is_(True))
    .limit(MOST_OPEN)
)
CLOSE = Prepared(
    sa.update(transaction)
    .where(_c.id == bind("row"))
    .values(
        open=False,
        **{
            name: bind(name)
            for name in (
                "stopped_at",
                "stopped_at_raw",
                "stop_received_at",
                "meter_stop_wh",
                "stop_reason",
                "stop_id_tag",
                "stop_answer",
                "energy_wh",
                "claimed_id",
                "flags",
                "stop_repairs",
            )
        },
    )
)


class Start(msgspec.Struct, frozen=True, gc=False):
    """What a station says of a start; ``meter_start_wh`` is None where it named no register.

    ``id_tag`` is the tag as presented, however long: the row keeps its start, the whole of it is compared.
    """

    connector: int
    id_tag: str
    meter_start_wh: int | None
    at: datetime | None
    at_raw: str
    reservation_id: int | None = None


class Stop(msgspec.Struct, frozen=True, gc=False):
    """What a station says of a stop; ``transaction_id`` may be 0, -1 or one that was never given."""

    transaction_id: int
    meter_stop_wh: int | None
    at: datetime | None
    at_raw: str
    reason: str
    id_tag: str | None = None


class Started(NamedTuple):
    """The transaction's id and what the station is told of its tag."""

    id: int
    authorization: Authorization


class Stopped(NamedTuple):
    """The transaction that was closed, its connector, and what the station is told of the tag that stopped it."""

    id: int
    connector: int
    authorization: Authorization | None


class _Row(NamedTuple):
    id: int
    connector: int
    meter_start_wh: int | None
    stop_received_at: datetime | None
    stop_answer: str | None
    flags: str


def start(
    db: Connection,
    station: Station,
    told: Start,
    receipt: Receipt,
    policy: Authorization | None,
    *,
    admit_unknown: bool = False,
) -> Started:
    """Open a transaction (OCPP 1.6 §4.8), or find the one that this very message opened before.

    A refused tag still gets its transaction. ``policy`` is what plugins decided; None leaves it to the tag's row.
    """
    register, key = sane(told.meter_start_wh), folded(told.id_tag)
    twin = _twin(db, station, told, key, register, receipt.received_at)
    if twin is not None:
        return twin
    decided = policy or tags.decide(db, told.id_tag, station.id, receipt.received_at, admit_unknown=admit_unknown)
    if decided.status == "Accepted" and tags.charging_elsewhere(db, key, station.row, told.connector):
        decided = Authorization("ConcurrentTx", decided.expires_at, decided.parent_id_tag)
    _supersede(db, station, told.connector, accepted=decided.status == "Accepted")
    row = _insert(db, station, told, receipt, decided, register)
    if decided.status == "Accepted":
        at = receipt.received_at
        reservations.used(db, station.row, told.connector, told.reservation_id, told.id_tag, row, at)
    db.event(
        "transaction.started",
        station.id,
        {
            "transaction_id": row,
            "connector": told.connector,
            "id_tag": told.id_tag,
            "authorization": decided.status,
            "meter_start_wh": register,
        },
    )
    return Started(row, decided)


def _twin(
    db: Connection, station: Station, told: Start, key: str, register: int | None, now: datetime
) -> Started | None:
    """The transaction that the same message opened before.

    It counts while it is open. Closed, it counts only if its stop named no transaction: then the station never
    learned the number and asks again. Any other start alike is another session of a station whose clock stands still.
    """
    content = {
        "station_id": station.row,
        "connector": told.connector,
        "id_tag_key": key,
        "started_at_raw": told.at_raw,
        "meter_start_wh": register,
    }
    found = db.one(TWIN, **content)
    if found is None and not clock_is_wrong(told.at, now):
        found = db.one(CLAIMED_TWIN, **content)
    return Started(found[0], authorization_from(found[1])) if found is not None else None


def _insert(
    db: Connection, station: Station, told: Start, receipt: Receipt, decided: Authorization, register: int | None
) -> int:
    odd = [NO_REGISTER] if register is None else [NEGATIVE] if register < 0 else []
    if clock_is_wrong(told.at, receipt.received_at):
        odd.append(CLOCK)
    found = db.one(
        INSERT,
        uid=uuid7(),
        station_id=station.row,
        connector=told.connector,
        id_tag=told.id_tag[: tags.MAX_TAG] or None,
        id_tag_key=folded(told.id_tag),
        authorization=decided.status,
        id_tag_info=encode(decided).decode(),
        reservation_id=told.reservation_id,
        started_at=told.at or receipt.received_at,
        started_at_raw=told.at_raw,
        start_received_at=receipt.received_at,
        meter_start_wh=register,
        open=True,
        flags=encode(odd).decode(),
        start_repairs=receipt.repairs_json,
    )
    return int(found[0]) if found else 0


def _supersede(db: Connection, station: Station, connector: int, *, accepted: bool) -> None:
    """Close what stood open on this connector, as its stop was never seen; a refused start closes refused ones."""
    for row, flags, authorization in db.all(OPEN_HERE, station_id=station.row, connector=connector):
        if not accepted and authorization == "Accepted":
            continue
        db.run(SUPERSEDE, row=row, flags=_flags(flags, SUPERSEDED))
        db.event("transaction.superseded", station.id, {"transaction_id": row, "connector": connector})


def stop(
    db: Connection,
    station: Station,
    told: Stop,
    receipt: Receipt,
    policy: Authorization | None,
    *,
    admit_unknown: bool = False,
) -> Stopped:
    """Close a transaction of this station (OCPP 1.6 §4.10); a second stop changes nothing and is answered alike.

    A stop that names none of this station's transactions never closes another: it is kept as one of its own,
    unless it names none at all (0 or less) and exactly one transaction is open that it can mean.
    """
    row = _meant(db, station, told)
    if row is not None and row.stop_received_at is not None:
        known = authorization_from(row.stop_answer) if row.stop_answer else None
        return Stopped(row.id, row.connector, known)
    decided = _stopping(db, station, told, receipt, policy, admit_unknown=admit_unknown)
    flags = row.flags if row is not None else _flags("[]", NO_START)
    if row is None:
        row = _orphan(db, station, told, receipt, flags)
    return _close(db, station, row, told, receipt, decided)


def _meant(db: Connection, station: Station, told: Stop) -> _Row | None:
    """The transaction that a stop means, or None.

    First the one that this very stop closed or made when it came before: a number that meant nothing then may be
    another session's by now.
    """
    found = db.one(
        CLAIMED,
        station_id=station.row,
        claimed_id=told.transaction_id,
        stopped_at_raw=told.at_raw,
        meter_stop_wh=sane(told.meter_stop_wh),
    )
    if found is None and told.transaction_id > 0:
        found = db.one(CLOSING, station_id=station.row, row=told.transaction_id)
    if found is not None:
        return _Row(*found)
    if told.transaction_id > 0:
        return None
    possible = [row for row, at, key in _open(db, station) if _may_close(told, row, at, key)]
    return possible[0]._replace(flags=_flags(possible[0].flags, LATE_CLAIM)) if len(possible) == 1 else None


def _open(db: Connection, station: Station) -> list[tuple[_Row, datetime | None, str | None]]:
    """The open transactions of a station, each with its start and its tag."""
    return [(_Row(*cells), at, key) for *cells, at, key in db.all(OPEN_OF, station_id=station.row)]


def _may_close(told: Stop, row: _Row, started_at: datetime | None, id_tag_key: str | None) -> bool:
    """Whether a stop without a number can be of this transaction: its tag, not before it, its register not below."""
    if told.id_tag is not None and folded(told.id_tag) != id_tag_key:
        return False
    if told.at is not None and started_at is not None and told.at < started_at - MOST_AHEAD:
        return clock_is_wrong(told.at, started_at)
    register = sane(told.meter_stop_wh)
    return register is None or row.meter_start_wh is None or register >= row.meter_start_wh


def _stopping(
    db: Connection,
    station: Station,
    told: Stop,
    receipt: Receipt,
    policy: Authorization | None,
    *,
    admit_unknown: bool,
) -> Authorization | None:
    """What is said of the tag that stops, if one is named."""
    if told.id_tag is None:
        return None
    return policy or tags.decide(db, told.id_tag, station.id, receipt.received_at, admit_unknown=admit_unknown)


def _orphan(db: Connection, station: Station, told: Stop, receipt: Receipt, flags: str) -> _Row:
    """Open a transaction for a stop whose start was never seen, so that its energy is not lost from sight."""
    found = db.one(
        INSERT,
        uid=uuid7(),
        station_id=station.row,
        connector=0,
        id_tag=told.id_tag[: tags.MAX_TAG] if told.id_tag is not None else None,
        id_tag_key=folded(told.id_tag) if told.id_tag is not None else None,
        authorization="Unknown",
        id_tag_info=None,
        reservation_id=None,
        started_at=None,
        started_at_raw=None,
        start_received_at=None,
        meter_start_wh=None,
        open=True,
        flags=flags,
        start_repairs=None,
    )
    return _Row(int(found[0]) if found else 0, 0, None, None, None, flags)


def _close(
    db: Connection, station: Station, row: _Row, told: Stop, receipt: Receipt, decided: Authorization | None
) -> Stopped:
    register = sane(told.meter_stop_wh)
    energy_wh, flags = _energy(row, register)
    if clock_is_wrong(told.at, receipt.received_at):
        flags = _flags(flags, CLOCK)
    db.run(
        CLOSE,
        row=row.id,
        stopped_at=told.at or receipt.received_at,
        stopped_at_raw=told.at_raw,
        stop_received_at=receipt.received_at,
        meter_stop_wh=register,
        stop_reason=told.reason,
        stop_id_tag=told.id_tag[: tags.MAX_TAG] if told.id_tag is not None else None,
        stop_answer=encode(decided).decode() if decided is not None else None,
        energy_wh=energy_wh,
        claimed_id=told.transaction_id if told.transaction_id != row.id else None,
        flags=flags,
        stop_repairs=receipt.repairs_json,
    )
    db.event(
        "transaction.stopped",
        station.id,
        {
            "transaction_id": row.id,
            "connector": row.connector,
            "energy_wh": energy_wh,
            "meter_stop_wh": register,
            "reason": told.reason,
            "flags": flags_from(flags),
        },
    )
    return Stopped(row.id, row.connector, decided)


def _energy(row: _Row, register: int | None) -> tuple[int | None, str]:
    """Wh between the registers; None, with a flag, where they make no sense. Never negative."""
    if register is None:
        return None, _flags(row.flags, NO_REGISTER)
    if register < 0:
        return None, _flags(row.flags, NEGATIVE)
    if row.meter_start_wh is None or row.meter_start_wh < 0:
        return None, row.flags
    energy_wh = register - row.meter_start_wh
    return (energy_wh, row.flags) if energy_wh >= 0 else (None, _flags(row.flags, BACKWARDS))


def sane(register: int | None) -> int | None:
    """A register in Wh, or None where no meter can have counted that far."""
    return register if register is not None and -LARGEST < register < LARGEST else None


def _flags(flags: str, flag: str) -> str:
    known = flags_from(flags)
    return encode(known if flag in known else [*known, flag]).decode()


def rows(
    db: Connection,
    *,
    station_id: int | None = None,
    id_tag: str | None = None,
    active: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Transactions, the latest first, that started from ``since`` on and before ``until``.

    ``active`` asks for open or closed ones; ``before`` is the id of the last one seen.
    """
    wanted = sa.select(station_table.c.identity.label("station"), transaction).join(
        station_table, station_table.c.id == _c.station_id
    )
    if station_id is not None:
        wanted = wanted.where(_c.station_id == station_id)
    if id_tag is not None:
        wanted = wanted.where(_c.id_tag_key == folded(id_tag))
    if active is not None:
        wanted = wanted.where(_c.open.is_(active))
    if since is not None:
        wanted = wanted.where(_c.started_at >= since)
    if until is not None:
        wanted = wanted.where(_c.started_at < until)
    if before is not None:
        wanted = wanted.where(_c.id < before)
    found = db.core.execute(wanted.order_by(_c.id.desc()).limit(limit))
    return [_public(dict(row)) for row in found.mappings()]


def get(db: Connection, transaction_id: int) -> dict[str, Any] | None:
    """One transaction as a plain record, or None."""
    if transaction_id not in TRANSACTION_IDS:
        return None
    wanted = sa.select(station_table.c.identity.label("station"), transaction).join(
        station_table, station_table.c.id == _c.station_id
    )
    row = db.core.execute(wanted.where(_c.id == transaction_id)).mappings().first()
    return _public(dict(row)) if row is not None else None


def _public(row: dict[str, Any]) -> dict[str, Any]:
    for hidden in ("station_id", "id_tag_key"):
        del row[hidden]
    row["flags"] = flags_from(row["flags"])
    for name in ("id_tag_info", "stop_answer"):
        row[name] = msgspec.json.decode(row[name]) if row[name] else None
    for name in ("start_repairs", "stop_repairs"):
        row[name] = msgspec.json.decode(row[name]) if row[name] else []
    for end, at in (("start", row["started_at"]), ("stop", row["stopped_at"])):
        received_at = row[f"{end}_received_at"]
        row[f"{end}_skew_s"] = (received_at - at).total_seconds() if at and received_at else None
    return row
