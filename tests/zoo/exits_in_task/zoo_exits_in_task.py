"""End the process from a task that the node does not know."""

import asyncio
import sys

from arthexis import hookimpl


async def leave():
    sys.exit("I leave and take you with me")


@hookimpl
async def on_booted(event):
    leaving.append(asyncio.create_task(leave()))


leaving = []
