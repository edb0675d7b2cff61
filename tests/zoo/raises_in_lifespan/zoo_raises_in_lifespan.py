"""Fail to start."""

from contextlib import asynccontextmanager

from arthexis import hookimpl


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    raise ConnectionError("no such reader")
    yield
