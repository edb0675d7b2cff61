"""Keep the event loop from turning at every boot, until somebody says so."""

import logging
import threading

from arthexis import hookimpl

named = threading.Event()


class Ear(logging.Handler):
    def emit(self, record):
        named.set()


logging.getLogger("arthexis.watchdog").addHandler(Ear())


@hookimpl
async def on_booted(event):
    named.wait(20)
