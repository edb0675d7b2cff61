"""Meter values: one row for what a meter said at one time, its samples verbatim, each stored once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.charging.tables import meter_value, transaction
from arthexis.charging.tables import station as station_table
from arthexis.charging.times import clock_is_wrong
from arthexis.db.statements import Connection, Prepared

SAME_SECOND = timedelta(seconds=1)
"""Times of one station that differ by less may be the same one, written with and without its fraction."""

encode = msgspec.json.Encoder().encode

KNOWN = Prepared(
    sa.select(transaction.c.connector).where(
        transaction.c.station_id == bind("station_id"), transaction.c.id == bind("row", type_=sa.BigInteger)
    )
)
OPEN_HERE = Prepared(
    sa.select(transaction.c.id)
    .where(
        transaction.c.station_id == bind("station_id"),
        transaction.c.open.is_(True),
        transaction.c.connector == bind("connector"),
    )
    .order_by(transaction.c.id.desc())
    .limit(1)
)
STARTED_LAST = Prepared(
    sa.select(transaction.c.id, transaction.c.stopped_at)
    .where(
        transaction.c.station_id == bind("station_id"),
        transaction.c.connector == bind("connector"),
        transaction.c.started_at <= bind("latest", type_=transaction.c.started_at.type),
    )
    .order_by(transaction.c.started_at.desc(), transaction.c.id.desc())
    .limit(1)
)
INSERT = Prepared(
    lambda insert: (
        insert(meter_value)
        .values(**{c.name: bind(c.name) for c in meter_value.c if c.name != "id"})
        .on_conflict_do_nothing()
    )
)


class Reading(msgspec.Struct, frozen=True):
    """What a meter said at one time: the station's text of the time, and the samples (anything msgspec encodes)."""

    at: datetime | None
    at_raw: str
    samples: Any


def store(
    db: Connection,
    station: Station,
    connector: int,
    claimed_id: int | None,
    readings: Iterable[Reading],
    receipt: Receipt,
) -> None:
    """Keep the readings of a MeterValues (OCPP 1.6 §4.7); an unknown transaction id never opens a transaction."""
    if claimed_id is not None and claimed_id == station.charging > 0:
        transaction_id = claimed_id
    else:
        readings = list(readings)
        at = readings[0].at if readings else None
        transaction_id = _transaction(db, station, connector, claimed_id, at, receipt.received_at)
    if insert(db, station, connector, transaction_id, claimed_id, readings, receipt):
        db.event("transaction.metered", station.id, {"transaction_id": transaction_id or None, "connector": connector})


def insert(
    db: Connection,
    station: Station,
    connector: int,
    transaction_id: int,
    claimed_id: int | None,
    readings: Iterable[Reading],
    receipt: Receipt,
    *,
    with_stop: bool = False,
) -> int:
    """Keep readings under a transaction (0: none); how many were new.

    Samples of one meter at one time are told apart by their checksum and length: nobody has a reason to forge them.
    """
    new, row = 0, station.row
    repairs = receipt.repairs_json if receipt.repairs else None
    for reading in readings:
        samples = encode(reading.samples)
        new += db.run(
            INSERT,
            station_id=row,
            connector=connector,
            transaction_id=transaction_id,
            claimed_id=claimed_id if claimed_id != transaction_id else None,
            sampled_at=reading.at,
            sampled_at_raw=reading.at_raw,
            received_at=receipt.received_at,
            samples=samples.decode(),
            digest=crc32(samples) << 31 | len(samples),
            with_stop=with_stop,
            repairs=repairs,
        )
    return new


def _transaction(
    db: Connection,
    station: Station,
    connector: int,
    claimed_id: int | None,
    at: datetime | None,
    received_at: datetime,
) -> int:
    """The transaction that readings belong to: the one named, else the one of their connector and time, else 0.

    Going by their own time, the same readings belong to the same transaction whenever they come, and come again.
    Only those of a clock that cannot be right belong to what is open when they come.
    """
    if claimed_id is not None and claimed_id > 0:
        if db.one(KNOWN, station_id=station.row, row=claimed_id) is None:
            return 0
        station.charging = claimed_id  # which never becomes another station's, so that it need not be looked up again
        return claimed_id
    if claimed_id is None and connector == 0:
        return 0
    if at is None or clock_is_wrong(at, received_at):
        found = db.one(OPEN_HERE, station_id=station.row, connector=connector)
        return int(found[0]) if found is not None else 0
    last = db.one(STARTED_LAST, station_id=station.row, connector=connector, latest=at + SAME_SECOND)
    return int(last[0]) if last is not None and (last[1] is None or last[1] + SAME_SECOND >= at) else 0


def of_transaction(db: Connection, transaction_id: int) -> list[dict[str, Any]]:
    """A transaction's readings in the order of the station's time, each sample once.

    The same sample may have come twice, as a MeterValues and again in the transactionData of the stop.
    """
    wanted = sa.select(meter_value).where(meter_value.c.transaction_id == transaction_id)
    seen: set[tuple[Any, ...]] = set()
    readings = []
    for row in db.core.execute(wanted.order_by(meter_value.c.sampled_at, meter_value.c.id)).mappings():
        told = [(_key(row["sampled_at_raw"], sample), sample) for sample in msgspec.json.decode(row["samples"])]
        fresh = [sample for key, sample in told if key not in seen]
        seen.update(key for key, _ in told)
        if fresh:
            readings.append({**_public(dict(row)), "samples": fresh})
    return readings


def of_connector(db: Connection, station_id: int, limit: int = 100) -> list[dict[str, Any]]:
    """A station's latest readings, newest first, as they were sent."""
    wanted = sa.select(meter_value).where(meter_value.c.station_id == station_id)
    found = db.core.execute(wanted.order_by(meter_value.c.id.desc()).limit(limit)).mappings()
    return [{**_public(dict(row)), "samples": msgspec.json.decode(row["samples"])} for row in found]


def page(
    db: Connection,
    *,
    station_id: int | None = None,
    connector: int | None = None,
    transaction_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Readings as they were sent, the latest received first; ``before`` is the number of the last one seen."""
    wanted = sa.select(station_table.c.identity.label("station"), meter_value).join(
        station_table, station_table.c.id == meter_value.c.station_id
    )
    if station_id is not None:
        wanted = wanted.where(meter_value.c.station_id == station_id)
    if connector is not None:
        wanted = wanted.where(meter_value.c.connector == connector)
    if transaction_id is not None:
        wanted = wanted.where(meter_value.c.transaction_id == transaction_id)
    if since is not None:
        wanted = wanted.where(meter_value.c.sampled_at >= since)
    if until is not None:
        wanted = wanted.where(meter_value.c.sampled_at < until)
    if before is not None:
        wanted = wanted.where(meter_value.c.id < before)
    found = db.core.execute(wanted.order_by(meter_value.c.id.desc()).limit(limit)).mappings()
    return [{**row, "samples": msgspec.json.decode(row["samples"])} for row in found]


def _key(at_raw: str, sample: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a sample the same one in another reading; within one reading a station may say a thing twice."""
    return (at_raw, *(sample.get(name) for name in ("measurand", "phase", "location", "context", "unit", "value")))


def _public(row: dict[str, Any]) -> dict[str, Any]:
    for hidden in ("id", "station_id", "digest"):
        del row[hidden]
    row["repairs"] = msgspec.json.decode(row["repairs"]) if row["repairs"] else []
    return row
