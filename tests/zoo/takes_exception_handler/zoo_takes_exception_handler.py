"""Put another exception handler in the place of the loop's."""

import asyncio
from contextlib import asynccontextmanager

from arthexis import hookimpl


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    yield
