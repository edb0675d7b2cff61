"""Raise an error that cannot be shown in any way."""

from arthexis import hookimpl


class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit("never read me")

    __repr__ = __str__


@hookimpl
async def on_booted(event):
    raise Unspeakable
