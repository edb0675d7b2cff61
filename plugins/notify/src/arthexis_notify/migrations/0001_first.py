"""Notifications, their deliveries, and the rates of rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis import UtcDateTime

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "notify_notification",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.Text, comment="the rule that made it; none: somebody said it"),
        sa.Column("event_id", sa.BigInteger, comment="the event that it tells of"),
        sa.Column("matter", sa.Text, nullable=False, comment="two with the same one are about the same"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("station", sa.Text),
        sa.Column("connector", sa.Integer),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False, comment="a newer one with the same key replaces the older"),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("lifetime_s", sa.Float, comment="it is not sent later than so long after at"),
        sa.Column("due_at", UtcDateTime, comment="when it is told if it is not over until then"),
        sa.Column("told_at", UtcDateTime),
        sa.Column("over_at", UtcDateTime),
        sa.Column("repeats", sa.Integer, nullable=False, comment="so often it came again and was only counted"),
        sa.Column("acknowledged_at", UtcDateTime),
        sa.Column("acknowledged_by", sa.Text),
    )
    op.create_index("ix_notify_notification_event", "notify_notification", ["rule", "event_id"], unique=True)
    op.create_index("ix_notify_notification_matter", "notify_notification", ["rule", "matter", "over_at", "id"])
    op.create_index("ix_notify_notification_due", "notify_notification", ["due_at"])
    op.create_index("ix_notify_notification_at", "notify_notification", ["at"])
    op.create_table(
        "notify_delivery",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "notification_id", sa.Integer, sa.ForeignKey("notify_notification.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("notifier", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False, comment="0: the most urgent"),
        sa.Column("state", sa.Text, nullable=False, comment="waiting, sent, expired, replaced or given up"),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("faults", sa.Integer, nullable=False, comment="tries at which the notifier broke"),
        sa.Column("next_at", UtcDateTime, nullable=False),
        sa.Column("done_at", UtcDateTime),
        sa.Column("error", sa.Text, comment="why the last try failed"),
    )
    op.create_index("ix_notify_delivery_waiting", "notify_delivery", ["notifier", "state", "next_at"])
    op.create_index("ix_notify_delivery_notification", "notify_delivery", ["notification_id", "notifier"], unique=True)
    op.create_table(
        "notify_rate",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("tokens", sa.Float, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("suppressed", sa.Integer, nullable=False, comment="not sent since the last that was"),
    )
    op.create_table(
        "notify_station",
        sa.Column("key", sa.Text, primary_key=True, comment="the folded identity of a station that is connected"),
        sa.Column("identity", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("notify_station")
    op.drop_table("notify_rate")
    op.drop_table("notify_delivery")
    op.drop_table("notify_notification")
