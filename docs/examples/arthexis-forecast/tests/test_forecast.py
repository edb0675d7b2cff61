"""What stations get is JSON, also where it is refused."""

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-forecast:forecast")
HOURS = '[{"hour":10,"sunWatts":1800},{"hour":14,"sunWatts":3200}]'


@pytest.mark.parametrize(
    ("message", "data", "answer"),
    [
        ("GetForecast", "tomorrow", {"status": "Accepted", "data": HOURS}),
        ("GetForecast", "today", {"status": "Rejected", "data": '{"known":["tomorrow"],"asked":"today"}'}),
        ("GetCapacity", "", {"status": "Accepted", "data": '{"station":"CP-1","kWp":9.8}'}),
    ],
)
async def test_answers_are_json_text(host, message, data, answer):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        asked = {"vendorId": "com.sunbox", "messageId": message, "data": data}
        assert await station.result("DataTransfer", asked) == answer
