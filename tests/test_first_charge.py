"""The story of the README: a charge point boots, charges a car, and everything it said is there."""

from __future__ import annotations

import pytest

from arthexis.testing import Node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
METER = {"meterValue": [{"timestamp": "2026-11-24T10:01:00Z", "sampledValue": [{"value": "150"}]}]}


async def test_a_station_charges_a_car(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Accepted"
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-11-24T10:00:00Z"}
        started = await cp.result("StartTransaction", start)
        assert started["idTagInfo"] == {"status": "Accepted"}
        number = started["transactionId"]
        assert await cp.result("MeterValues", {"connectorId": 1, "transactionId": number, **METER}) == {}
        stop = {"transactionId": number, "meterStop": 350, "timestamp": "2026-11-24T11:00:00Z", "reason": "Local"}
        assert await cp.result("StopTransaction", stop) == {}
    shown = await host.ask("transactions.show", transaction=number)
    assert (shown["station"], shown["energy_wh"], shown["stop_reason"], shown["open"]) == ("CP-1", 250, "Local", False)
    assert [reading["samples"] for reading in shown["meter_values"]] == [[{"value": "150"}]]
