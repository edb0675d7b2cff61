"""Raise what Ctrl-C raises, from a hook."""

from arthexis import hookimpl


@hookimpl
async def on_booted(event):
    raise KeyboardInterrupt("enough")
