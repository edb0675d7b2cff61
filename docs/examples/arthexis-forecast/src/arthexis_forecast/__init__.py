"""Tell stations with solar panels what to expect tomorrow."""

from datetime import timedelta

from msgspec import Struct

from arthexis import DataTransfer, Reject, hookimpl


class Hour(Struct, rename="camel"):
    at_hour: int
    sun_watts: int


async def tomorrow(station, data, ctx):
    day = ctx.clock.now() + timedelta(days=1)
    if day.month in (12, 1):
        raise Reject({"reason": "no sun", "month": day.month})
    return [Hour(at_hour=10, sun_watts=1800), Hour(at_hour=14, sun_watts=3200)]


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.sunbox", "GetForecast", tomorrow)
