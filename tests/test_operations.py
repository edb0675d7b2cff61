"""Operations over a real socket: each ends once, in the state that is true."""

from __future__ import annotations

import asyncio

import pytest

from arthexis.errors import DomainError
from arthexis.testing import Node, Wire, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
SOFT = {"type": "Soft"}


async def answered(cp: Wire, *answer: object) -> list[object]:
    """Wait for a CALL of the node and answer it: (3, payload) or (4, code, description)."""
    frame = await cp.hear()
    assert frame[0] == 2, frame
    kind, *rest = answer
    await cp.say([kind, frame[1], *rest] if kind == 3 else [kind, frame[1], *rest, {}])
    return list(frame)


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        ((3, {"status": "Accepted"}), "Accepted", None),
        ((3, {"status": "Rejected"}), "Rejected", None),
        ((3, {"status": "accepted", "vendorFoo": 1}), "Accepted", None),
        ((3, {"status": 7}), "error", "InvalidAnswer"),
        ((3, {}), "error", "InvalidAnswer"),
        ((3, []), "error", "InvalidAnswer"),
        ((4, "NotSupported", "not here"), "error", "NotSupported"),
    ],
)
async def test_an_operation_ends_with_the_stations_own_word(
    host: Node, answer: tuple[object, ...], state: str, code: str | None
) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        asked = asyncio.create_task(host.ask("operations.send", station="cp-1", action="Reset", payload=SOFT, wait=5))
        frame = await answered(cp, *answer)
        assert frame[2:] == ["Reset", {"type": "Soft"}]
        record = await asked
    assert (record["state"], record["error_code"], record["final"]) == (state, code, True)
    assert record["station"] == "CP-1"
    assert record["id"] == frame[1]


async def test_an_offline_station_is_gone_at_once(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
    await asyncio.sleep(0.1)
    record = await host.ask("operations.send", station="CP-1", action="Reset", payload=SOFT, wait=5)
    assert (record["state"], record["sent_at"]) == ("station gone", None)


async def test_a_disconnect_before_the_answer_is_station_gone(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        asked = asyncio.create_task(host.ask("operations.send", station="CP-1", action="Reset", payload=SOFT, wait=5))
        await cp.hear()
        cp.drop()
        record = await asked
    assert record["state"] == "station gone"
    assert record["sent_at"] is not None


async def test_a_queued_operation_is_sent_when_the_station_comes(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
    await asyncio.sleep(0.1)
    record = await host.ask(
        "operations.send", station="CP-1", action="Reset", payload=SOFT, queue_until="2126-01-01T00:00:00Z"
    )
    assert record["state"] == "queued"
    async with wire(host.station_url("CP-1")) as cp:
        assert await cp.silent(0.3), "nothing is sent before the station has said a word"
        await cp.boot()
        await answered(cp, 3, {"status": "Accepted"})
        ended = await host.ask("operations.show", operation=record["id"], wait=5)
        assert (ended["state"], ended["follow_up"]) == ("Accepted", "awaited")
        await cp.boot()
        await host.settle()
    ended = await host.ask("operations.show", operation=record["id"])
    assert (ended["follow_up"], ended["follow_up_until"]) == ("booted again", None)


async def test_a_wrong_payload_is_refused_before_it_is_a_row(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for payload in ({}, {"type": "Medium"}, {"type": "Soft", "more": 1}):
            with pytest.raises(DomainError, match=r"type|more"):
                await host.ask("operations.send", station="CP-1", action="Reset", payload=payload)
    assert await host.ask("operations.list") == []


async def test_a_station_whose_line_is_full_takes_nothing_from_the_others_of_a_batch(
    host: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arthexis.operations.MOST_QUEUED", 1)
    later = {"action": "ClearCache", "queue_until": "2099-01-01T00:00:00Z"}
    for station in ("CP-1", "CP-2", "CP-3"):
        await host.ask("stations.add", station=station)
    await host.ask("operations.send", station="CP-2", **later)
    batch = await host.ask("operations.send_many", stations=["CP-1", "CP-2", "CP-3"], **later)
    assert [result["operation"] is not None for result in batch["results"]] == [True, False, True]
    assert batch["results"][1]["error"] == "1 operations wait for CP-2"


ACCEPTED = {"status": "Accepted"}
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}


async def followed(host: Node, uid: str) -> str:
    """What came of an operation, once something did."""
    async with asyncio.timeout(5):
        while (record := await host.ask("operations.show", operation=uid))["follow_up_until"] is not None:
            await asyncio.sleep(0.02)
    return str(record["follow_up"])


@pytest.mark.parametrize("early", [False, True], ids=["in the same breath", "before its answer"])
async def test_what_a_quick_station_does_is_not_missed(host: Node, early: bool) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for action, payload, said in (
            ("TriggerMessage", {"requestedMessage": "Heartbeat"}, ["Heartbeat", {}]),
            ("RemoteStartTransaction", {"idTag": "TAG", "connectorId": 1}, ["StartTransaction", START]),
            ("Reset", SOFT, ["BootNotification", {"chargePointVendor": "A", "chargePointModel": "B"}]),
        ):
            asked = asyncio.create_task(
                host.ask("operations.send", station="CP-1", action=action, payload=payload, wait=5)
            )
            frame = await cp.hear()
            frames = [[3, frame[1], ACCEPTED], [2, f"quick {action}", *said]]
            for each in reversed(frames) if early else frames:
                await cp.say(each)
            assert (await asked)["state"] == "Accepted"
            await cp.hear()
            assert await followed(host, (await asked)["id"]) not in {"never started", "awaited"}, action


async def test_an_early_event_counts_for_nothing_if_the_station_refuses(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        payload = {"idTag": "TAG", "connectorId": 1}
        asked = asyncio.create_task(
            host.ask("operations.send", station="CP-1", action="RemoteStartTransaction", payload=payload, wait=5)
        )
        frame = await cp.hear()
        await cp.result("StartTransaction", START)
        await cp.say([3, frame[1], {"status": "Rejected"}])
        record = await asked
    assert (record["state"], record["follow_up"]) == ("Rejected", None)
    assert host.host.operations._followed == {}


async def test_two_remote_starts_of_one_tag_are_told_apart_though_one_names_no_connector(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        started = []
        for payload in ({"idTag": "TAG"}, {"idTag": "TAG", "connectorId": 1}):
            asked = asyncio.create_task(
                host.ask("operations.send", station="CP-1", action="RemoteStartTransaction", payload=payload, wait=5)
            )
            await answered(cp, 3, ACCEPTED)
            started.append((await asked)["id"])
        first = await cp.result("StartTransaction", START)
        second = await cp.result("StartTransaction", {**START, "connectorId": 2})
        assert await followed(host, started[1]) == f"transaction {first['transactionId']}"
        assert await followed(host, started[0]) == f"transaction {second['transactionId']}"
