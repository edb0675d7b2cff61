"""``arthexis send`` and ``arthexis operations`` as processes: what is sent, what is printed, what they exit with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
from arthexis_ocpp16.testing import answers, requests
from arthexis_simulator import Station, station
from arthexis_simulator.answers import Refusal, Silence

from arthexis.testing import Node, node
from tests.peers import OPERATIONS

Run = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def site(arthexis: Any) -> AsyncIterator[tuple[Run, Callable[[str], Awaitable[Station]]]]:
    """A node of its own process, a way to run commands on it, and a way to get a booted station."""
    arthexis.write('[stations]\ncall_timeout_s = 1\n[node]\nrole = "terminal"\n')
    await asyncio.to_thread(arthexis.start, "--open")
    async with AsyncExitStack() as stack:

        async def charge_point(identity: str) -> Station:
            found = await stack.enter_async_context(station(arthexis.url, identity, connectors=2))
            await found.boot()
            return found

        yield lambda *words: asyncio.to_thread(arthexis, *words), charge_point


async def test_exit_statuses_say_whether_the_station_did_it(site: Any) -> None:
    run, charge_point = site
    cp = await charge_point("CP-1")
    for answer, status, said in (
        ({"status": "Accepted"}, 0, "ChangeAvailability to CP-1: Accepted"),
        ({"status": "Scheduled"}, 0, "Scheduled"),
        ({"status": "Rejected"}, 8, "Rejected"),
        (Refusal("InternalError", "broken"), 8, "broken"),
        (Silence(), 8, "timed out"),
    ):
        cp.answer("ChangeAvailability", answer)
        done = await run("send", "CP-1", "ChangeAvailability", "--connector-id", "0", "--type", "Inoperative")
        assert done.status == status, done
        assert said in done.out
        assert "operation " in done.out
    cp.answer("ChangeAvailability", Silence())
    done = await run("send", "CP-1", "ChangeAvailability", "--connector-id=1", "--type=Operative", "--wait", "0")
    assert done.status == 9
    assert "ChangeAvailability to CP-1: " in done.out
    await cp.disconnect()
    done = await run("send", "CP-1", "ClearCache", "--json")
    assert (done.status, done.json["state"]) == (8, "station gone")


async def test_members_keep_the_kind_that_the_request_has(site: Any) -> None:
    run, charge_point = site
    cp = await charge_point("CP-1")
    for words, expected in (
        (("RemoteStartTransaction", "--id-tag", "0012"), {"idTag": "0012"}),
        (("RemoteStartTransaction", "--idTag", "2026-11-24", "--connectorId", "2"), {"connectorId": 2}),
        (("ChangeConfiguration", "--key", "HeartbeatInterval", "--value", "300"), {"value": "300"}),
        (("ChangeConfiguration", "--key", "K", "--value", "[1]"), {"value": "[1]"}),
        (("GetConfiguration", "--key", "One", "--key", "2"), {"key": ["One", "2"]}),
        (("GetConfiguration", "--key", '["One"]'), {"key": ["One"]}),
        (("DataTransfer", "--vendor-id", "x", "--data", '{"a": 1}'), {"data": '{"a": 1}'}),
        (("DataTransfer", "--payload", '{"vendorId": "y"}', "--message-id", "7"), {"vendorId": "y", "messageId": "7"}),
    ):
        await run("send", "CP-1", *words)
        heard = await cp.expect(words[0])
        assert heard | expected == heard, (words, heard)


async def test_a_wrong_request_is_refused_with_its_cure_and_reaches_nobody(site: Any) -> None:
    run, charge_point = site
    cp = await charge_point("CP-1")
    for words, cure in (
        (("CP-1", "Reset", "--typ", "Soft"), "Did you mean type?"),
        (("CP-1", "Reset", "--type", "soft"), "Use one of Hard, Soft"),
        (("CP-1", "Reset"), "type"),
        (("CP-1", "Reste", "--type", "Soft"), "Did you mean Reset?"),
        (("CP-9", "Reset", "--type", "Soft"), "arthexis stations add CP-9"),
        (("CP-1", "Reset", "--type"), "--type Soft"),
        (("CP-1", "Reset", "type", "Soft"), "--type Soft"),
        (("CP-1", "Reset", "--payload", '{"type":'), "Quote it for your shell"),
        (("CP-1", "Reset", "--payload", "[]"), '{"type": "Soft"}'),
        (("CP-1", "RemoteStopTransaction", "--transaction-id", "1", "--queue-for", "5"), "when the station is conn"),
        (("CP-1,CP-1", "Reset", "--typ", "Soft"), "Did you mean type?"),
        ((",", "ClearCache"), "arthexis stations list"),
    ):
        done = await run("send", *words)
        assert done.status == 5, done
        assert cure in done.err, done.err
        assert "Traceback" not in done.err
    assert [frame for frame in cp.log if frame.direction == "<" and frame.message[0] == 2] == []


async def test_several_stations_each_have_a_result_and_the_worst_is_the_exit_status(site: Any) -> None:
    run, charge_point = site
    await charge_point("CP-1")
    two = await charge_point("CP-2")
    done = await run("send", "CP-1, CP-2", "ClearCache", "--json")
    assert done.status == 0
    assert [(each["station"], each["state"]) for each in done.json["results"]] == [
        ("CP-1", "Accepted"),
        ("CP-2", "Accepted"),
    ]
    two.answer("ClearCache", {"status": "Rejected"})
    done = await run("send", "all", "ClearCache")
    assert done.status == 8
    assert "Rejected" in done.out
    done = await run("send", "CP-1,CP-9", "ClearCache")
    assert done.status == 8
    assert "no station CP-9" in done.out
    done = await run("send", "all", "Reset", "--type", "Soft")
    assert (done.status, "--confirm 2" in done.err) == (5, True)
    two.answer("Reset", Silence())
    done = await run("send", "all", "Reset", "--type", "Soft", "--confirm", "2", "--wait", "0.3")
    assert done.status == 9, done


async def test_what_was_told_is_listed_shown_described_and_cancelled(site: Any) -> None:
    run, charge_point = site
    cp = await charge_point("CP-1")
    assert (await run("send", "CP-1", "Reset", "--type", "Soft")).status == 0
    await cp.disconnect()
    waiting = await run("send", "CP-1", "ClearCache", "--queue-for", "60", "--wait", "0", "--json")
    assert (waiting.status, waiting.json["state"]) == (9, "queued")
    listed = (await run("operations", "list", "--station", "CP-1", "--state", "queued")).out
    assert waiting.json["id"] in listed
    assert "Reset" not in listed
    cancelled = await run("operations", "cancel", waiting.json["id"])
    assert cancelled.out.strip() == f"{waiting.json['id']} is cancelled."
    shown = await run("operations", "show", waiting.json["id"])
    told = dict(line.split(maxsplit=1) for line in shown.out.splitlines())
    assert (told["state"], told["action"], told["station"]) == ("cancelled", "ClearCache", "CP-1")
    assert (await run("operations", "cancel", waiting.json["id"])).status == 5
    described = await run("operations", "describe", "ReserveNow")
    assert "Until when, UTC" in described.out
    table = await run("operations", "describe")
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == sorted(OPERATIONS)


async def test_every_operation_is_reached_by_api_command_and_python_from_one_registry(tmp_path: Any) -> None:
    async with node(tmp_path / "node", plugins=["arthexis-ocpp16:*"]) as host, station(host.url, "CP-1") as cp:
        await cp.boot()
        for action in OPERATIONS:
            cp.answer(action, answers(action)[0])
        declared = set(host.host.operations.declared)
        assert declared == set(OPERATIONS)
        assert await _by_python(host) == await _by_control(host) == declared
        assert await _by_http(host, cp) == declared


async def _by_python(host: Node) -> set[str]:
    found = set()
    for action, (payload, *_) in requests(host.host.clock.now()).items():
        uid = await host.host.operations.send("CP-1", action, payload)
        assert (await host.host.operations.wait(uid, 10))["answer"] is not None, action
        found.add(action)
    return found


async def _by_control(host: Node) -> set[str]:
    """What the commands ask: they have no table of their own."""
    found = set()
    for action, (payload, *_) in requests(host.host.clock.now(), 3).items():
        record = await host.ask("operations.send", station="CP-1", action=action, payload=payload, wait=10)
        assert record["final"], action
        found.add(action)
    return found


async def _by_http(host: Node, cp: Station) -> set[str]:
    """What the document of the API offers, and what it answers."""
    found = set()
    assert cp._http is not None
    async with cp._http.get(f"{host.url}/api/v1/actions") as answer:
        offered = {each["action"] for each in (await answer.json())["items"]}
    async with cp._http.get(f"{host.url}/api/openapi.json") as answer:
        document = json.dumps(await answer.json())
    for action, (payload, *_) in requests(host.host.clock.now(), 5).items():
        body = {"action": action, "payload": payload, "wait": 10}
        async with cp._http.post(f"{host.url}/api/v1/stations/CP-1/operations", json=body) as answer:
            assert answer.status == 200, (action, await answer.text())
        if f'"{action}"' in document and action in offered:
            found.add(action)
    return found
