"""Forget the context manager around a lifespan."""

from arthexis import hookimpl


@hookimpl
async def lifespan(ctx):
    yield
