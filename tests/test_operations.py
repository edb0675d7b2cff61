"""Operations over a real socket: each ends once, in the state that is true."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta

import pytest
from aiohttp import ClientSession, TCPConnector

from arthexis import format_utc
from arthexis.errors import DomainError
from arthexis.operations import Wish
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


async def test_one_boot_ends_every_reset_before_it(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        resets = []
        for _ in range(2):
            asked = asyncio.create_task(
                host.ask("operations.send", station="CP-1", action="Reset", payload=SOFT, wait=5)
            )
            await answered(cp, 3, {"status": "Accepted"})
            resets.append((await asked)["id"])
        await cp.boot()
        await host.settle()
    ends = [(await host.ask("operations.show", operation=uid))["follow_up"] for uid in resets]
    assert ends == ["booted again"] * 2


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


async def queued(host: Node, action: str = "ClearCache", **more: object) -> str:
    """The uid of an operation that waits for its turn."""
    return str((await host.ask("operations.send", **{"station": "CP-1", "action": action, **more}))["id"])


async def state(host: Node, uid: str, wait: float = 5) -> str:
    return str((await host.ask("operations.show", operation=uid, wait=wait))["state"])


async def test_the_more_urgent_goes_first_then_the_older_and_one_is_outstanding(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        first = await queued(host)
        busy = await cp.hear()
        priorities = [0, 5, -1, 5, 0, 9]
        uids = [await queued(host, priority=priority) for priority in priorities]
        assert await cp.silent(0.1), "nothing more is sent before the answer"
        await cp.say([3, busy[1], ACCEPTED])
        order = [(await answered(cp, 3, ACCEPTED))[1] for _ in uids]
        assert order == [uids[place] for place in (5, 1, 3, 0, 4, 2)]
        assert [await state(host, uid) for uid in (first, *uids)] == ["Accepted"] * 7


@pytest.mark.node(config={"stations": {"call_timeout_s": 0.3}})
async def test_a_late_answer_is_logged_and_not_taken_for_the_next(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        late = await queued(host)
        frame = await cp.hear()
        assert await state(host, late) == "timed out"
        following = await queued(host)
        next_frame = await cp.hear()
        await cp.say([3, frame[1], {"status": "Rejected"}])
        await cp.say([3, next_frame[1], ACCEPTED])
        assert (await state(host, following), await state(host, late)) == ("Accepted", "timed out")
        await asyncio.sleep(0.7)
        await host.settle()
    logged = [row["frame"] for row in await host.ask("messages.list", station="CP-1", limit=50)]
    assert any(frame[1] in text and "Rejected" in text for text in logged)


async def test_what_waits_can_be_cancelled_while_another_runs_and_what_runs_cannot(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        running = await queued(host)
        frame = await cp.hear()
        waiting = await queued(host)
        with pytest.raises(DomainError, match="sent"):
            await host.ask("operations.cancel", operation=running)
        assert (await host.ask("operations.cancel", operation=waiting))["state"] == "cancelled"
        with pytest.raises(DomainError, match="cancelled"):
            await host.ask("operations.cancel", operation=waiting)
        await cp.say([3, frame[1], ACCEPTED])
        assert await state(host, running) == "Accepted"
        assert await cp.silent(0.1)


async def test_what_expires_behind_a_running_one_is_never_sent(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        running = await queued(host)
        frame = await cp.hear()
        soon = format_utc(host.host.clock.now() + timedelta(seconds=0.2))
        late = await queued(host, deadline=soon)
        await asyncio.sleep(0.3)
        await cp.say([3, frame[1], ACCEPTED])
        assert (await state(host, running), await state(host, late)) == ("Accepted", "expired")
        assert await cp.silent(0.1)


async def test_what_waits_for_an_offline_station_expires(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
    await asyncio.sleep(0.1)
    soon = format_utc(host.host.clock.now() + timedelta(seconds=0.3))
    uid = await queued(host, queue_until=soon)
    assert await state(host, uid, 0) == "queued"
    assert await state(host, uid) == "expired"
    assert host.host.operations._lines == {}


async def test_a_moment_that_comes_during_a_turn_is_not_missed(host: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
    await asyncio.sleep(0.1)
    until = host.host.clock.now() + timedelta(hours=1)
    uid = await queued(host, queue_until=format_utc(until))
    await asyncio.sleep(0.1)
    readings = iter([until - timedelta(milliseconds=1)])
    just_after = until + timedelta(milliseconds=1)
    monkeypatch.setattr(type(host.host.clock), "now", lambda _: next(readings, just_after))
    [line] = host.host.operations._lines.values()
    line.woken.set()
    assert await state(host, uid) == "expired"


async def test_a_newer_socket_ends_what_runs_and_gets_what_waits(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as old:
        await old.boot()
        running = await queued(host)
        await old.hear()
        waiting = await queued(host)
        async with wire(host.station_url("CP-1")) as new:
            await new.boot()
            assert await state(host, running) == "station gone"
            frame = new.calls[0] if new.calls else await new.hear()
            assert frame[1] == waiting
            await new.say([3, frame[1], ACCEPTED])
            assert await state(host, waiting) == "Accepted"


async def test_a_station_that_says_nothing_is_told_after_a_while(host: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arthexis.operations.QUIET_S", 0.5)
    async with wire(host.station_url("CP-1")) as cp:
        uid = await queued(host)
        assert await cp.silent(0.3)
        await answered(cp, 3, ACCEPTED)
        assert await state(host, uid) == "Accepted"


@pytest.mark.parametrize(("registration", "kept"), [("Pending", True), ("Rejected", False)])
async def test_a_registration_withdrawn_meanwhile_is_respected(host: Node, registration: str, kept: bool) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        running = await queued(host)
        frame = await cp.hear()
        reset = await queued(host, "ClearCache")
        start = await queued(host, "RemoteStartTransaction", payload={"idTag": "TAG"})
        host.host.links["cp-1"].station.registration = registration  # type: ignore[assignment]
        await cp.say([3, frame[1], ACCEPTED])
        if kept:
            await answered(cp, 3, ACCEPTED)
        ends = [await state(host, uid) for uid in (running, reset, start)]
        assert ends == ["Accepted", "Accepted" if kept else "error", "error"]
        assert await cp.silent(0.1)
    assert registration in (await host.ask("operations.show", operation=start))["error_text"]


async def test_what_may_wait_waits_for_the_registration(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        link = host.host.links["cp-1"]
        link.station.registration = "Rejected"
        uid = await _put_directly(host)
        assert await cp.silent(0.3)
        link.station.registration = "Accepted"
        await answered(cp, 3, ACCEPTED)
        assert await state(host, uid) == "Accepted"


async def _put_directly(host: Node) -> str:
    """Queue past the refusal at the door, as an operation that was queued before the registration changed."""
    until = host.host.clock.now() + timedelta(hours=1)
    return await host.host.operations.send("CP-1", "ClearCache", {}, Wish(queue_until=until))


async def test_a_dangerous_operation_for_many_must_be_confirmed_with_their_number(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as one, wire(host.station_url("CP-2")) as two:
        await one.boot()
        await two.boot()
        asked = {"stations": ["CP-1", "CP-2", "CP-1", "cp-2"], "action": "Reset", "payload": SOFT}
        for confirm in (None, 1, 3):
            with pytest.raises(DomainError, match="2 stations must be confirmed"):
                await host.ask("operations.send_many", **asked, confirm=confirm)
        found = await host.ask("operations.send_many", **asked, confirm=2)
        await answered(one, 3, ACCEPTED)
        await answered(two, 3, {"status": "Rejected"})
        ends = [await state(host, result["operation"]) for result in found["results"]]
    assert ends == ["Accepted", "Rejected"]


async def test_one_station_in_two_spellings_is_told_once_and_needs_no_confirming(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        asked = {"stations": ["CP-1", "cp-1"], "action": "Reset", "payload": SOFT}
        found = await host.ask("operations.send_many", **asked)
        assert [result["station"] for result in found["results"]] == ["CP-1"]
        await answered(cp, 3, ACCEPTED)
        assert await state(host, found["results"][0]["operation"]) == "Accepted"
        assert await cp.silent(0.3)


async def test_a_batch_tells_of_each_station_that_cannot_be_told(host: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arthexis.operations.MOST_QUEUED", 1)
    async with wire(host.station_url("CP-1")) as one, wire(host.station_url("CP-2")) as two:
        await one.boot()
        await two.boot()
        await queued(host)
        await one.hear()
        await queued(host)
        found = await host.ask("operations.send_many", stations=["CP-1", "CP-2", "CP-3"], action="ClearCache")
        full, sent, unknown = found["results"]
        assert (full["operation"], unknown["operation"]) == (None, None)
        assert "wait for CP-1" in full["error"]
        assert "no station CP-3" in unknown["error"]
        await answered(two, 3, ACCEPTED)
        assert await state(host, sent["operation"]) == "Accepted"


async def _answering(host: Node, session: ClientSession, identity: str, sent_at: list[float]) -> None:
    """A station that accepts everything at once, until it is cancelled."""
    async with session.ws_connect(host.station_url(identity), protocols=["ocpp1.6"]) as socket:
        await socket.send_json([2, "b", "BootNotification", {"chargePointVendor": "A", "chargePointModel": "B"}])
        async for message in socket:
            frame = json.loads(message.data)
            if frame[0] == 2:
                sent_at.append(time.monotonic())
                await socket.send_json([3, frame[1], ACCEPTED])


async def test_a_thousand_stations_at_a_rate_each_end_once_and_nothing_is_left(host: Node) -> None:
    names, sent_at = [f"CP-{number}" for number in range(1_000)], []
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        fleet = [asyncio.create_task(_answering(host, session, name, sent_at)) for name in names]
        async with asyncio.timeout(30):
            while sum(link.spoken for link in list(host.host.links.values())) < len(names):
                await asyncio.sleep(0.05)
        found = await host.ask("operations.send_many", stations=names, action="ClearCache", per_second=500)
        async with asyncio.timeout(30):
            while len(rows := await host.ask("operations.list", batch=found["batch"], limit=1000)) < 1_000 or not all(
                row["final"] for row in rows
            ):
                await asyncio.sleep(0.05)
        for task in fleet:
            task.cancel()
        await asyncio.gather(*fleet, return_exceptions=True)
    assert {row["state"] for row in rows} == {"Accepted"}
    assert len(sent_at) == len(names)
    assert max(sent_at) - min(sent_at) > 1.8, "500 a second"
    operations = host.host.operations
    assert (operations._lines, operations._waiters, operations._followed, operations._under_way) == ({}, {}, {}, {})


@pytest.mark.node(config={"stations": {"frames_per_s": 20_000, "frames_burst": 20_000}})
async def test_ten_thousand_instant_replies_are_all_heard(host: Node) -> None:
    async with ClientSession() as session:
        task = asyncio.create_task(_answering(host, session, "CP-1", []))
        async with asyncio.timeout(5):
            while "cp-1" not in host.host.links or not host.host.links["cp-1"].spoken:
                await asyncio.sleep(0.01)
        link = host.host.links["cp-1"]
        many = [asyncio.create_task(link.calls.ask("ClearCache", {})) for _ in range(9_000)]
        assert await asyncio.gather(*many) == [ACCEPTED] * 9_000
        uids = [await queued(host) for _ in range(1_000)]
        assert {await state(host, uid) for uid in uids} == {"Accepted"}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
