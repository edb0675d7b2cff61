"""Forget to yield."""

from arthexis import hookimpl


@hookimpl
def register_routes():
    return None
