"""Hang, and swallow every cancellation."""

import asyncio

from arthexis import hookimpl


@hookimpl
async def on_transaction_started(event):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
