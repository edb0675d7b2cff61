"""Fail at every event, each time a little worse."""

import asyncio

from arthexis import hookimpl


@hookimpl
async def on_booted(event):
    raise SystemExit(3)


@hookimpl
async def on_transaction_started(event):
    raise asyncio.CancelledError
