"""The tables of this distribution: files, tokens, deployments and what became of each station in them."""

from __future__ import annotations

import sqlalchemy as sa

from arthexis import UtcDateTime, station_table

metadata = sa.MetaData()

file = sa.Table(
    "files_file",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True, comment="also the name on the disk"),
    sa.Column("kind", sa.Text, nullable=False, comment="firmware, diagnostics, or what another plugin keeps"),
    sa.Column("name", sa.Text, nullable=False, comment="for people"),
    sa.Column("size", sa.BigInteger, nullable=False, comment="bytes"),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("station", sa.Text, comment="who brought it"),
    sa.Column("added_by", sa.Text, nullable=False),
    sa.Column("added_at", UtcDateTime, nullable=False),
)

deployment = sa.Table(
    "files_deployment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False, comment="firmware or diagnostics"),
    sa.Column("file_id", sa.ForeignKey(file.c.id), index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("wave_size", sa.Integer, nullable=False),
    sa.Column("pause_s", sa.Float, nullable=False),
    sa.Column("stop_after", sa.Integer, comment="stop when more than so many failed"),
    sa.Column("stop_percent", sa.Float, comment="stop when more than so many percent of those that ended failed"),
    sa.Column("scheme", sa.Text),
    sa.Column("payload", sa.Text, nullable=False, comment="members of the request beside the location, OCPP JSON"),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("next_wave_at", UtcDateTime),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
)

target = sa.Table(
    "files_target",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True, comment="also the batch of its operation"),
    sa.Column("deployment_id", sa.ForeignKey(deployment.c.id), nullable=False, index=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), nullable=False, index=True),
    sa.Column("wave", sa.Integer),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("operation", sa.Text),
    sa.Column("file_id", sa.ForeignKey(file.c.id), comment="what the station brought"),
    sa.Column("asked_at", UtcDateTime),
    sa.Column("deadline_at", UtcDateTime),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

token = sa.Table(
    "files_token",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("target_id", sa.ForeignKey(target.c.id), nullable=False, index=True),
    sa.Column("upload", sa.Boolean, nullable=False),
    sa.Column("login", sa.Text, nullable=False, comment="the user's name, where one is given: the station"),
    sa.Column("left", sa.Integer, nullable=False, comment="whole transfers that it still allows"),
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False, comment="bytes in all"),
    sa.Column("reached", sa.BigInteger, nullable=False, comment="bytes of the current transfer, without a gap"),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)
