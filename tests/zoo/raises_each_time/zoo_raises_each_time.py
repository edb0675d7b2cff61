"""Fail at every message that it is told of."""

from arthexis import hookimpl


@hookimpl
async def on_message(event):
    raise ConnectionError("the line is dead")
