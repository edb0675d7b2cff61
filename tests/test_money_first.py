"""However a station writes them, starts, stops and meter values are answered in repair mode, and their numbers kept."""

from __future__ import annotations

from typing import Any

import pytest

from arthexis.testing import Node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-11-24T10:00:00Z"}


@pytest.mark.parametrize(
    "name",
    ["STARTTRANSACTION", "start_transaction", " StartTransaction ", "StartTransactionRequest", "StartTransaction.req"],
)
async def test_a_start_is_known_by_its_letters(host: Node, name: str) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        assert (await cp.result(name, START))["transactionId"] == 1
    await host.settle()
    [row] = [row for row in await host.ask("messages.list") if row["action"] == name]
    assert any("read as StartTransaction" in repair for repair in row["repairs"])


@pytest.mark.parametrize("name", ["heartbeat", "Start", "StartTransactions", "authorize"])
async def test_other_names_stay_unknown(host: Node, name: str) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        assert await cp.error(name, START) == "NotImplemented"


@pytest.mark.node(strict=True)
async def test_strict_stations_write_it_right(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        assert await cp.error("startTransaction", START) == "NotImplemented"


@pytest.mark.parametrize("depth", [50, 500, 1100, 5000])
async def test_what_is_nested_too_deeply_is_left_out(host: Node, depth: int) -> None:
    deep = '"x":' + "[" * depth + "]" * depth
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        number = (await cp.result("StartTransaction", START))["transactionId"]
        stop = f'"meterStop":350,"timestamp":"2026-11-24T11:00:00Z","transactionId":{number}'
        await cp.say(f'[2,"deep","StopTransaction",{{{deep},{stop}}}]')
        assert (await cp.hear())[:2] == [3, "deep"]
    assert (await host.ask("transactions.show", transaction=number))["energy_wh"] == 250


async def test_comments_are_left_out(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        text = '"connectorId":3,/* the tag */"idTag":"TAG","meterStart":7,"timestamp":"2026-11-24T10:00:00Z"'
        await cp.say(f'[2,"c","StartTransaction",/*x*/{{{text}}}]')
        assert (await cp.hear())[2]["transactionId"] == 1
    [row] = await host.ask("transactions.list")
    assert (row["connector"], row["id_tag"], row["meter_start_wh"]) == (3, "TAG", 7)


async def status_of(host: Node, connector: int) -> Any:
    shown = await host.ask("stations.show", station="CP-1")
    return {row["number"]: row["status"] for row in shown["connectors"]}.get(connector)


async def test_a_connector_below_zero_is_not_the_station(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for connector, status in ((0, "Available"), (-1, "Faulted")):
            told = {"connectorId": connector, "errorCode": "NoError", "status": status}
            await cp.result("StatusNotification", told)
        assert await status_of(host, 0) == "Available"
        assert await status_of(host, -1) == "Faulted"
