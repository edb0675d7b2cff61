"""MeterValues: everything a meter says, once, by the station's time, whatever transaction it names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from arthexis_ocpp16.testing import LATER, meter, reading, start, status, stop

from arthexis.charging import meter_values
from arthexis.testing import Node, Wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
Play = Callable[..., AbstractAsyncContextManager[Wire]]
Run = Callable[..., AbstractAsyncContextManager[Node]]


async def begun(cp: Wire, **members: Any) -> int:
    return int((await cp.result("StartTransaction", start(**members)))["transactionId"])


async def of_station(host: Node, row: int = 1) -> list[dict[str, Any]]:
    """Every reading of a station, the oldest first."""
    found = await host.host.database.read(lambda db: meter_values.of_connector(db, row, 1000))
    return found[::-1]


async def test_every_sample_is_kept_with_all_that_it_says(host: Node, cp: Wire) -> None:
    """Rule 13: measurand, phase, unit, location, context, format; several of each in one reading."""
    samples = [
        {
            "value": "1234.5",
            "context": "Sample.Clock",
            "format": "Raw",
            "measurand": "Energy.Active.Import.Register",
            "phase": "L1-N",
            "location": "Inlet",
            "unit": "kWh",
        },
        {"value": "49.98", "measurand": "Frequency"},
        {"value": "21", "measurand": "Temperature", "unit": "Celcius", "location": "Body"},
        {"value": "21", "measurand": "Temperature", "unit": "Celsius", "location": "Cable"},
        {"value": "230.1", "measurand": "Voltage", "unit": "V", "phase": "L2-L3", "context": "Trigger"},
        {"value": "80", "measurand": "SoC", "unit": "Percent", "location": "EV"},
    ]
    number = await begun(cp)
    assert await cp.result("MeterValues", meter(*samples, transactionId=number)) == {}
    kept = await host.ask("transactions.show", transaction=number)
    assert [r["samples"] for r in kept["meter_values"]] == [samples]
    assert kept["meter_values"][0]["repairs"] == []


@pytest.mark.parametrize("before", ["", " ", "\r\n\t "])
@pytest.mark.parametrize("inside", ["", " ", "\n  "])
async def test_white_space_in_a_frame_changes_no_sample(host: Node, cp: Wire, before: str, inside: str) -> None:
    number = await begun(cp)
    one = f'{{"timestamp":"{LATER}","sampledValue":[{inside}{{"value":"1500"}}{inside}]{inside}}}'
    payload = f'{{"connectorId":1,"transactionId":{number},"meterValue":[{inside}{one}{inside}]{inside}}}'
    await cp.say(f'{before}[{inside}2,"w","MeterValues",{inside}{payload}{inside}]{before}')
    assert await cp.hear() == [3, "w", {}]
    kept = await host.ask("transactions.show", transaction=number)
    assert [r["samples"] for r in kept["meter_values"]] == [[{"value": "1500"}]]


async def test_values_sent_again_count_once(host: Node, cp: Wire) -> None:
    """Fault 4."""
    number = await begun(cp)
    for _ in range(3):
        await cp.result("MeterValues", meter("1", "2", transactionId=number))
    await host.settle()
    assert len(await of_station(host)) == 1
    assert len(await host.events("transaction.metered")) == 1


async def test_values_of_no_transaction_are_kept_by_connector(host: Node, cp: Wire) -> None:
    """Fault 7, rule 13: connector 0 is the main meter; nothing opens a transaction (defect 14)."""
    await cp.result("MeterValues", meter("1", connectorId=0))
    await cp.result("MeterValues", meter("2", connectorId=2))
    await cp.result("MeterValues", meter("3", transactionId=4711))
    kept = await of_station(host)
    assert [(r["connector"], r["transaction_id"], r["claimed_id"]) for r in kept] == [
        (0, 0, None),
        (2, 0, None),
        (1, 0, 4711),
    ]
    assert await host.ask("transactions.list") == []


@pytest.mark.parametrize("nothing", [0, -1, None, ""])
async def test_values_that_name_no_transaction_belong_to_the_one_on_their_connector(
    host: Node, cp: Wire, nothing: object
) -> None:
    """Q34."""
    number = await begun(cp)
    await begun(cp, connectorId=2, idTag="B")
    await cp.result("MeterValues", meter("1", transactionId=nothing))
    shown = await host.ask("transactions.show", transaction=number)
    assert len(shown["meter_values"]) == 1


async def test_late_values_belong_to_the_closed_transaction_and_do_not_revive_it(host: Node, cp: Wire) -> None:
    """Fault 8, Q39."""
    number = await begun(cp)
    await cp.result("StopTransaction", stop(number))
    before = await host.ask("transactions.show", transaction=number)
    await cp.result("MeterValues", meter("7000", at="2026-11-24T10:59:00Z", transactionId=number))
    after = await host.ask("transactions.show", transaction=number)
    assert [r["samples"] for r in after["meter_values"]] == [[{"value": "7000"}]]
    assert {**after, "meter_values": []} == {**before, "meter_values": []}


async def test_any_order_ends_in_the_same_state(run: Run) -> None:
    """Fault 8: readings and statuses are put in order by the station's time, whenever they come."""
    from arthexis.testing import wire

    ends = []
    readings = [meter(str(n), at=f"2026-11-24T10:1{n}:00Z") for n in range(3)]
    statuses = [status(said, timestamp=f"2026-11-24T10:0{n}:00Z") for n, said in enumerate(("Preparing", "Charging"))]
    async with run() as host:
        orders = list(
            itertools.permutations(
                [("MeterValues", m) for m in readings] + [("StatusNotification", s) for s in statuses]
            )
        )
        for place, order in enumerate(orders[::17]):
            async with wire(host.station_url(f"CP-{place}")) as cp:
                number = await begun(cp, idTag=f"T{place}")
                for action, payload in order:
                    extra = {"transactionId": number} if action == "MeterValues" else {}
                    await cp.result(action, {**payload, **extra})
            shown = await host.ask("transactions.show", transaction=number)
            now = await host.ask("stations.show", station=f"CP-{place}")
            values = [r["samples"][0]["value"] for r in shown["meter_values"]]
            ends.append((values, [c["status"] for c in now["connectors"]]))
    assert len(ends) > 5
    assert all(end == (["0", "1", "2"], ["Charging"]) for end in ends)


@pytest.mark.parametrize("size", [5_000, 60_000, 900_000])
async def test_signed_values_are_kept_verbatim_at_any_length(host: Node, cp: Wire, size: int) -> None:
    signed = ('OCMF|{"FV":"1.0","RD":[{"RV":123.456}]}|{"SD":"' + "3045ABCDEF" * (size // 10))[:size]
    sample = {"value": signed, "format": "SignedData", "context": "Transaction.End"}
    number = await begun(cp)
    assert await cp.result("MeterValues", meter(sample, transactionId=number)) == {}
    await cp.result(
        "StopTransaction", stop(number, transactionData=[reading({**sample, "value": "END" + signed}, at=LATER)])
    )
    shown = await host.ask("transactions.show", transaction=number)
    assert [r["samples"][0]["value"] for r in shown["meter_values"]] == [signed, "END" + signed]


async def test_a_signed_value_in_a_frame_that_has_to_be_mended_is_verbatim_too(host: Node, cp: Wire) -> None:
    signed = "OCMF|" + '\\"A\u00e9\u20ac' * 4000
    number = await begun(cp)
    sample = {"value": signed, "format": "signedData", "vendorExtra": 1}
    await cp.result("MeterValues", meter(sample, transactionId=str(number)))
    shown = await host.ask("transactions.show", transaction=number)
    assert shown["meter_values"][0]["samples"] == [{"value": signed, "format": "SignedData"}]


async def test_a_unit_that_is_none_is_kept_as_it_was_sent(host: Node, cp: Wire) -> None:
    """Nobody may take 16,000 mA for 16,000 Wh because the unit was dropped."""
    number = await begun(cp)
    await cp.result(
        "MeterValues", meter({"value": "16000", "unit": "mA"}, {"value": "50", "unit": "Hz"}, transactionId=number)
    )
    (kept,) = (await host.ask("transactions.show", transaction=number))["meter_values"]
    assert kept["samples"] == [{"value": "16000", "unit": "mA"}, {"value": "50", "unit": "Hertz"}]
    assert len(kept["repairs"]) == 2


async def test_a_long_backlog_is_taken_in_order(host: Node, cp: Wire) -> None:
    """Q40: a year of readings at the first connection."""
    backlog = [reading(str(n), at=f"2025-{1 + n // 28:02}-{1 + n % 28:02}T00:00:00Z") for n in range(300)]
    assert await cp.result("MeterValues", {"connectorId": 1, "meterValue": backlog}) == {}
    assert [r["samples"][0]["value"] for r in await of_station(host)] == [str(n) for n in range(300)]
