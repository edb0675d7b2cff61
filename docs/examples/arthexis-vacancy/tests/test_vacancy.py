"""Who asks is told, with a token or at the public place."""

import pytest
from aiohttp import ClientSession

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-vacancy:vacancy")


async def test_the_free_ones_are_counted(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        for connector, status in ((1, "Available"), (2, "Charging"), (0, "Available")):
            told = {"connectorId": connector, "status": status, "errorCode": "NoError"}
            await station.result("StatusNotification", told)
    async with ClientSession() as web:
        assert await (await web.get(f"{host.url}/api/v1/vacancy")).json() == {"free": 1, "of": 2}
        assert await (await web.get(f"{host.url}/api/v1/vacancy?station=cp-1")).json() == {"free": 1, "of": 2}
        assert (await web.get(f"{host.url}/api/v1/vacancy?station=CP-2")).status == 404
        assert (await web.get(f"{host.url}/api/v1/vacancy?floor=2")).status == 400


@pytest.mark.node(open_mode=False)
async def test_a_closed_node_wants_a_token_but_for_the_public_one(host):
    async with ClientSession() as web:
        assert (await web.get(f"{host.url}/api/v1/vacancy")).status == 401
        assert await (await web.get(f"{host.url}/vacancy.json")).json() == {"free": 0}
