"""Yield something of another kind."""

from arthexis import hookimpl


@hookimpl
def register_actions():
    yield "Heartbeat"
