"""Reservations, and the minutes that they hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis.db.types import UtcDateTime

revision = "0004_reservations"
down_revision = "0003_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "reservation",
        sa.Column("id", sa.Integer(), nullable=False, comment="the OCPP reservationId, never reused"),
        sa.Column("uid", sa.Text(), nullable=False, comment="UUIDv7, for other nodes"),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("connector", sa.Integer(), nullable=False, comment="0: any connector of the station"),
        sa.Column("id_tag", sa.Text(), nullable=False),
        sa.Column("id_tag_key", sa.Text(), nullable=False),
        sa.Column("parent_id_tag", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=True, comment="why it is in this state, where that is not plain"),
        sa.Column("transaction_id", sa.Integer(), nullable=True, comment="the transaction that used it"),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_reservation_station_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_reservation_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
        sa.UniqueConstraint("uid", name=op.f("uq_reservation_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_reservation_station_id_state"), "reservation", ["station_id", "state"])
    op.create_table(
        "reservation_minute",
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("connector", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False, comment="minutes since 1970, UTC"),
        sa.Column("reservation_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_reservation_minute_station_id")),
        sa.ForeignKeyConstraint(
            ["reservation_id"], ["reservation.id"], name=op.f("fk_reservation_minute_reservation_id")
        ),
        sa.PrimaryKeyConstraint("station_id", "connector", "minute", name=op.f("pk_reservation_minute")),
    )
    op.create_index(op.f("ix_reservation_minute_reservation_id"), "reservation_minute", ["reservation_id"])


def downgrade() -> None:
    """Drop both."""
    op.drop_table("reservation_minute")
    op.drop_table("reservation")
