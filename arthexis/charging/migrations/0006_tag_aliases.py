"""Other texts under which readers and stations know a tag."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_tag_aliases"
down_revision = "0005_station_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "tag_alias",
        sa.Column("alias_key", sa.Text(), nullable=False, comment="case-folded, and the key of no tag"),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_tag_alias_tag_id")),
        sa.PrimaryKeyConstraint("alias_key", name=op.f("pk_tag_alias")),
        comment="other texts under which readers and stations know a tag: turned around, or in decimal",
    )
    op.create_index(op.f("ix_tag_alias_tag_id"), "tag_alias", ["tag_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("tag_alias")
