"""Answer a vendor's message with something that is no answer."""

from arthexis import DataTransfer, hookimpl


async def junk(station, data):
    return object()


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.zoo", "Junk", junk)
