"""Never decide."""

import asyncio

from arthexis import hookimpl


@hookimpl
async def decide_boot(station, boot):
    await asyncio.sleep(3600)
