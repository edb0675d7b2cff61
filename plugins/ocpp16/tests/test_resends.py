"""What comes again, hours later and after a restart of either side, is what it was the first time."""

from __future__ import annotations

import pytest
from arthexis_ocpp16.testing import LATER, meter, start, stop

from arthexis.testing import Node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


@pytest.mark.parametrize("number", [None, 0, -1])
async def test_meter_values_without_a_number_belong_to_the_transaction_of_their_time(
    host: Node, number: int | None
) -> None:
    values = meter("1500", at="2026-11-24T10:30:00Z", **({} if number is None else {"transactionId": number}))
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        first = (await cp.result("StartTransaction", start()))["transactionId"]
        await cp.result("MeterValues", values, "m1")
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.result("StopTransaction", stop(first))
        await cp.result("MeterValues", values, "m2")
        second = (await cp.result("StartTransaction", start(timestamp=LATER)))["transactionId"]
        await cp.result("MeterValues", values, "m3")
    shown = [await host.ask("transactions.show", transaction=n) for n in (first, second)]
    assert [len(one["meter_values"]) for one in shown] == [1, 0]


async def test_an_old_stop_sent_again_closes_nothing_that_got_its_number_meanwhile(host: Node) -> None:
    old = stop(3, meterStop=500, timestamp="2026-11-23T10:00:00Z")
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.result("StopTransaction", old)
        for connector in (1, 2):
            told = await cp.result("StartTransaction", start(connectorId=connector, idTag=f"T{connector}"))
        assert told["transactionId"] == 3
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.result("StopTransaction", old)
    assert (await host.ask("transactions.show", transaction=3))["open"]
