"""Jobs: work that is done later, and again where it fails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis.db.types import UtcDateTime

revision = "0003_jobs"
down_revision = "0002_operations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of jobs."""
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True, comment="at most one of this name and key waits; null: any number"),
        sa.Column("args", sa.Text(), nullable=False, comment="JSON object"),
        sa.Column("state", sa.Text(), nullable=False, comment="waiting, running, done or failed"),
        sa.Column("run_at", UtcDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="why the last try failed"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("name", "key", name=op.f("uq_job_name_key")),
    )
    op.create_index(op.f("ix_job_state_run_at"), "job", ["state", "run_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("job")
