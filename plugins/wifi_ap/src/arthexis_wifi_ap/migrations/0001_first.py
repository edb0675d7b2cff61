"""Texts and consents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis import UtcDateTime

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "wifi_ap_terms",
        sa.Column("digest", sa.Text, primary_key=True, comment="SHA-256 of language and text"),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("first_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "wifi_ap_consent",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("device", sa.Text, nullable=False, comment="HMAC of the MAC address; the key lies elsewhere"),
        sa.Column("digest", sa.Text, sa.ForeignKey("wifi_ap_terms.digest"), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime, comment="null: with its time"),
        sa.Column("ended_by", sa.Text, comment="revoked (an operator) or left (the guest)"),
    )
    op.create_index("ix_wifi_ap_consent_device", "wifi_ap_consent", ["device", "until"])
    op.create_index("ix_wifi_ap_consent_at", "wifi_ap_consent", ["at"])


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("wifi_ap_consent")
    op.drop_table("wifi_ap_terms")
