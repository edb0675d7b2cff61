"""Keys that stations are given over their sockets, until they first come with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis.db.types import UtcDateTime

revision = "0005_station_keys"
down_revision = "0004_reservations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "station_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("key_salt", sa.LargeBinary(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "told", sa.Boolean(), nullable=False, comment="the station has it, or may have it: it opens the gate"
        ),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_station_key_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station_key")),
        comment="keys that a station was or is being given over its socket, until it first comes with one of them",
    )
    op.create_index(op.f("ix_station_key_station_id"), "station_key", ["station_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("station_key")
