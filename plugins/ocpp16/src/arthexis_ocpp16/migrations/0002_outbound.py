"""Vendors' messages of both directions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_outbound"
down_revision = "0001_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say which way each message went."""
    with op.batch_alter_table("ocpp16_data_transfer") as table:
        table.add_column(
            sa.Column("outbound", sa.Boolean, nullable=False, server_default=sa.false(), comment="sent by us")
        )


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("ocpp16_data_transfer") as table:
        table.drop_column("outbound")
