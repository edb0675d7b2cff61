"""Stations get the forecast as JSON, and a refusal with a reason in winter."""

from datetime import UTC, datetime

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-forecast:forecast")
ASK = {"vendorId": "com.sunbox", "messageId": "GetForecast"}


async def test_the_forecast_is_json_text(host, clock):
    clock.set(datetime(2026, 6, 1, tzinfo=UTC))
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        answer = await station.result("DataTransfer", ASK)
    hours = '[{"atHour":10,"sunWatts":1800},{"atHour":14,"sunWatts":3200}]'
    assert answer == {"status": "Accepted", "data": hours}


async def test_there_is_none_in_winter(host, clock):
    clock.set(datetime(2026, 12, 1, tzinfo=UTC))
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        answer = await station.result("DataTransfer", ASK)
    assert answer == {"status": "Rejected", "data": '{"reason":"no sun","month":12}'}
