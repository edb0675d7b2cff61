"""Greet stations that say hello."""

from arthexis import DataTransfer, hookimpl


async def hello(station, data):
    return f"Hello {data or 'there'}, you are {station.id}"


@hookimpl
def register_data_transfers():
    yield DataTransfer("org.example", "Hello", hello)
