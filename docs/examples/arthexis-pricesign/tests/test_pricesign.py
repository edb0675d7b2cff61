"""The sign shows what the service says, whoever offers it."""

import pytest

from arthexis.testing import wire

OURS = ("arthexis-ocpp16:*", "arthexis-pricesign:pricesign")


async def sign(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        return await station.result("DataTransfer", {"vendorId": "org.example", "messageId": "GetSign"})


@pytest.mark.plugins(*OURS, "arthexis-flattariff:flattariff")
async def test_the_price_is_shown(host):
    assert await sign(host) == {"status": "Accepted", "data": "0.31 EUR/kWh"}


@pytest.mark.plugins(*OURS)
async def test_nobody_knows_one(host):
    assert await sign(host) == {"status": "Rejected", "data": "no price is known"}
