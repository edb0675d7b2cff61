"""Raise everything at once."""

from arthexis import hookimpl


@hookimpl
async def on_booted(event):
    raise BaseExceptionGroup("all at once", [SystemExit(1), KeyboardInterrupt(), ValueError("and this")])
