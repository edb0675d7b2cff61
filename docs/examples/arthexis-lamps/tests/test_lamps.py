"""Lamps beside charge points, on the same node."""

import asyncio

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-lamps:lamps")


async def test_a_lamp_tells_and_is_told(host):
    async with wire(host.station_url("LAMP-1"), protocols=["lamp1.0"]) as lamp:
        assert lamp.protocol == "lamp1.0"
        assert list(await lamp.result("Glow", {"lumen": 900})) == ["seenAt"]
        assert await lamp.error("Glow", {"lumen": "bright"}) == "BadValue"
        assert await lamp.error("BootNotification", {}) == "NotALamp"
        asked = asyncio.create_task(
            host.ask("operations.send", station="LAMP-1", action="Dim", payload={"percent": 30}, wait=5)
        )
        frame = await lamp.hear()
        assert frame[2:] == ["Dim", {"percent": 30}]
        await lamp.say([3, frame[1], {"status": "Accepted"}])
        assert (await asked)["state"] == "Accepted"


async def test_charge_points_are_served_as_ever(host):
    async with wire(host.station_url("CP-1")) as station:
        assert station.protocol == "ocpp1.6"
        assert (await station.boot())["status"] == "Accepted"
