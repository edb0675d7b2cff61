"""Tell stations with a display what to show as the price, if anybody knows one."""

from arthexis_tariffs import Tariffs

from arthexis import DataTransfer, Reject, hookimpl


async def sign(station, data, ctx):
    tariffs = ctx.host.service(Tariffs)
    if tariffs is None:
        raise Reject("no price is known")
    return f"{tariffs.per_kwh(station.id)} EUR/kWh"


@hookimpl
def register_data_transfers():
    yield DataTransfer("org.example", "GetSign", sign)
