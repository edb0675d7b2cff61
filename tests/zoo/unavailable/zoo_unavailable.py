"""Miss its hardware."""

from contextlib import asynccontextmanager

from arthexis import Unavailable, hookimpl


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    raise Unavailable("no reader on /dev/zoo0", cure="Plug one in")
    yield
