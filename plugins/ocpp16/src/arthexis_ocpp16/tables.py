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

configuration = sa.Table(
    "ocpp16_configuration",
    metadata,
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), primary_key=True),
    sa.Column("key_folded", sa.Text, primary_key=True, comment="the key's name without case"),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("value", sa.Text),
    sa.Column("readonly", sa.Boolean),
    sa.Column("known", sa.Boolean, nullable=False, comment="false: the station says that it has no such key"),
    sa.Column("reboot_required", sa.Boolean, nullable=False, comment="holds only after the next boot"),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

configuration_change = sa.Table(
    "ocpp16_configuration_change",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("value", sa.Text),
    sa.Column("source", sa.Text, nullable=False, comment="read or set"),
    sa.Column("at", UtcDateTime, nullable=False),
)

template = sa.Table(
    "ocpp16_template",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
)

follows = sa.Table(
    "ocpp16_follows",
    metadata,
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), primary_key=True),
    sa.Column("template_id", sa.ForeignKey(template.c.id), nullable=False, index=True),
)

desired_value = sa.Table(
    "ocpp16_desired_value",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), index=True),
    sa.Column("template_id", sa.ForeignKey(template.c.id), index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("key_folded", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
)

named_profile = sa.Table(
    "ocpp16_named_profile",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("profile", sa.Text, nullable=False, comment="OCPP JSON"),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

installed_profile = sa.Table(
    "ocpp16_installed_profile",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), nullable=False, index=True),
    sa.Column("connector", sa.Integer, nullable=False),
    sa.Column("profile_id", sa.BigInteger, nullable=False),
    sa.Column("stack_level", sa.BigInteger, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("transaction_id", sa.BigInteger),
    sa.Column("profile", sa.Text, nullable=False, comment="OCPP JSON"),
    sa.Column("installed_at", UtcDateTime, nullable=False),
)

composite_schedule = sa.Table(
    "ocpp16_composite_schedule",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), nullable=False, index=True),
    sa.Column("connector", sa.Integer, nullable=False),
    sa.Column("answer", sa.Text, nullable=False, comment="OCPP JSON"),
    sa.Column("received_at", UtcDateTime, nullable=False),
)

local_list = sa.Table(
    "ocpp16_local_list",
    metadata,
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False, comment="accepted last"),
    sa.Column("told_version", sa.BigInteger, comment="told last: -1 no list, 0 an empty one"),
    sa.Column("synced", sa.Text, comment="how the last synchronisation ended"),
    sa.Column("said", sa.Text, comment="what went otherwise then"),
    sa.Column("synced_at", UtcDateTime),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

local_entry = sa.Table(
    "ocpp16_local_entry",
    metadata,
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), primary_key=True),
    sa.Column("id_tag", sa.Text, primary_key=True),
    sa.Column("info", sa.Text, nullable=False, comment="idTagInfo, OCPP JSON"),
)

PROGRESS = Prepared(sa.insert(progress).values(**{c.name: sa.bindparam(c.name) for c in progress.c if c.name != "id"}))
DATA_TRANSFER = Prepared(
    sa.insert(data_transfer).values(**{c.name: sa.bindparam(c.name) for c in data_transfer.c if c.name != "id"})
)

SESSION_OVER = Prepared(
    sa.delete(installed_profile).where(
        installed_profile.c.station_id == sa.bindparam("station_id"),
        installed_profile.c.purpose == "TxProfile",
        installed_profile.c.transaction_id == sa.bindparam("transaction_id"),
    )
)


def report_progress(db: Connection, station: Station, of: str, status: str, receipt: Receipt) -> None:
    """Keep a firmware or diagnostics status, and tell of it."""
    db.run(PROGRESS, station_id=station.row, of=of, status=status, received_at=receipt.received_at)
    db.event(f"{of}.status", station.id, {"status": status})
