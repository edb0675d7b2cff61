"""Never finish starting, and swallow its cancellation."""

import asyncio
from contextlib import asynccontextmanager

from arthexis import hookimpl


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    for _ in range(3):
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            pass
    yield
