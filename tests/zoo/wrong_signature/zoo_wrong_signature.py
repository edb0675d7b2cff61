"""Ask for an argument that the hook does not have."""

from arthexis import hookimpl


@hookimpl
async def decide_boot(station, weather):
    return None
