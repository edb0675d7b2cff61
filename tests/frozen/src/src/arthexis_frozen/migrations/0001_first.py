"""The first table."""

import sqlalchemy as sa
from alembic import op

from arthexis import UtcDateTime

revision = "0001_first"
down_revision = None


def upgrade():
    op.create_table(
        "frozen_asked",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )


def downgrade():
    op.drop_table("frozen_asked")
