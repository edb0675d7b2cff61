"""Files, deployments, their stations, and tokens."""

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
        "files_file",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("station", sa.Text),
        sa.Column("added_by", sa.Text, nullable=False),
        sa.Column("added_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "files_deployment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("file_id", sa.Integer, sa.ForeignKey("files_file.id"), index=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("wave_size", sa.Integer, nullable=False),
        sa.Column("pause_s", sa.Float, nullable=False),
        sa.Column("stop_after", sa.Integer),
        sa.Column("stop_percent", sa.Float),
        sa.Column("scheme", sa.Text),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("next_wave_at", UtcDateTime),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
    )
    op.create_table(
        "files_target",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False, unique=True),
        sa.Column("deployment_id", sa.Integer, sa.ForeignKey("files_deployment.id"), nullable=False, index=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), nullable=False, index=True),
        sa.Column("wave", sa.Integer),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("operation", sa.Text),
        sa.Column("file_id", sa.Integer, sa.ForeignKey("files_file.id")),
        sa.Column("asked_at", UtcDateTime),
        sa.Column("deadline_at", UtcDateTime),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "files_token",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("target_id", sa.Integer, sa.ForeignKey("files_target.id"), nullable=False, index=True),
        sa.Column("upload", sa.Boolean, nullable=False),
        sa.Column("login", sa.Text, nullable=False),
        sa.Column("left", sa.Integer, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=False),
        sa.Column("reached", sa.BigInteger, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    for name in ("files_token", "files_target", "files_deployment", "files_file"):
        op.drop_table(name)
