"""The host's MetaData and the tables that are not about charging: events, how far each reader has come, jobs."""

from __future__ import annotations

import sqlalchemy as sa

from arthexis.db.types import UtcDateTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("station", sa.Text),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)

subscriber = sa.Table(
    "subscriber",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("last_event_id", sa.BigInteger, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key", sa.Text, comment="at most one of this name and key waits; null: any number"),
    sa.Column("args", sa.Text, nullable=False, comment="JSON object"),
    sa.Column("state", sa.Text, nullable=False, comment="waiting, running, done or failed"),
    sa.Column("run_at", UtcDateTime, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("error", sa.Text, comment="why the last try failed"),
    sa.UniqueConstraint("name", "key"),
    sa.Index(None, "state", "run_at"),
)
