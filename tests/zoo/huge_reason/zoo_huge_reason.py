"""Be unavailable for a reason of many megabytes and lines."""

from contextlib import asynccontextmanager

from arthexis import Unavailable, hookimpl


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    raise Unavailable("why\n" * 10_000_000, cure="because\n" * 1_000_000)
    yield
