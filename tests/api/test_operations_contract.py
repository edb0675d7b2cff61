"""The contract for operations that scripts rely on, against a station on a real socket."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.charging import reservations
from arthexis.testing import Node, Wire, node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
RESET = {"action": "Reset", "payload": {"type": "Soft"}, "wait": 30}


async def answer(cp: Wire, payload: Any) -> list[Any]:
    frame = await cp.hear()
    await cp.say([3, frame[1], payload])
    return list(frame)


async def test_a_final_operation_is_answered_200_with_the_stations_word_verbatim(host: Node, api: Any) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        asked = asyncio.create_task(api("POST", "/stations/cp-1/operations", json=RESET))
        frame = await answer(cp, {"status": "Accepted", "vendorFoo": {"a": [1, 2.5]}})
        reply = await asked
    assert frame[2:] == ["Reset", {"type": "Soft"}]
    assert reply.status == 200
    told = {name: reply.body[name] for name in ("station", "action", "state", "final", "answer", "payload")}
    assert told == {
        "station": "CP-1",
        "action": "Reset",
        "state": "Accepted",
        "final": True,
        "answer": {"status": "Accepted", "vendorFoo": {"a": [1, 2.5]}},
        "payload": {"type": "Soft"},
    }
    assert reply.headers["Location"] == f"/api/v1/operations/{frame[1]}"
    assert reply.body["created_at"].endswith("Z")


async def test_an_open_operation_is_answered_202_and_found_under_its_id(host: Node, api: Any) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        open_ = await api("POST", "/stations/CP-1/operations", json={**RESET, "wait": 0})
        assert (open_.status, open_.body["final"], open_.body["answer"]) == (202, False, None)
        await answer(cp, {"status": "Rejected"})
        ended = await api("GET", f"/operations/{open_.body['id']}?wait=5")
    assert (ended.status, ended.body["state"], ended.body["final"]) == (200, "Rejected", True)


async def test_an_offline_station_is_gone_with_200_because_that_is_the_end(api: Any) -> None:
    await api("POST", "/stations", json={"id": "CP-1"})
    reply = await api("POST", "/stations/CP-1/operations", json=RESET)
    assert (reply.status, reply.body["state"]) == (200, "station gone")


async def test_a_queued_operation_waits_and_can_be_cancelled_once(api: Any) -> None:
    await api("POST", "/stations", json={"id": "CP-1"})
    later = {**RESET, "wait": 0, "queue_until": "2126-01-01T00:00:00+02:00"}
    queued = await api("POST", "/stations/CP-1/operations", json=later)
    assert (queued.status, queued.body["queue_until"]) == (202, "2125-12-31T22:00:00Z")
    cancelled = await api("POST", f"/operations/{queued.body['id']}/cancel")
    assert (cancelled.status, cancelled.body["state"]) == (200, "cancelled")
    again = await api("POST", f"/operations/{queued.body['id']}/cancel")
    assert (again.status, again.body["code"]) == (409, "refused")


WRONG = [
    ("/stations/CP-1/operations", {"action": "Reset", "payload": {"type": "Medium"}}, 400, "payload.type"),
    ("/stations/CP-1/operations", {"action": "Reset", "payload": {"typ": "Soft"}}, 400, "payload.typ"),
    ("/stations/CP-1/operations", {"action": "Reset"}, 400, "payload.type"),
    ("/stations/CP-1/operations", {**RESET, "wait": 601}, 400, "wait"),
    ("/stations/CP-1/operations", {**RESET, "queue_until": "2126-01-01T00:00:00"}, 400, "queue_until"),
    ("/stations/CP-1/operations", {"payload": {}}, 400, "action"),
    ("/stations/CP-1/operations", {"action": "Explode", "payload": {}}, 404, None),
    ("/stations/CP-2/operations", RESET, 404, None),
    ("/operations", {"stations": [], "action": "Reset"}, 400, "stations"),
]


async def test_a_wish_that_cannot_be_is_refused_and_leaves_no_row(api: Any) -> None:
    await api("POST", "/stations", json={"id": "CP-1"})
    for path, body, status, member in WRONG:
        reply = await api("POST", path, json=body)
        assert (reply.status, reply.body.get("member"), reply.body["status"]) == (status, member, status), body
        assert reply.body["cure"], body
    assert (await api("GET", "/operations")).body == {"items": [], "next": None}


async def test_many_stations_get_a_result_each_and_a_dangerous_wish_is_confirmed(host: Node, api: Any) -> None:
    for name in ("CP-1", "CP-2"):
        await api("POST", "/stations", json={"id": name, "no_key": True})
    wish = {"stations": ["CP-1", "CP-2", "CP-3"], "action": "Reset", "payload": {"type": "Hard"}}
    refused = await api("POST", "/operations", json={**wish, "confirm": 2})
    assert (refused.status, refused.body["code"]) == (409, "refused")
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        started = await api("POST", "/operations", json={**wish, "confirm": 3, "per_second": 100})
        assert started.status == 202
        await answer(cp, {"status": "Accepted"})
        first, second, third = started.body["results"]
        assert (third["operation"], "CP-3" in third["error"]) == (None, True)
        ends = [(await api("GET", f"/operations/{each['operation']}?wait=5")).body for each in (first, second)]
    assert [end["state"] for end in ends] == ["Accepted", "station gone"]
    listed = await api("GET", f"/operations?batch={started.body['batch']}")
    assert [each["station"] for each in listed.body["items"]] == ["CP-2", "CP-1"]


async def test_who_asked_is_remembered(host: Node, api: Any) -> None:
    made = await host.ask("tokens.add", name="night shift", access="operator")
    await api("POST", "/stations", json={"id": "CP-1"})
    reply = await api.with_token(made["token"])("POST", "/stations/CP-1/operations", json=RESET)
    assert reply.body["requested_by"] == "night shift"


async def test_the_longest_wait_of_the_node_holds(tmp_path: Any) -> None:
    config = {"http": {"longest_wait_s": 0.1}}
    async with node(tmp_path / "node", plugins=["arthexis-ocpp16:*"], config=config) as host, ClientSession() as web:
        async with wire(host.station_url("CP-1")) as cp:
            await cp.boot()
            async with asyncio.timeout(5), web.post(f"{host.url}/api/v1/stations/CP-1/operations", json=RESET) as reply:
                assert reply.status == 202
            await answer(cp, {"status": "Accepted"})


async def test_the_node_stops_though_somebody_waits_for_an_operation(tmp_path: Any) -> None:
    later = {**RESET, "queue_until": "2126-01-01T00:00:00Z"}
    async with ClientSession() as web:
        async with node(tmp_path / "node", plugins=["arthexis-ocpp16:*"]) as host:
            await host.ask("stations.add", station="CP-1")
            asked = asyncio.create_task(web.post(f"{host.url}/api/v1/stations/CP-1/operations", json=later))
            async with asyncio.timeout(5):
                while not await host.ask("operations.list"):
                    await asyncio.sleep(0.01)
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 3
        reply = await asked
        assert (reply.status, (await reply.json())["state"]) == (202, "queued")


async def test_a_payload_is_refused_as_a_whole_before_any_station_is_looked_at(api: Any) -> None:
    period = {"startPeriod": 0, "limit": 6.05}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile"}
    profile |= {"chargingProfileKind": "Relative", "chargingSchedule": schedule}
    wish = {"stations": ["CP-1", "CP-2"], "action": "SetChargingProfile"}
    for payload, status in (
        ({"connectorId": 1, "csChargingProfiles": profile}, 409),
        ({"connectorId": 1, "csChargingProfiles": 7}, 400),
        ({"connectorId": 1.5, "csChargingProfiles": "night"}, 400),
        ({"connectorId": 1.0, "csChargingProfiles": "night"}, 202),
    ):
        reply = await api("POST", "/operations", json={**wish, "payload": payload})
        assert reply.status == status, reply.body


async def test_every_declared_operation_is_an_action_of_the_api(host: Node, api: Any) -> None:
    told = (await api("GET", "/actions")).body["items"]
    assert [each["action"] for each in told] == sorted(host.host.operations.declared)
    one = (await api("GET", "/actions/ReserveNow")).body
    assert one["schema"]["required"] == ["expiryDate", "idTag"], "what is filled in may be left out"
    named = (await api("GET", "/actions/SetChargingProfile")).body["schema"]["properties"]["csChargingProfiles"]
    assert {"type": "string"} in named["anyOf"]


async def test_a_reservation_is_found_by_its_station(host: Node, api: Any) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.result("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        wish = {"action": "ReserveNow", "payload": {"idTag": "TAG1", "expiryDate": until}, "wait": 30}
        asked = asyncio.create_task(api("POST", "/stations/CP-1/operations", json=wish))
        frame = await answer(cp, {"status": "Accepted"})
        assert (await asked).body["state"] == "Accepted"
    (found,) = (await api("GET", "/reservations?station=cp-1&state=accepted")).body["items"]
    assert (found["id"], found["connector"], found["id_tag"]) == (frame[3]["reservationId"], 1, "TAG1")
    assert (await api("GET", f"/reservations/{found['id']}")).body == found
    why = (await api("GET", "/stations/CP-1/why")).body
    assert why["station"] == "CP-1"
    assert any(finding["wrong"] for finding in why["findings"]), "it is not connected"


async def test_a_reservation_number_of_the_callers_own_is_replaced_or_refused_but_never_a_fault(
    host: Node, api: Any
) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.result("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})

        async def reserve(number: int, tag: str) -> Any:
            until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            payload = {"connectorId": 1, "idTag": tag, "expiryDate": until, "reservationId": number}
            return await api("POST", "/stations/CP-1/operations", json={"action": "ReserveNow", "payload": payload})

        for tag in ("ONE", "TWO"):
            assert (await reserve(7, tag)).status == 202
            await answer(cp, {"status": "Accepted"})
        (kept,) = (await api("GET", "/reservations")).body["items"]
        assert (kept["id"], kept["id_tag"]) == (7, "TWO")
        for number in (0, -1, 2**31):
            refused = await reserve(number, "ONE")
            assert (refused.status, refused.body["code"]) == (409, "refused")
        await host.host.journal.write(lambda db: reservations.expired(db, 7, datetime.now(UTC)))
        assert (await reserve(7, "ONE")).status == 409, "it was made before"


async def test_a_charging_profile_is_kept_under_a_name_and_used_by_it(host: Node, api: Any) -> None:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}]}
    night = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile"}
    night |= {"chargingProfileKind": "Relative", "chargingSchedule": schedule}
    assert (await api("PUT", "/charging-profiles/night", json={**night, "stackLevel": "x"})).status == 400
    crooked = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.05}]}
    assert (await api("PUT", "/charging-profiles/night", json={**night, "chargingSchedule": crooked})).status == 409
    kept = [await api("PUT", "/charging-profiles/night", json=night) for _ in range(2)]
    assert [reply.status for reply in kept] == [201, 200]
    assert (await api("GET", "/charging-profiles/night")).body["profile"] == night
    assert [each["name"] for each in (await api("GET", "/charging-profiles")).body["items"]] == ["night"]
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        wish = {"action": "SetChargingProfile", "payload": {"connectorId": 1, "csChargingProfiles": "night"}, "wait": 9}
        asked = asyncio.create_task(api("POST", "/stations/CP-1/operations", json=wish))
        frame = await answer(cp, {"status": "Accepted"})
        assert (await asked).body["state"] == "Accepted"
    assert frame[3] == {"connectorId": 1, "csChargingProfiles": night}
    assert (await api("DELETE", "/charging-profiles/night")).status == 204
    assert (await api("GET", "/charging-profiles/night")).status == 404
