"""The tables of this distribution: what only OCPP 1.6 has a message for."""

from __future__ import annotations

import sqlalchemy as sa

from arthexis import Connection, Prepared, Receipt, Station, UtcDateTime, station_table

metadata = sa.MetaData()

progress = sa.Table(
    "ocpp16_progress",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), nullable=False, index=True),
    sa.Column("of", sa.Text, nullable=False, comment="firmware or diagnostics"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
)

data_transfer = sa.Table(
    "ocpp16_data_transfer",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), nullable=False, index=True),
    sa.Column("outbound", sa.Boolean, nullable=False, server_default=sa.false(), comment="sent by us"),
    sa.Column("vendor_id", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text),
    sa.Column("data", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("received_at", UtcDateTime, nullable=False),
)

PROGRESS = Prepared(sa.insert(progress).values(**{c.name: sa.bindparam(c.name) for c in progress.c if c.name != "id"}))
DATA_TRANSFER = Prepared(
    sa.insert(data_transfer).values(**{c.name: sa.bindparam(c.name) for c in data_transfer.c if c.name != "id"})
)


def report_progress(db: Connection, station: Station, of: str, status: str, receipt: Receipt) -> None:
    """Keep a firmware or diagnostics status, and tell of it."""
    db.run(PROGRESS, station_id=station.row, of=of, status=status, received_at=receipt.received_at)
    db.event(f"{of}.status", station.id, {"status": status})
