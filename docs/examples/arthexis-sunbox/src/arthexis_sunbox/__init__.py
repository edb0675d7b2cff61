"""Keep what Sunbox chargers tell of themselves, a row for each message, and show it."""

from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from msgspec import Meta, Struct

from arthexis import Command, DataTransfer, Prepared, Route, Tables, UtcDateTime, hookimpl, station_table

metadata = sa.MetaData()
telemetry = sa.Table(
    "sunbox_telemetry",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station_table.c.id), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False, comment="counted by the station"),
    sa.Column("celsius", sa.Float, nullable=False),
    sa.Column("fan_rpm", sa.Integer),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("station_id", "number"),
)
KEEP = Prepared(
    lambda insert: (
        insert(telemetry)
        .values({column: sa.bindparam(column) for column in ("station_id", "number", "celsius", "fan_rpm")})
        .values(received_at=sa.bindparam("received_at"))
        .on_conflict_do_nothing()
    )
)


class Sample(Struct, rename="camel"):
    number: Annotated[int, Meta(ge=0)]
    celsius: Annotated[float, Meta(ge=-100, le=300)]
    fan_rpm: int | None = None


async def keep(station, sample, ctx):
    def store(db):
        db.run(
            KEEP,
            station_id=station.row,
            number=sample.number,
            celsius=sample.celsius,
            fan_rpm=sample.fan_rpm,
            received_at=ctx.call.record.received_at,
        )

    await ctx.journal.write(store)


class Row(Struct):
    station: str
    number: int
    celsius: float
    fan_rpm: int | None
    received_at: datetime


class Which(Struct, forbid_unknown_fields=True):
    station: str
    limit: Annotated[int, Meta(ge=1, le=1000)] = 10


async def latest(request):
    def read(db):
        wanted = (
            sa.select(station_table.c.identity, telemetry)
            .join(station_table, station_table.c.id == telemetry.c.station_id)
            .where(sa.func.lower(station_table.c.identity) == request.params.station.lower())
            .order_by(telemetry.c.id.desc())
            .limit(request.params.limit)
        )
        return db.core.execute(wanted).all()

    rows = await request.host.database.read(read)
    return [Row(row.identity, row.number, row.celsius, row.fan_rpm, row.received_at) for row in rows]


@hookimpl
def register_tables():
    yield Tables(metadata, "arthexis_sunbox:migrations")


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.sunbox", "Telemetry", keep, data=Sample)


@hookimpl
def register_routes():
    yield Route(
        "GET",
        "/sunbox/telemetry/{station}",
        latest,
        "viewer",
        "What a Sunbox charger told of itself, the latest first",
        params=Which,
        answer=list[Row],
    )


@hookimpl
def register_commands():
    yield Command("sunbox", "arthexis_sunbox.commands:sunbox", "What Sunbox chargers tell of themselves")
