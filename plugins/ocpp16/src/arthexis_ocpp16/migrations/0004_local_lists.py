"""How the last synchronisation of a station's local list ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis import UtcDateTime

revision = "0004_local_lists"
down_revision = "0003_operations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is known of it."""
    op.add_column("ocpp16_local_list", sa.Column("synced", sa.Text(), comment="how the last synchronisation ended"))
    op.add_column("ocpp16_local_list", sa.Column("said", sa.Text(), comment="what went otherwise then"))
    op.add_column("ocpp16_local_list", sa.Column("synced_at", UtcDateTime()))


def downgrade() -> None:
    """Take it out."""
    for name in ("synced_at", "said", "synced"):
        op.drop_column("ocpp16_local_list", name)
