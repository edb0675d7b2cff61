"""Reservations ahead of time, over real sockets: sent near their start, given up before and after, across a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from arthexis_simulator import Station
from arthexis_simulator import station as simulated

from arthexis import format_utc
from arthexis.testing import Node, Wire, node, wire

ALL = "arthexis-ocpp16:*"
SOON = {"plugins": {"ocpp16": {"plan_reservations": {"lead_s": 1}}}}
pytestmark = [pytest.mark.plugins(ALL), pytest.mark.node(config=SOON)]


async def asked(host: Node, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """Status and answer of a route."""
    async with ClientSession() as web, web.request(method, f"{host.url}/api/v1{path}", json=body) as response:
        return response.status, await response.json()


def moment(host: Node, seconds: float) -> str:
    """So many seconds from now."""
    return format_utc(host.host.clock.now() + timedelta(seconds=seconds))


async def reserve(host: Node, start_s: float = 0, end_s: float = 3600, **others: Any) -> tuple[int, dict[str, Any]]:
    """Ask for a reservation of CP-1."""
    times = {"starts_at": moment(host, start_s), "expires_at": moment(host, end_s)}
    return await asked(host, "POST", "/reservations", {"station": "CP-1", "id_tag": "TAG", **times, **others})


async def reached(host: Node, number: int, state: str, timeout_s: float = 15) -> dict[str, Any]:
    """Wait until a reservation is in this state; its record."""
    async with asyncio.timeout(timeout_s):
        while (row := await host.ask("reservations.show", reservation=number))["state"] != state:
            await asyncio.sleep(0.02)
    return dict(row)


async def ready(station: Station) -> None:
    """Boot and report."""
    await station.boot()
    for number in station.connectors:
        await station.status(number, "Available")


async def test_it_is_sent_near_its_start_and_used_by_its_tag(host: Node, station: Station) -> None:
    await ready(station)
    _, row = await reserve(host, 2.5)
    assert (row["state"], row["connector"]) == ("requested", 1)
    await asyncio.sleep(0.5)
    assert station.connectors[1].reservation is None
    await reached(host, row["id"], "active")
    await station.start(id_tag="TAG")
    await reached(host, row["id"], "used")


async def test_one_that_was_not_sent_is_given_up_at_once_without_a_call_and_blocks_nothing(
    host: Node, station: Station
) -> None:
    await ready(station)
    _, row = await reserve(host, 3600, 7200)
    assert (await reserve(host, 3700, 7300, connector=1))[0] == 409
    status, given_up = await asked(host, "POST", f"/reservations/{row['id']}/cancel", {})
    assert (status, given_up["state"]) == (200, "cancelled")
    assert (await reserve(host, 3700, 7300, connector=1))[0] == 201
    assert [frame for frame in station.log if frame.direction == "<" and frame.message[0] == 2] == []


async def test_one_that_the_station_keeps_is_given_up_there(host: Node, station: Station) -> None:
    await ready(station)
    _, row = await reserve(host)
    await reached(host, row["id"], "active")
    status, given_up = await asked(host, "POST", f"/reservations/{row['id']}/cancel", {})
    assert (status, given_up["state"]) == (200, "cancelled")
    assert station.connectors[1].reservation is None
    assert (await asked(host, "POST", f"/reservations/{row['id']}/cancel", {}))[0] == 200


async def test_one_that_is_over_cannot_be_given_up(host: Node, station: Station) -> None:
    await ready(station)
    station.answer("ReserveNow", {"status": "Rejected"})
    _, row = await reserve(host)
    await reached(host, row["id"], "rejected")
    status, problem = await asked(host, "POST", f"/reservations/{row['id']}/cancel", {})
    assert status == 409
    assert "rejected" in problem["detail"]


async def test_one_that_is_given_up_while_the_station_is_asked_is_let_go_by_the_station(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await booted(cp)
        _, row = await reserve(host)
        frame = await cp.hear()
        assert (await asked(host, "POST", f"/reservations/{row['id']}/cancel", {}))[1]["state"] == "cancelled"
        await cp.say([3, frame[1], {"status": "Accepted"}])
        undone = await cp.hear()
        assert undone[2:] == ["CancelReservation", {"reservationId": row["id"]}]
        await cp.say([3, undone[1], {"status": "Accepted"}])


async def booted(cp: Wire) -> None:
    """Boot and report connector 1."""
    await cp.boot()
    await cp.result("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})


async def test_a_connector_that_is_busy_before_the_start_is_asked_for_again(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await booted(cp)
        _, row = await reserve(host, 1.5)
        frame = await cp.hear()
        await cp.say([3, frame[1], {"status": "Occupied"}])
        again = await cp.hear()
        assert again[3] == frame[3]
        await cp.say([3, again[1], {"status": "Accepted"}])
        await reached(host, row["id"], "accepted")


async def test_one_of_a_station_that_stays_away_expires(host: Node) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    _, row = await reserve(host, 0, 0.5, connector=1)
    await reached(host, row["id"], "expired")
    assert (await reserve(host, 0, 60, connector=1))[0] == 201


async def test_a_station_that_is_away_at_the_start_is_asked_when_it_comes(tmp_path: Path) -> None:
    async with node(tmp_path / "node", plugins=[ALL], config=SOON) as host:
        await host.ask("stations.add", station="CP-1", no_key=True)
        _, row = await reserve(host, connector=1)
        await asyncio.sleep(0.3)
    async with node(tmp_path / "node", plugins=[ALL], config=SOON) as host:
        async with simulated(host.url, "CP-1") as station:
            await ready(station)
            await reached(host, row["id"], "active")


async def test_another_card_of_the_same_parent_uses_it(host: Node) -> None:
    await host.ask("tags.add", id_tag="TAG", parent_id_tag="FAMILY")
    await host.ask("tags.add", id_tag="OTHER", parent_id_tag="family")
    await host.ask("tags.add", id_tag="FAMILY")
    async with wire(host.station_url("CP-2")) as cp:
        await booted(cp)
        times = {"starts_at": moment(host, 0), "expires_at": moment(host, 3600)}
        _, row = await asked(host, "POST", "/reservations", {"station": "CP-2", "id_tag": "TAG", **times})
        frame = await cp.hear()
        assert frame[3]["parentIdTag"] == "FAMILY"
        await cp.say([3, frame[1], {"status": "Accepted"}])
        await reached(host, row["id"], "accepted")
        start = {"connectorId": 1, "meterStart": 0, "timestamp": moment(host, 0)}
        await cp.result("StartTransaction", {**start, "idTag": "FAMILY"})
        assert (await host.ask("reservations.show", reservation=row["id"]))["state"] == "accepted"
        await cp.result("StartTransaction", {**start, "idTag": "OTHER", "meterStart": 1})
        assert (await host.ask("reservations.show", reservation=row["id"]))["state"] == "used"
