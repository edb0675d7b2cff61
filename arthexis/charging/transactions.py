"""Transactions: each belongs to the station that started it, is opened once, closed once, and never lost.

The same start or stop sent again finds its own row by content, whatever its message id, before and after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging import reservations, tags
from arthexis.charging.decisions import Authorization
from arthexis.charging.ids import folded, uuid7
from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.charging.tables import station as station_table
from arthexis.charging.tables import transaction
from arthexis.db.statements import Connection, Prepared

LARGEST = 2**62
SUPERSEDED = "superseded, no stop seen"
BACKWARDS = "meter ran backwards"
NO_REGISTER = "meter register missing or absurd"
NO_START = "stop without a start"
LATE_CLAIM = "stop named no transaction, attached to the only open one"

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
OPEN_HERE = Prepared(
    sa.select(_c.id, _c.flags).where(
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
            )
        }
    )
    .returning(_c.id)
)
_closing = (_c.id, _c.connector, _c.meter_start_wh, _c.stop_received_at, _c.stop_answer, _c.flags)
CLOSING = Prepared(sa.select(*_closing).where(_c.station_id == bind("station_id"), _c.id == bind("row")))
CLAIMED = Prepared(
    sa.select(*_closing).where(
        _c.station_id == bind("station_id"),
        _c.claimed_id == bind("claimed_id"),
        _c.stopped_at_raw == bind("stopped_at_raw"),
        _c.meter_stop_wh.is_not_distinct_from(bind("meter_stop_wh", type_=sa.BigInteger)),
    )
)
OPEN_OF = Prepared(
    sa.select(*_closing, _c.id_tag_key).where(_c.station_id == bind("station_id"), _c.open.is_(True)).limit(2)
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
            )
        },
    )
)


@dataclass(frozen=True, slots=True)
class Start:
    """What a station says of a start; ``meter_start_wh`` is None where it named no register."""

    connector: int
    id_tag: str
    meter_start_wh: int | None
    at: datetime | None
    at_raw: str
    reservation_id: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
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
    register = sane(told.meter_start_wh)
    twin = db.one(
        TWIN,
        station_id=station.row,
        connector=told.connector,
        id_tag_key=folded(told.id_tag),
        started_at_raw=told.at_raw,
        meter_start_wh=register,
    )
    if twin is not None:
        return Started(twin[0], authorization_from(twin[1]))
    decided = policy or tags.decide(db, told.id_tag, station.id, receipt.received_at, admit_unknown=admit_unknown)
    if decided.status == "Accepted":
        _supersede(db, station, told.connector)
        if tags.charging_elsewhere(db, told.id_tag):
            decided = Authorization("ConcurrentTx", decided.expires_at, decided.parent_id_tag)
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


def _insert(
    db: Connection, station: Station, told: Start, receipt: Receipt, decided: Authorization, register: int | None
) -> int:
    found = db.one(
        INSERT,
        uid=uuid7(),
        station_id=station.row,
        connector=told.connector,
        id_tag=told.id_tag,
        id_tag_key=folded(told.id_tag),
        authorization=decided.status,
        id_tag_info=encode(decided).decode(),
        reservation_id=told.reservation_id,
        started_at=told.at or receipt.received_at,
        started_at_raw=told.at_raw,
        start_received_at=receipt.received_at,
        meter_start_wh=register,
        open=True,
        flags="[]" if register is not None else _flags("[]", NO_REGISTER),
    )
    return int(found[0]) if found else 0


def _supersede(db: Connection, station: Station, connector: int) -> None:
    """Close what still stood open on this connector: its stop was never seen."""
    for row, flags in db.all(OPEN_HERE, station_id=station.row, connector=connector):
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
    """The transaction that a stop means, or None."""
    found = db.one(CLOSING, station_id=station.row, row=told.transaction_id) if told.transaction_id > 0 else None
    found = found or db.one(
        CLAIMED,
        station_id=station.row,
        claimed_id=told.transaction_id,
        stopped_at_raw=told.at_raw,
        meter_stop_wh=sane(told.meter_stop_wh),
    )
    if found is not None:
        return _Row(*found)
    if told.transaction_id > 0:
        return None
    still_open = db.all(OPEN_OF, station_id=station.row)
    if len(still_open) != 1:
        return None
    *cells, id_tag_key = still_open[0]
    if told.id_tag is not None and folded(told.id_tag) != id_tag_key:
        return None
    row = _Row(*cells)
    return row._replace(flags=_flags(row.flags, LATE_CLAIM))


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
        id_tag=told.id_tag,
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
    )
    return _Row(int(found[0]) if found else 0, 0, None, None, None, flags)


def _close(
    db: Connection, station: Station, row: _Row, told: Stop, receipt: Receipt, decided: Authorization | None
) -> Stopped:
    register = sane(told.meter_stop_wh)
    energy_wh, flags = _energy(row, register)
    db.run(
        CLOSE,
        row=row.id,
        stopped_at=told.at or receipt.received_at,
        stopped_at_raw=told.at_raw,
        stop_received_at=receipt.received_at,
        meter_stop_wh=register,
        stop_reason=told.reason,
        stop_id_tag=told.id_tag,
        stop_answer=encode(decided).decode() if decided is not None else None,
        energy_wh=energy_wh,
        claimed_id=told.transaction_id if told.transaction_id != row.id else None,
        flags=flags,
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
    if row.meter_start_wh is None:
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
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Transactions, the latest first; ``active`` asks for open or closed ones."""
    wanted = sa.select(station_table.c.identity.label("station"), transaction).join(
        station_table, station_table.c.id == _c.station_id
    )
    if station_id is not None:
        wanted = wanted.where(_c.station_id == station_id)
    if id_tag is not None:
        wanted = wanted.where(_c.id_tag_key == folded(id_tag))
    if active is not None:
        wanted = wanted.where(_c.open.is_(active))
    found = db.core.execute(wanted.order_by(_c.id.desc()).limit(limit))
    return [_public(dict(row)) for row in found.mappings()]


def get(db: Connection, transaction_id: int) -> dict[str, Any] | None:
    """One transaction as a plain record, or None."""
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
    return row
