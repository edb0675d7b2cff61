"""Offer an action without a handler."""

from arthexis import Action, hookimpl


@hookimpl
def register_actions():
    yield Action("Heartbeat", None)
