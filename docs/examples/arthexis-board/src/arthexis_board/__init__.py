"""Tell a display in the hall, over TCP, what each connector does. While the display is away the plugin waits for it."""

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta, Struct

from arthexis import Config, Unavailable, hookimpl

display = []


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    host: Annotated[str, Meta(description="Address of the display")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Its TCP port", ge=1, le=65535)] = 7817


@hookimpl
def register_config():
    yield Config(Settings)


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    where = ctx.config.host, ctx.config.port
    try:
        _, writer = await asyncio.open_connection(*where)
    except OSError as problem:
        raise Unavailable(f"no display at {where[0]}:{where[1]}: {problem}", cure="Switch it on") from None
    display.append(writer)
    yield
    display.clear()
    writer.close()


@hookimpl
async def on_status_changed(event):
    for writer in display:
        writer.write(f"{event.station} {event.data['connector']} {event.data['status']}\n".encode())
        await writer.drain()
