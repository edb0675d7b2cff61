"""Fail five times, and work ever after."""

from arthexis import hookimpl

told = 0


@hookimpl
async def on_message(event):
    global told
    told += 1
    if told <= 5:
        raise ConnectionError("not yet")
