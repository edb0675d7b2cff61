"""Refuse the connections of stations that are being worked on."""

from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta, Struct

from arthexis import Admission, Config, hookimpl

closed = set()


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    closed: Annotated[list[str], Meta(description="Stations that may not connect")] = []


@hookimpl
def register_config():
    yield Config(Settings)


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    closed.update(identity.lower() for identity in ctx.config.closed)
    yield
    closed.clear()


@hookimpl
async def decide_connection(request):
    if request.station_id.lower() in closed:
        return Admission(False, "it is being worked on")
    return None
