"""The table of what Sunbox chargers tell."""

import sqlalchemy as sa
from alembic import op

from arthexis import UtcDateTime

revision = "0001_telemetry"
down_revision = None


def upgrade():
    op.create_table(
        "sunbox_telemetry",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, comment="counted by the station"),
        sa.Column("celsius", sa.Float, nullable=False),
        sa.Column("fan_rpm", sa.Integer),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("station_id", "number"),
    )


def downgrade():
    op.drop_table("sunbox_telemetry")
