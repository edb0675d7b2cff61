"""A vendor's plugin of 2026 with one of each: settings, messages, a table, a reader, a command, a decision."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
from msgspec import Meta, Struct

from arthexis import (
    Authorization,
    Command,
    Config,
    DataTransfer,
    Job,
    Prepared,
    Reject,
    Route,
    Subscriber,
    Tables,
    UtcDateTime,
    hookimpl,
)

metadata = sa.MetaData()
asked = sa.Table(
    "frozen_asked",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
KEEP = Prepared(
    lambda insert: insert(asked).values(
        station=sa.bindparam("station"), kind=sa.bindparam("kind"), at=sa.bindparam("at")
    )
)
opened, connected = [], []


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    price: Annotated[float, Meta(description="Price of a kWh", ge=0)] = 0.31
    guest: Annotated[str, Meta(description="The tag that may always charge")] = "GUEST"


class Question(Struct):
    kind: str


class Count(Struct):
    asked: int
    stations: list[str]


@hookimpl
def register_config():
    yield Config(Settings)


@hookimpl
def register_tables():
    yield Tables(metadata, "arthexis_frozen:migrations")


async def price(station, data, ctx):
    at = datetime.now(UTC)
    await ctx.journal.write(lambda db: db.run(KEEP, station=station.id, kind="price", at=at))
    return {"pricePerKwh": ctx.config.price, "asked_by": station.id}


async def question(station, data):
    if data.kind == "secret":
        raise Reject("not told")
    return f"{station.id} asks about {data.kind}"


async def anything(station, data):
    return None


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.frozen", "GetPrice", price)
    yield DataTransfer("com.frozen", "Ask", question, data=Question)
    yield DataTransfer("com.frozen", None, anything)


async def booted(event, ctx):
    await ctx.journal.write(lambda db: db.run(KEEP, station=event.station, kind=event.kind, at=event.at))


@hookimpl
def register_subscribers():
    yield Subscriber("frozen.boots", frozenset({"station.booted"}), booted)


async def count(request):
    def read(db):
        return db.core.execute(sa.select(sa.func.count()).select_from(asked)).scalar_one()

    return Count(await request.host.database.read(read), connected)


@hookimpl
def register_routes():
    yield Route("GET", "/frozen/asked", count, "viewer", "How often something was asked", answer=Count)


@hookimpl
def register_commands():
    yield Command("frozen", "arthexis_frozen.commands:frozen", "Say what so much energy costs")


async def tidy(ctx, args):
    ctx.log.info("tidied")


@hookimpl
def register_jobs():
    yield Job("frozen.tidy", tidy)


@hookimpl
async def decide_authorization(station, id_tag):
    return Authorization("Accepted") if opened and id_tag == opened[-1].guest else None


@hookimpl
async def on_connected(station):
    connected.append(station.id)


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    opened.append(ctx.config)
    yield
    opened.remove(ctx.config)
