"""Meter values: one row for what a meter said at one time, its samples verbatim, each stored once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.charging.tables import meter_value, transaction
from arthexis.db.statements import Connection, Prepared

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
INSERT = Prepared(
    lambda insert: (
        insert(meter_value)
        .values(**{c.name: bind(c.name) for c in meter_value.c if c.name != "id"})
        .on_conflict_do_nothing()
    )
)


class Reading(NamedTuple):
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
    transaction_id = _transaction(db, station, connector, claimed_id)
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
    """Keep readings under a transaction (0: none); how many were new."""
    new = 0
    repairs = receipt.repairs_json
    for reading in readings:
        samples = encode(reading.samples)
        new += db.run(
            INSERT,
            station_id=station.row,
            connector=connector,
            transaction_id=transaction_id,
            claimed_id=claimed_id if claimed_id != transaction_id else None,
            sampled_at=reading.at,
            sampled_at_raw=reading.at_raw,
            received_at=receipt.received_at,
            samples=samples.decode(),
            digest=int.from_bytes(blake2b(samples, digest_size=8).digest(), signed=True),
            with_stop=with_stop,
            repairs=repairs,
        )
    return new


def _transaction(db: Connection, station: Station, connector: int, claimed_id: int | None) -> int:
    """The transaction that readings belong to: the one named, else the one open on the connector, else 0."""
    if claimed_id is not None and claimed_id > 0:
        return claimed_id if db.one(KNOWN, station_id=station.row, row=claimed_id) is not None else 0
    if claimed_id is None and connector == 0:
        return 0
    found = db.one(OPEN_HERE, station_id=station.row, connector=connector)
    return int(found[0]) if found is not None else 0


def of_transaction(db: Connection, transaction_id: int) -> list[dict[str, Any]]:
    """A transaction's readings in the order of the station's time, each sample once.

    The same sample may have come twice, as a MeterValues and again in the transactionData of the stop.
    """
    wanted = sa.select(meter_value).where(meter_value.c.transaction_id == transaction_id)
    seen: set[tuple[Any, ...]] = set()
    readings = []
    for row in db.core.execute(wanted.order_by(meter_value.c.sampled_at, meter_value.c.id)).mappings():
        fresh = [s for s in msgspec.json.decode(row["samples"]) if not _repeated(row["sampled_at_raw"], s, seen)]
        if fresh:
            readings.append({**_public(dict(row)), "samples": fresh})
    return readings


def of_connector(db: Connection, station_id: int, limit: int = 100) -> list[dict[str, Any]]:
    """A station's latest readings, newest first, as they were sent."""
    wanted = sa.select(meter_value).where(meter_value.c.station_id == station_id)
    found = db.core.execute(wanted.order_by(meter_value.c.id.desc()).limit(limit)).mappings()
    return [{**_public(dict(row)), "samples": msgspec.json.decode(row["samples"])} for row in found]


def _repeated(at_raw: str, sample: dict[str, Any], seen: set[tuple[Any, ...]]) -> bool:
    key = (at_raw, *(sample.get(name) for name in ("measurand", "phase", "location", "context", "unit", "value")))
    if key in seen:
        return True
    seen.add(key)
    return False


def _public(row: dict[str, Any]) -> dict[str, Any]:
    for hidden in ("id", "station_id", "digest"):
        del row[hidden]
    row["repairs"] = msgspec.json.decode(row["repairs"]) if row["repairs"] else []
    return row
