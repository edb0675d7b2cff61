"""Telemetry of Sunbox chargers is kept once, and shown."""

import pytest
from aiohttp import ClientSession

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-sunbox:sunbox")


async def tell(station, data):
    return await station.result("DataTransfer", {"vendorId": "com.sunbox", "messageId": "Telemetry", "data": data})


async def test_what_a_charger_tells_is_kept_once_and_shown(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot(vendor="Sunbox")
        for data in ('{"number": 1, "celsius": 41.5, "fanRpm": 900}', '{"number": 2, "celsius": 43}'):
            assert await tell(station, data) == {"status": "Accepted"}
        again = await tell(station, '{"number": 2, "celsius": 43}')
        assert again == {"status": "Accepted"}, "stations send again what they do not know to be stored"
    async with ClientSession() as web:
        shown = await (await web.get(f"{host.url}/api/v1/sunbox/telemetry/cp-1")).json()
        nobody = await (await web.get(f"{host.url}/api/v1/sunbox/telemetry/CP-2")).json()
    assert [(row["station"], row["number"], row["celsius"], row["fan_rpm"]) for row in shown] == [
        ("CP-1", 2, 43.0, None),
        ("CP-1", 1, 41.5, 900),
    ]
    assert nobody == []


async def test_a_sample_that_cannot_be_is_rejected(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot(vendor="Sunbox")
        assert (await tell(station, '{"number": 1, "celsius": 4000}'))["status"] == "Rejected"
