"""Subscriptions and their deliveries."""

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
        "webhooks_subscription",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("kinds", sa.Text, nullable=False, comment="JSON list; empty: every kind"),
        sa.Column("stations", sa.Text, nullable=False, comment="JSON list of identities; empty: all, and the node"),
        sa.Column("secret", sa.Text, nullable=False, comment="the key of the signature"),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, comment="why it is off"),
        sa.Column("failures", sa.Integer, nullable=False, comment="tries in a row that failed"),
        sa.Column("failing_since", UtcDateTime),
        sa.Column("last_error", sa.Text),
        sa.Column("dropped", sa.Integer, nullable=False, comment="events that found the queue full"),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "webhooks_delivery",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "subscription_id",
            sa.Integer,
            sa.ForeignKey("webhooks_subscription.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("station", sa.Text),
        sa.Column("body", sa.Text, nullable=False, comment="what is sent, to the byte"),
        sa.Column("state", sa.Text, nullable=False, comment="waiting, delivered or given up"),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer, comment="the last HTTP status"),
        sa.Column("error", sa.Text, comment="why the last try failed"),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("delivered_at", UtcDateTime),
    )
    op.create_index("ix_webhooks_delivery_waiting", "webhooks_delivery", ["subscription_id", "state", "id"])
    op.create_index("ix_webhooks_delivery_event", "webhooks_delivery", ["subscription_id", "event_id"], unique=True)


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("webhooks_delivery")
    op.drop_table("webhooks_subscription")
