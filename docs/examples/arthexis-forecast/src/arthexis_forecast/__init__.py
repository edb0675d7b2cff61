"""Tell stations with solar panels what to expect."""

from msgspec import Struct

from arthexis import DataTransfer, Reject, hookimpl


class Hour(Struct, rename="camel"):
    hour: int
    sun_watts: int


async def forecast(station, data):
    if data != "tomorrow":
        raise Reject({"known": ["tomorrow"], "asked": data})
    return [Hour(hour=10, sun_watts=1800), Hour(hour=14, sun_watts=3200)]


async def capacity(station, data):
    return {"station": station.id, "kWp": 9.8}


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.sunbox", "GetForecast", forecast)
    yield DataTransfer("com.sunbox", "GetCapacity", capacity)
