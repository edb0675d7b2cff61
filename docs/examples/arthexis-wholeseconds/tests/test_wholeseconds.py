"""Our Heartbeat in the place of the usual one."""

import re

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins(
    "arthexis-ocpp16:ocpp16.protocol", "arthexis-ocpp16:ocpp16.boot_notification", "arthexis-wholeseconds:wholeseconds"
)


async def test_the_time_has_no_fraction(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        told = await station.result("Heartbeat")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["currentTime"])
