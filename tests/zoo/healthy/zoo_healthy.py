"""Do everything right among all the others."""

from arthexis import DataTransfer, hookimpl


async def ping(station, data):
    return {"pong": data}


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.zoo", "Ping", ping)
