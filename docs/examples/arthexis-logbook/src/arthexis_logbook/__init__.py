"""A notifier: write notifications into a file, a line each."""

import asyncio
from pathlib import Path

from arthexis import Notifier, Unavailable, format_utc, hookimpl


async def write(notification, ctx):
    line = f"{format_utc(notification.at)} {notification.priority}: {notification.title} {notification.text}\n"
    try:
        await asyncio.to_thread(append, Path(ctx.host.home) / "logbook.txt", line)
    except OSError as problem:
        raise Unavailable(f"the logbook cannot be written: {problem}") from None


def append(path, line):
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


@hookimpl
def register_notifiers():
    yield Notifier("logbook", write, "The file logbook.txt in the data folder")
