"""Configuration, charging profiles and local lists of stations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from arthexis import UtcDateTime

revision = "0003_operations"
down_revision = "0002_outbound"
branch_labels = None
depends_on = None

TABLES = (
    "ocpp16_configuration",
    "ocpp16_configuration_change",
    "ocpp16_template",
    "ocpp16_follows",
    "ocpp16_desired_value",
    "ocpp16_named_profile",
    "ocpp16_installed_profile",
    "ocpp16_composite_schedule",
    "ocpp16_local_list",
    "ocpp16_local_entry",
)


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "ocpp16_configuration",
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), primary_key=True),
        sa.Column("key_folded", sa.Text, primary_key=True, comment="the key's name without case"),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("readonly", sa.Boolean),
        sa.Column("known", sa.Boolean, nullable=False, comment="false: the station says that it has no such key"),
        sa.Column("reboot_required", sa.Boolean, nullable=False, comment="holds only after the next boot"),
        sa.Column("seen_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "ocpp16_configuration_change",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), nullable=False, index=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("value", sa.Text),
        sa.Column("source", sa.Text, nullable=False, comment="read or set"),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "ocpp16_template",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "ocpp16_follows",
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), primary_key=True),
        sa.Column("template_id", sa.Integer, sa.ForeignKey("ocpp16_template.id"), nullable=False, index=True),
    )
    op.create_table(
        "ocpp16_desired_value",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), index=True),
        sa.Column("template_id", sa.Integer, sa.ForeignKey("ocpp16_template.id"), index=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("key_folded", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "ocpp16_named_profile",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("profile", sa.Text, nullable=False, comment="OCPP JSON"),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "ocpp16_installed_profile",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), nullable=False, index=True),
        sa.Column("connector", sa.Integer, nullable=False),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
        sa.Column("stack_level", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("transaction_id", sa.BigInteger),
        sa.Column("profile", sa.Text, nullable=False, comment="OCPP JSON"),
        sa.Column("installed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "ocpp16_composite_schedule",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), nullable=False, index=True),
        sa.Column("connector", sa.Integer, nullable=False),
        sa.Column("answer", sa.Text, nullable=False, comment="OCPP JSON"),
        sa.Column("received_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "ocpp16_local_list",
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False, comment="accepted last"),
        sa.Column("told_version", sa.BigInteger, comment="told last: -1 no list, 0 an empty one"),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "ocpp16_local_entry",
        sa.Column("station_id", sa.Integer, sa.ForeignKey("station.id"), primary_key=True),
        sa.Column("id_tag", sa.Text, primary_key=True),
        sa.Column("info", sa.Text, nullable=False, comment="idTagInfo, OCPP JSON"),
    )


def downgrade() -> None:
    """Drop every table."""
    for name in reversed(TABLES):
        op.drop_table(name)
