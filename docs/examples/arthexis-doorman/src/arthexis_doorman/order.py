"""Reserve the highest connector that is free: it is the one nearest to the door."""

from arthexis import hookimpl


@hookimpl
async def decide_connector(station, id_tag, free):
    return max(free)
