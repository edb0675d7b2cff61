"""Misspell a hook."""

from arthexis import hookimpl


@hookimpl
async def on_transaction_strated(event):
    pass
