"""The first tables of the host."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis.db.types import UtcDateTime

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("name", name=op.f("uq_api_token_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("inbound", sa.Boolean(), nullable=False, comment="called by the station"),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True, comment="null: no frame that could be read"),
        sa.Column(
            "frame", sa.LargeBinary(), nullable=True, comment="the bytes of the CALL; null where only the answer is new"
        ),
        sa.Column("answer", sa.LargeBinary(), nullable=True, comment="the bytes of the CALLRESULT or CALLERROR"),
        sa.Column("repairs", sa.Text(), nullable=True, comment="what was mended, JSON list"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    op.create_index(op.f("ix_message_station_id"), "message", ["station", "id"], unique=False)
    op.create_table(
        "refused_station",
        sa.Column("identity_key", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("remote", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=True, comment="its BootNotification, if it was let in to wait, JSON"),
        sa.PrimaryKeyConstraint("identity_key", name=op.f("pk_refused_station")),
    )
    op.create_table(
        "station",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("identity_key", sa.Text(), nullable=False, comment="case-folded identity"),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column(
            "registration", sa.Text(), nullable=True, comment="Accepted, Pending or Rejected; null: never booted"
        ),
        sa.Column("held", sa.Text(), nullable=True, comment="Pending or Rejected by an operator's word; null: none"),
        sa.Column("mode", sa.Text(), nullable=True, comment="strict or repair; null: the node's"),
        sa.Column("zone", sa.Text(), nullable=True, comment="IANA zone of timestamps without one; null: the node's"),
        sa.Column(
            "ping_interval_s",
            sa.Float(),
            nullable=True,
            comment="seconds of silence before a ping, 0: none; null: the node's",
        ),
        sa.Column("key_salt", sa.LargeBinary(), nullable=True),
        sa.Column("key_hash", sa.LargeBinary(), nullable=True),
        sa.Column("plain", sa.Boolean(), nullable=False, comment="connects without a key, by choice"),
        sa.Column("last_seen_at", UtcDateTime(), nullable=True),
        sa.Column("booted_at", UtcDateTime(), nullable=True),
        sa.Column("vendor", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("serial_number", sa.Text(), nullable=True),
        sa.Column("charge_box_serial_number", sa.Text(), nullable=True),
        sa.Column("firmware_version", sa.Text(), nullable=True),
        sa.Column("iccid", sa.Text(), nullable=True),
        sa.Column("imsi", sa.Text(), nullable=True),
        sa.Column("meter_type", sa.Text(), nullable=True),
        sa.Column("meter_serial_number", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station")),
        sa.UniqueConstraint("identity_key", name=op.f("uq_station_identity_key")),
    )
    op.create_table(
        "subscriber",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_event_id", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_subscriber")),
    )
    op.create_table(
        "unknown_tag",
        sa.Column("id_tag_key", sa.Text(), nullable=False),
        sa.Column("id_tag", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id_tag_key", name=op.f("pk_unknown_tag")),
    )
    op.create_table(
        "charging_transaction",
        sa.Column("id", sa.Integer(), nullable=False, comment="the OCPP transactionId, never reused"),
        sa.Column("uid", sa.Text(), nullable=False, comment="UUIDv7, for other nodes"),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("connector", sa.Integer(), nullable=False),
        sa.Column("id_tag", sa.Text(), nullable=True),
        sa.Column("id_tag_key", sa.Text(), nullable=True),
        sa.Column("authorization", sa.Text(), nullable=False, comment="the status the station was told"),
        sa.Column("id_tag_info", sa.Text(), nullable=True, comment="the idTagInfo answered to the start, JSON"),
        sa.Column("reservation_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("started_at_raw", sa.Text(), nullable=True),
        sa.Column("start_received_at", UtcDateTime(), nullable=True),
        sa.Column("meter_start_wh", sa.BigInteger(), nullable=True),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.Column("stopped_at_raw", sa.Text(), nullable=True),
        sa.Column("stop_received_at", UtcDateTime(), nullable=True),
        sa.Column("meter_stop_wh", sa.BigInteger(), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("stop_id_tag", sa.Text(), nullable=True),
        sa.Column("stop_answer", sa.Text(), nullable=True, comment="the idTagInfo answered to the stop, JSON"),
        sa.Column(
            "energy_wh", sa.BigInteger(), nullable=True, comment="null while open and where the registers make no sense"
        ),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column(
            "claimed_id", sa.BigInteger(), nullable=True, comment="the transactionId a stop without a start named"
        ),
        sa.Column("flags", sa.Text(), nullable=False, comment="what is odd about it, JSON list"),
        sa.Column("start_repairs", sa.Text(), nullable=True, comment="what was mended in its start, JSON list"),
        sa.Column("stop_repairs", sa.Text(), nullable=True, comment="what was mended in its stop, JSON list"),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_charging_transaction_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charging_transaction")),
        sa.UniqueConstraint("uid", name=op.f("uq_charging_transaction_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_charging_transaction_id_tag_key_open"), "charging_transaction", ["id_tag_key", "open"], unique=False
    )
    op.create_index(
        op.f("ix_charging_transaction_station_id_connector_started_at"),
        "charging_transaction",
        ["station_id", "connector", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_charging_transaction_station_id_claimed_id"),
        "charging_transaction",
        ["station_id", "claimed_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_charging_transaction_station_id_open_connector"),
        "charging_transaction",
        ["station_id", "open", "connector"],
        unique=False,
    )
    op.create_table(
        "connector",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="0 is the station itself"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=True, comment="the station's time, where it is one to go by"),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_connector_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connector")),
        sa.UniqueConstraint("station_id", "number", name=op.f("uq_connector_station_id_number")),
    )
    op.create_table(
        "connector_status",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("connector", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("info", sa.Text(), nullable=True),
        sa.Column("vendor_id", sa.Text(), nullable=True),
        sa.Column("vendor_error_code", sa.Text(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=True),
        sa.Column("at_raw", sa.Text(), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("repairs", sa.Text(), nullable=True, comment="what was mended, JSON list"),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_connector_status_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connector_status")),
    )
    op.create_index(
        op.f("ix_connector_status_station_id_connector_id"),
        "connector_status",
        ["station_id", "connector", "id"],
        unique=False,
    )
    op.create_table(
        "meter_value",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("connector", sa.Integer(), nullable=False),
        sa.Column("transaction_id", sa.Integer(), nullable=False, comment="0: of no transaction"),
        sa.Column("claimed_id", sa.BigInteger(), nullable=True, comment="the transactionId sent, where it is not that"),
        sa.Column("sampled_at", UtcDateTime(), nullable=True),
        sa.Column("sampled_at_raw", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("samples", sa.Text(), nullable=False, comment="the sampled values as sent, JSON list"),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("with_stop", sa.Boolean(), nullable=False, comment="came as transactionData of a stop"),
        sa.Column("repairs", sa.Text(), nullable=True, comment="what was mended in the message, JSON list"),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_meter_value_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_value")),
        sa.UniqueConstraint(
            "transaction_id", "station_id", "connector", "sampled_at_raw", "digest", name="uq_meter_value_natural"
        ),
    )
    op.create_table(
        "station_boot",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("registration", sa.Text(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False, comment="all fields, JSON"),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_station_boot_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station_boot")),
    )
    op.create_index(op.f("ix_station_boot_station_id"), "station_boot", ["station_id"], unique=False)
    op.create_table(
        "tag",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("id_tag", sa.Text(), nullable=False),
        sa.Column("id_tag_key", sa.Text(), nullable=False, comment="case-folded id tag"),
        sa.Column("status", sa.Text(), nullable=False, comment="Accepted or Blocked"),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("parent_id_tag", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_tag_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("id_tag_key", name=op.f("uq_tag_id_tag_key")),
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("tag")
    op.drop_index(op.f("ix_station_boot_station_id"), table_name="station_boot")
    op.drop_table("station_boot")
    op.drop_table("meter_value")
    op.drop_index(op.f("ix_connector_status_station_id_connector_id"), table_name="connector_status")
    op.drop_table("connector_status")
    op.drop_table("connector")
    op.drop_index(op.f("ix_charging_transaction_station_id_open_connector"), table_name="charging_transaction")
    op.drop_index(op.f("ix_charging_transaction_id_tag_key_open"), table_name="charging_transaction")
    op.drop_table("charging_transaction")
    op.drop_table("unknown_tag")
    op.drop_table("subscriber")
    op.drop_table("station")
    op.drop_table("refused_station")
    op.drop_index(op.f("ix_message_station_id"), table_name="message")
    op.drop_table("message")
    op.drop_table("event")
    op.drop_table("api_token")
    op.drop_table("account")
