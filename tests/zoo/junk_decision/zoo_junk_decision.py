"""Decide something that is no decision."""

from arthexis import hookimpl


@hookimpl
async def decide_boot(station, boot):
    return "Accepted"
