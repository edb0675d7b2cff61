"""Hold something that does not want to be asked what it is, and a function that wraps itself."""

from arthexis import hookimpl


class Liar:
    @property
    def __class__(self):
        raise RuntimeError("ask me not what I am")


liar = Liar()


@hookimpl
async def on_booted(event):
    pass


on_booted.__wrapped__ = on_booted
