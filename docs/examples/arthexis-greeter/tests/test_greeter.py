"""Stations are greeted, over a real socket."""

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-greeter:greeter")


async def test_a_station_is_greeted(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        hello = {"vendorId": "org.example", "messageId": "Hello", "data": "Acme"}
        assert await station.result("DataTransfer", hello) == {"status": "Accepted", "data": "Hello Acme, you are CP-1"}
        assert (await station.result("DataTransfer", {**hello, "messageId": "Bye"}))["status"] == "UnknownMessageId"
