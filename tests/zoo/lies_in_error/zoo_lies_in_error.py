"""Raise an error that does not want to be asked what it is."""

from arthexis import hookimpl


class Liar(Exception):
    @property
    def __class__(self):
        raise RuntimeError("ask me not what I am")


@hookimpl
async def on_booted(event):
    raise Liar("and why")
