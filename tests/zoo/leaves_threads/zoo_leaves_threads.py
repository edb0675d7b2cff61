"""Start a thread that never ends and that the interpreter would wait for."""

import threading
import time
from contextlib import asynccontextmanager

from arthexis import hookimpl


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    threading.Thread(target=time.sleep, args=(3600,), name="zoo's own").start()
    yield
