"""The story of a reservation over a socket: kept, refused to others, used, ended, given up, never blocking for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis import format_utc
from arthexis.errors import DomainError
from arthexis.testing import Node, Wire, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


def until(host: Node, minutes: float = 60) -> str:
    """An expiryDate so many minutes from now."""
    return format_utc(host.host.clock.now() + timedelta(minutes=minutes))


async def ready(cp: Wire, *statuses: str) -> None:
    """Boot and report a status for each connector."""
    await cp.boot()
    for number, status in enumerate(statuses, 1):
        await cp.result("StatusNotification", {"connectorId": number, "errorCode": "NoError", "status": status})


async def asked(host: Node, cp: Wire, action: str, payload: dict[str, Any], status: str) -> tuple[Any, dict[str, Any]]:
    """Send an operation, answer it with this status; the frame and the operation's record."""
    sending = asyncio.create_task(host.ask("operations.send", station="CP-1", action=action, payload=payload, wait=5))
    frame = await cp.hear()
    await cp.say([3, frame[1], {"status": status}])
    return frame, await sending


async def reserved(host: Node, cp: Wire, status: str = "Accepted", **payload: Any) -> tuple[Any, dict[str, Any]]:
    """Reserve for TAG; the frame and the reservation's record."""
    request = {"idTag": "TAG", "expiryDate": until(host), **payload}
    frame, _ = await asked(host, cp, "ReserveNow", request, status)
    return frame, await host.ask("reservations.show", reservation=frame[3]["reservationId"])


async def test_the_best_free_connector_is_chosen_and_the_right_tag_uses_it(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Faulted", "Charging", "Available")
        frame, reservation = await reserved(host, cp)
        assert frame[3]["connectorId"] == 3
        assert list(frame[3]) == ["connectorId", "expiryDate", "idTag", "reservationId"]
        assert reservation["state"] == "accepted"
        await cp.result("StatusNotification", {"connectorId": 3, "errorCode": "NoError", "status": "Reserved"})
        assert (await host.ask("reservations.list"))[0]["state"] == "active"
        start = {"connectorId": 3, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
        number = (await cp.result("StartTransaction", {**start, "reservationId": reservation["id"]}))["transactionId"]
    used = await host.ask("reservations.show", reservation=reservation["id"])
    assert (used["state"], used["transaction_id"]) == ("used", number)


async def test_another_reservation_at_the_same_time_is_refused_until_the_first_is_cancelled(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        _, first = await reserved(host, cp, connectorId=1)
        request = {"idTag": "OTHER", "expiryDate": until(host), "connectorId": 1}
        with pytest.raises(DomainError, match="is reserved"):
            await host.ask("operations.send", station="CP-1", action="ReserveNow", payload=request)
        del request["connectorId"]
        with pytest.raises(DomainError, match="no connector"):
            await host.ask("operations.send", station="CP-1", action="ReserveNow", payload=request)
        await asked(host, cp, "CancelReservation", {"reservationId": first["id"]}, "Accepted")
        _, second = await reserved(host, cp, idTag="OTHER")
    states = {row["id"]: row["state"] for row in await host.ask("reservations.list")}
    assert states == {first["id"]: "cancelled", second["id"]: "accepted"}


@pytest.mark.parametrize("status", ["Occupied", "Faulted", "Unavailable", "Rejected"])
async def test_a_refusal_leaves_no_reservation_open(host: Node, status: str) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        _, reservation = await reserved(host, cp, status)
        assert reservation["state"] == status.lower()
        _, again = await reserved(host, cp)
        assert again["state"] == "accepted"


@pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
async def test_a_broken_connector_ends_its_reservation(host: Node, status: str) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        _, reservation = await reserved(host, cp)
        await cp.result("StatusNotification", {"connectorId": 1, "errorCode": "OtherError", "status": status})
        ended = await host.ask("reservations.show", reservation=reservation["id"])
        assert ended["state"] == status.lower()


async def test_a_reservation_expires(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        _, reservation = await reserved(host, cp, expiryDate=until(host, 0.01))
        async with asyncio.timeout(5):
            while (await host.ask("reservations.show", reservation=reservation["id"]))["state"] != "expired":
                await asyncio.sleep(0.05)


async def test_the_tags_group_may_use_it(host: Node) -> None:
    await host.ask("tags.add", id_tag="TAG", parent_id_tag="FAMILY")
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        frame, _ = await reserved(host, cp)
    assert frame[3]["parentIdTag"] == "FAMILY"


@pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
async def test_a_whole_station_that_breaks_ends_its_reservations(host: Node, status: str) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available", "Available")
        _, reservation = await reserved(host, cp, connectorId=2)
        await cp.result("StatusNotification", {"connectorId": 0, "errorCode": "OtherError", "status": status})
        ended = await host.ask("reservations.show", reservation=reservation["id"])
        assert (ended["state"], ended["said"]) == (status.lower(), f"the station is {status}")


async def unheard(host: Node, end: str = "timed out") -> dict[str, Any]:
    """Reserve connector 1 for TAG at a station that takes the request and never answers; the reservation's record."""
    payload = {"idTag": "TAG", "expiryDate": until(host), "connectorId": 1}
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        sending = asyncio.create_task(
            host.ask("operations.send", station="CP-1", action="ReserveNow", payload=payload, wait=5)
        )
        number = (await cp.hear())[3]["reservationId"]
        if end == "timed out":
            assert (await sending)["state"] == end
    assert (await sending)["state"] == end
    return dict(await host.ask("reservations.show", reservation=number))


QUICK = pytest.mark.node(config={"stations": {"call_timeout_s": 0.3}})


@pytest.mark.parametrize(
    "end", [pytest.param("timed out", marks=QUICK), "station gone"], ids=lambda end: str(end).replace(" ", "-")
)
async def test_one_whose_answer_never_came_is_unknown_holds_its_connector_and_is_used_by_its_start(
    host: Node, end: str
) -> None:
    reservation = await unheard(host, end)
    assert (reservation["state"], reservation["said"]) == ("unknown", f"the request ended: {end}")
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        request = {"idTag": "OTHER", "expiryDate": until(host), "connectorId": 1}
        with pytest.raises(DomainError, match="is reserved"):
            await host.ask("operations.send", station="CP-1", action="ReserveNow", payload=request)
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
        await cp.result("StartTransaction", {**start, "reservationId": reservation["id"]})
        used = await host.ask("reservations.show", reservation=reservation["id"])
        assert used["state"] == "used"


@QUICK
async def test_one_whose_answer_never_came_can_be_cancelled_and_then_holds_nothing(host: Node) -> None:
    reservation = await unheard(host)
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        giving_up = asyncio.create_task(_given_up(host, reservation["id"]))
        frame = await cp.hear()
        assert frame[2:] == ["CancelReservation", {"reservationId": reservation["id"]}]
        await cp.say([3, frame[1], {"status": "Rejected"}])
        assert (await giving_up)["state"] == "cancelled"
        _, again = await reserved(host, cp)
        assert again["state"] == "accepted"


async def _given_up(host: Node, number: int) -> dict[str, Any]:
    url = f"{host.url}/api/v1/reservations/{number}/cancel"
    async with ClientSession() as web, web.post(url, json={}) as response:
        return dict(await response.json())


async def test_one_that_could_not_be_sent_is_rejected_and_holds_nothing(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
    await host.settle()
    payload = {"idTag": "TAG", "expiryDate": until(host), "connectorId": 1}
    ended = await host.ask("operations.send", station="CP-1", action="ReserveNow", payload=payload, wait=5)
    assert ended["state"] == "station gone"
    assert (await host.ask("reservations.list"))[0]["state"] == "rejected"


@QUICK
async def test_one_whose_answer_never_came_expires(host: Node) -> None:
    payload = {"idTag": "TAG", "expiryDate": until(host, 0.02), "connectorId": 1}
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        await host.ask("operations.send", station="CP-1", action="ReserveNow", payload=payload, wait=5)
        async with asyncio.timeout(5):
            while (row := (await host.ask("reservations.list"))[0])["state"] != "expired":
                assert row["state"] == "unknown"
                await asyncio.sleep(0.05)


async def test_a_start_that_names_it_with_a_wrong_tag_is_kept_and_leaves_it_to_its_own_group(host: Node) -> None:
    await host.ask("tags.add", id_tag="TAG", parent_id_tag="FAMILY")
    await host.ask("tags.add", id_tag="WRONG", parent_id_tag="OTHERS")
    await host.ask("tags.add", id_tag="SISTER", parent_id_tag="family")
    async with wire(host.station_url("CP-1")) as cp:
        await ready(cp, "Available")
        _, reservation = await reserved(host, cp, connectorId=1)
        start = {"connectorId": 1, "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
        start["reservationId"] = reservation["id"]
        wrong = await cp.result("StartTransaction", {**start, "idTag": "WRONG"})
        assert (wrong["idTagInfo"]["status"], wrong["transactionId"] > 0) == ("Accepted", True)
        left = await host.ask("reservations.show", reservation=reservation["id"])
        assert (left["state"], left["transaction_id"]) == ("accepted", None)
        right = await cp.result("StartTransaction", {**start, "idTag": "SISTER", "meterStart": 1})
        used = await host.ask("reservations.show", reservation=reservation["id"])
        assert (used["state"], used["transaction_id"]) == ("used", right["transactionId"])
