"""Keep the event loop from turning for a while, at every boot."""

import time

from arthexis import hookimpl


@hookimpl
async def on_booted(event):
    time.sleep(1.3)
