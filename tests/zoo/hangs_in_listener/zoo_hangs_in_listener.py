"""Never finish hearing."""

import asyncio

from arthexis import hookimpl


@hookimpl
async def on_booted(event):
    await asyncio.sleep(3600)
