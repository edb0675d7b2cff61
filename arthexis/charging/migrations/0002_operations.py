"""Operations: what a station was told, and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis.db.types import UtcDateTime

revision = "0002_operations"
down_revision = "0001_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of operations."""
    op.create_table(
        "operation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False, comment="UUIDv7, for other nodes; the OCPP message id too"),
        sa.Column(
            "batch",
            sa.Text(),
            nullable=True,
            comment="the uid that operations sent to many stations at once have in common",
        ),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False, comment="the request as it goes over the wire, JSON"),
        sa.Column("state", sa.Text(), nullable=False, comment="queued, sent, or how it ended"),
        sa.Column("priority", sa.Integer(), nullable=False, comment="higher goes first"),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("send_after", UtcDateTime(), nullable=True, comment="not before then"),
        sa.Column(
            "queue_until",
            UtcDateTime(),
            nullable=True,
            comment="waits for an offline station until then; null: not at all",
        ),
        sa.Column("expires_at", UtcDateTime(), nullable=True, comment="not sent after then"),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True, comment="the station's answer verbatim, JSON"),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("repairs", sa.Text(), nullable=True, comment="what was mended in the answer, JSON list"),
        sa.Column(
            "follow_up", sa.Text(), nullable=True, comment="what came of it afterwards; null: nothing is expected"
        ),
        sa.Column("follow_up_at", UtcDateTime(), nullable=True),
        sa.Column("follow_up_until", UtcDateTime(), nullable=True, comment="awaited until then; null: over"),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_operation_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
        sa.UniqueConstraint("uid", name=op.f("uq_operation_uid")),
    )
    for columns in (["station_id", "id"], ["state"], ["batch"]):
        op.create_index(op.f(f"ix_operation_{'_'.join(columns)}"), "operation", columns)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("operation")
