"""The first tables of OCPP 1.6: progress of firmware and diagnostics, and vendors' messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis import UtcDateTime

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "ocpp16_progress",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), nullable=False, index=True),
        sa.Column("of", sa.Text, nullable=False, comment="firmware or diagnostics"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "ocpp16_data_transfer",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), nullable=False, index=True),
        sa.Column("vendor_id", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text),
        sa.Column("data", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("received_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("ocpp16_data_transfer")
    op.drop_table("ocpp16_progress")
