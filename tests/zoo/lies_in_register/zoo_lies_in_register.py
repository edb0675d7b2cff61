"""Yield something that does not want to be asked what it is."""

from arthexis import hookimpl


class Liar:
    @property
    def __class__(self):
        raise RuntimeError("ask me not what I am")


@hookimpl
def register_jobs():
    yield Liar()
