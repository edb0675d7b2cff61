"""Connectors: their status now and every status they ever reported; connector 0 is the station itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging import reservations
from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.charging.tables import connector, connector_status
from arthexis.charging.tables import station as station_table
from arthexis.charging.times import clock_is_wrong
from arthexis.db.statements import Connection, Prepared

HISTORY = Prepared(
    sa.insert(connector_status).values(
        **{c.name: bind(c.name) for c in connector_status.c if c.name != "id"},
    )
)
CURRENT = Prepared(
    lambda insert: (
        insert(connector)
        .values(**{c.name: bind(c.name) for c in connector.c if c.name != "id"})
        .on_conflict_do_update(
            index_elements=["station_id", "number"],
            set_={
                name: bind(name, type_=connector.c[name].type) for name in ("status", "error_code", "at", "received_at")
            },
            where=sa.or_(
                connector.c.at.is_(None),
                bind("at", type_=connector.c.at.type).is_(None),
                connector.c.at <= bind("at", type_=connector.c.at.type),
            ),
        )
    )
)


class Status(msgspec.Struct, frozen=True, gc=False):
    """A status as a connector reported it; ``at`` is None where the station named no time or a mad one."""

    connector: int
    status: str
    error_code: str
    at: datetime | None
    at_raw: str | None
    info: str | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None


def report(db: Connection, station: Station, status: Status, receipt: Receipt) -> bool:
    """Keep a status; an older one goes to the history only. Whether it is now the current one."""
    db.run(
        HISTORY,
        station_id=station.row,
        connector=status.connector,
        status=status.status,
        error_code=status.error_code,
        info=status.info,
        vendor_id=status.vendor_id,
        vendor_error_code=status.vendor_error_code,
        at=status.at,
        at_raw=status.at_raw,
        received_at=receipt.received_at,
        repairs=receipt.repairs_json,
    )
    changed = db.run(
        CURRENT,
        station_id=station.row,
        number=status.connector,
        status=status.status,
        error_code=status.error_code,
        at=_to_go_by(status.at, receipt.received_at),
        received_at=receipt.received_at,
    )
    if changed:
        told = {"connector": status.connector, "status": status.status, "error_code": status.error_code}
        db.event("status.changed", station.id, told)
        reservations.reported(db, station.row, status.connector, status.status, receipt.received_at)
    return bool(changed)


def _to_go_by(at: datetime | None, received_at: datetime) -> datetime | None:
    """The station's time if statuses can be ordered by it: a dead clock or one ahead of ours orders nothing."""
    return None if clock_is_wrong(at, received_at) else at


def rows(db: Connection, station_id: int) -> list[dict[str, Any]]:
    """The current status of a station's connectors."""
    found = db.core.execute(
        sa.select(
            connector.c.number, connector.c.status, connector.c.error_code, connector.c.at, connector.c.received_at
        )
        .where(connector.c.station_id == station_id)
        .order_by(connector.c.number)
    )
    return [dict(row) for row in found.mappings()]


def page(
    db: Connection, *, station_id: int | None = None, status: str | None = None, after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Connectors of all stations with their current status, behind number ``after``."""
    wanted = (
        sa.select(station_table.c.identity.label("station"), connector)
        .join(station_table, station_table.c.id == connector.c.station_id)
        .where(connector.c.id > after)
    )
    if station_id is not None:
        wanted = wanted.where(connector.c.station_id == station_id)
    if status is not None:
        wanted = wanted.where(connector.c.status == status)
    return [dict(row) for row in db.core.execute(wanted.order_by(connector.c.id).limit(limit)).mappings()]


def history(
    db: Connection, station_id: int, limit: int = 100, *, connector: int | None = None, before: int | None = None
) -> list[dict[str, Any]]:
    """The latest statuses of a station, newest first; ``before`` is the number of the last one seen."""
    wanted = sa.select(connector_status).where(connector_status.c.station_id == station_id)
    if connector is not None:
        wanted = wanted.where(connector_status.c.connector == connector)
    if before is not None:
        wanted = wanted.where(connector_status.c.id < before)
    found = db.core.execute(wanted.order_by(connector_status.c.id.desc()).limit(limit))
    return [dict(row) for row in found.mappings()]
