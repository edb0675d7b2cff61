"""Both directions at once: CALLs of ours to a station, from the outside and from within a handler, and how they end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from arthexis import CallFailed
from arthexis.testing import Node, Wire, node, wire

OCPP16 = "arthexis-ocpp16:*"
pytestmark = pytest.mark.plugins(OCPP16)

ASKS = """
import asyncio
import msgspec
from arthexis import Action, CallFailed, Fault, Message, Protocol, hookimpl

class Do(msgspec.Struct):
    what: str = ""

class Done(msgspec.Struct):
    said: object = None

async def ask(station, call):
    try:
        return Done(await call.ask("GetConfiguration", {"key": [call.payload.what]}))
    except CallFailed as failed:
        return Done(failed.outcome)

async def twice(station, call):
    return Done([await call.ask("One", {}), await call.ask("Two", {})])

async def hang(station, call):
    await asyncio.sleep(600)

async def stubborn(station, call):
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        return Done("never mind")

async def cancelled(station, call):
    task = asyncio.ensure_future(asyncio.sleep(600))
    task.cancel()
    await task

async def raises(station, call):
    raise RuntimeError(call.payload.what)

async def exits(station, call):
    raise SystemExit(3)

async def junk(station, call):
    return {"said": 1}

async def unspeakable(station, call):
    return Done(object())

async def surrogate(station, call):
    return Done("\\ud800")

async def once(station, call):
    TRIES.append(call.payload.what)
    if len(TRIES) == 1:
        raise RuntimeError("the first time")
    return Done("done")

TRIES = []
HANDLERS = {f.__name__: f for f in (ask, twice, hang, stubborn, cancelled, raises, exits, junk, unspeakable, surrogate,
                                    once)}
CODES = {fault: fault.name for fault in Fault}

@hookimpl
def register_protocols():
    yield Protocol("lab1", tuple(Message(name, Do, Done) for name in HANDLERS), CODES)

@hookimpl
def register_actions():
    for name, handler in HANDLERS.items():
        yield Action(name, handler, protocol="lab1")
"""


@pytest.fixture
async def lab(installed: Any, tmp_path: Any) -> Any:
    """A node whose only plugin speaks a protocol of its own, and a station of it."""
    limits = {"stations": {"handler_timeout_s": 1.0, "call_timeout_s": 0.6}}
    plugin = installed(ASKS)
    async with (
        node(tmp_path / "node", plugins=[plugin.pattern], config=limits) as host,
        wire(host.station_url("CP-1"), protocols=["lab1"]) as cp,
    ):
        assert cp.protocol == "lab1"
        yield host, cp


@pytest.fixture
async def cp(host: Node) -> Any:
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        yield station


async def our_call(cp: Wire) -> tuple[str, str]:
    """The id and the action of the CALL that the node sends next."""
    frame = await cp.hear()
    assert frame[0] == 2
    return frame[1], frame[2]


def ask(host: Node, action: str = "ClearCache", payload: Any = None, timeout_s: float | None = None) -> Any:
    """A CALL of ours to CP-1, on its way."""
    return asyncio.ensure_future(host.host.links["cp-1"].ask(action, payload or {}, timeout_s))


async def outcome(waiting: Any) -> str:
    with pytest.raises(CallFailed) as failed:
        await waiting
    return str(failed.value.outcome)


# ---------------------------------------------------------------------- from within a handler


async def test_a_handler_calls_the_station_from_within_its_call(lab: Any) -> None:
    _, cp = lab
    await cp.say([2, "1", "ask", {"what": "key"}])
    message_id, action = await our_call(cp)
    assert action == "GetConfiguration"
    await cp.say([3, message_id, {"configurationKey": []}])
    assert await cp.hear() == [3, "1", {"said": {"configurationKey": []}}]


async def test_calls_may_cross_and_queue_behind_the_one_that_waits(lab: Any) -> None:
    _, cp = lab
    await cp.say([2, "1", "twice", {}])
    first, action = await our_call(cp)
    assert action == "One"
    for number in range(10):
        await cp.say([2, f"later-{number}", "ask" if number == 0 else "Boil", {"what": "x"}])
    await cp.say([3, first, {"n": 1}])
    second, action = await our_call(cp)
    assert action == "Two"
    await cp.say([3, second, {"n": 2}])
    assert await cp.hear() == [3, "1", {"said": [{"n": 1}, {"n": 2}]}]
    third, _ = await our_call(cp)
    await cp.say([3, third, {}])
    heard = [(await cp.hear())[1] for _ in range(10)]
    assert heard == [f"later-{number}" for number in range(10)]


async def test_a_station_that_never_answers_the_handler_gets_its_own_answer(lab: Any) -> None:
    _, cp = lab
    answer = await cp.call("ask", {"what": "x"}, message_id="1")
    assert answer == [3, "1", {"said": "timed out"}]


async def test_a_handler_called_by_many_stations_at_once_keeps_them_apart(lab: Any) -> None:
    host, _ = lab

    async def one(name: str) -> Any:
        async with wire(host.station_url(name), protocols=["lab1"]) as cp:
            await cp.say([2, "1", "ask", {"what": name}])
            frame = await cp.hear()
            await cp.say([3, frame[1], {"is": frame[3]["key"][0]}])
            return (await cp.hear())[2]["said"]["is"]

    names = [f"S{number}" for number in range(30)]
    assert await asyncio.gather(*(one(name) for name in names)) == names


# ---------------------------------------------------------------------- handlers that misbehave


@pytest.mark.parametrize("action", ["raises", "exits", "junk", "unspeakable", "surrogate", "cancelled"])
async def test_a_handler_that_breaks_costs_its_own_answer_only(lab: Any, action: str) -> None:
    host, cp = lab
    answer = await cp.call(action, {"what": "secret detail"})
    assert answer[:1] + answer[2:3] == [4, "INTERNAL"]
    assert "secret detail" not in answer[3]
    assert await cp.error("Boil") == "UNKNOWN_ACTION"
    assert [name for name, _ in host.faults()] == ["acme"]


@pytest.mark.parametrize("action", ["hang", "stubborn"])
async def test_a_handler_that_hangs_is_ended_and_the_next_call_is_answered(lab: Any, action: str) -> None:
    host, cp = lab
    began = time.monotonic()
    await cp.say([2, "1", action, {}])
    await cp.say([2, "2", "Boil", {}])
    first, second = await cp.hear(), await cp.hear()
    assert first[1] == "1"
    assert first[2] in ("INTERNAL", {"said": "never mind"})
    assert second[1:3] == ["2", "UNKNOWN_ACTION"]
    assert 0.9 < time.monotonic() - began < 2.5
    assert (await cp.call("ask", {"what": "x"}))[2] == {"said": "timed out"}, "the next handler has its own time"
    host.faults()


async def test_a_call_that_waited_behind_a_slow_one_has_its_full_time(lab: Any) -> None:
    host, cp = lab
    await cp.say([2, "1", "hang", {}])
    await cp.say([2, "2", "ask", {"what": "x"}])
    assert (await cp.hear())[:3] == [4, "1", "INTERNAL"]
    message_id, _ = await our_call(cp)
    await asyncio.sleep(0.4)
    await cp.say([3, message_id, {"late": False}])
    assert await cp.hear() == [3, "2", {"said": {"late": False}}]
    assert len(host.faults()) == 1


async def test_a_call_that_failed_may_be_sent_again_under_its_id(lab: Any) -> None:
    host, cp = lab
    frame = json.dumps([2, "same", "once", {"what": "x"}])
    heard = []
    for _ in range(3):
        await cp.say(frame)
        heard.append((await cp.hear())[0])
    assert heard == [4, 3, 3]
    assert len(host.faults()) == 1


# ---------------------------------------------------------------------- how a CALL of ours ends


async def test_one_call_is_outstanding_at_a_time(host: Node, cp: Wire) -> None:
    asked = [ask(host, f"Ask{number}") for number in range(3)]
    for number in range(3):
        message_id, action = await our_call(cp)
        assert action == f"Ask{number}"
        assert await cp.silent(0.1)
        await cp.say([3, message_id, {"n": number}])
    assert await asyncio.gather(*asked) == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_a_station_that_answers_at_once_is_always_heard(host: Node, cp: Wire) -> None:
    async def mirror() -> None:
        while True:
            frame = await cp.hear(30)
            await cp.say([3, frame[1], frame[3]])

    mirroring = asyncio.create_task(mirror())
    for number in range(1000):
        assert await ask(host, payload={"n": number}, timeout_s=5) == {"n": number}
    mirroring.cancel()


BAD_ANSWERS = [
        ("[4,ID,\"NotSupported\",\"no\",{}]", "error"),
        ("[4,ID,\"NotSupported\"]", "error"),
        ("[4,ID,7,null,null]", "error"),
        ("[3,ID,[]]", "invalid answer"),
        ("[3,ID,\"text\"]", "invalid answer"),
        ("[3,ID,17]", "invalid answer"),
        ("[3,ID," + "[" * 2000 + "]" * 2000 + "]", "invalid answer"),
    ]  # fmt: skip


async def test_an_answer_that_is_none_has_its_outcome_and_the_next_call_goes(host: Node, cp: Wire) -> None:
    for answer, said in BAD_ANSWERS:
        waiting = ask(host, timeout_s=2)
        message_id, _ = await our_call(cp)
        await cp.say(answer.replace("ID", json.dumps(message_id)))
        assert await outcome(waiting) == said
        again = ask(host)
        message_id, _ = await our_call(cp)
        await cp.say([3, message_id, {"status": "Accepted"}])
        assert await again == {"status": "Accepted"}


ODD_ANSWERS = [
        ("[3,ID,null]", {}),
        ("[3,ID]", {}),
        ("[3,ID,{\"configurationKey\":[]", {"configurationKey": []}),
        ("[3,ID,{\"a\":1}]\0", {"a": 1}),
        (" [3 , ID ,\n {\"a\":1}] ", {"a": 1}),
    ]  # fmt: skip


async def test_an_odd_answer_is_made_out_in_repair_mode(host: Node, cp: Wire) -> None:
    for answer, payload in ODD_ANSWERS:
        waiting = ask(host, timeout_s=2)
        message_id, _ = await our_call(cp)
        await cp.say(answer.replace("ID", json.dumps(message_id)))
        assert await waiting == payload


@pytest.mark.parametrize("answer", ['[3,ID,{"a":1', "[3,ID,{]", '[4,ID,"NotSupported","no'])
async def test_a_strict_node_does_not_wait_for_an_answer_that_came_broken(tmp_path: Any, answer: str) -> None:
    async with (
        node(tmp_path / "node", plugins=[OCPP16], strict=True) as host,
        wire(host.station_url("CP-1")) as cp,
    ):
        waiting = ask(host, timeout_s=2)
        message_id, _ = await our_call(cp)
        await cp.say(answer.replace("ID", json.dumps(message_id)))
        assert await outcome(waiting) == "invalid answer"


async def test_no_answer_is_timed_out_and_a_late_one_is_not_taken_for_the_next(host: Node, cp: Wire) -> None:
    late = ask(host, timeout_s=0.2)
    first, _ = await our_call(cp)
    assert await outcome(late) == "timed out"
    waiting = ask(host, timeout_s=2)
    second, _ = await our_call(cp)
    await cp.say([3, first, {"answer": "late"}])
    await cp.say([3, "never asked", {"answer": "foreign"}])
    await cp.say([4, "never asked", "InternalError", "", {}])
    await cp.say([3, second, {"answer": "mine"}])
    await cp.say([3, second, {"answer": "twice"}])
    assert await waiting == {"answer": "mine"}
    assert "currentTime" in await cp.result("Heartbeat")


async def test_the_loss_of_the_socket_ends_every_call_that_waits(host: Node, cp: Wire) -> None:
    asked = [ask(host) for _ in range(3)]
    await our_call(cp)
    cp.drop()
    assert [await outcome(waiting) for waiting in asked] == ["station gone"] * 3


async def test_a_newer_socket_ends_the_calls_of_the_older_one(host: Node, cp: Wire) -> None:
    waiting = ask(host)
    message_id, _ = await our_call(cp)
    async with wire(host.station_url("CP-1")) as new:
        assert await outcome(waiting) == "station gone"
        again = ask(host, timeout_s=2)
        fresh, _ = await our_call(new)
        await new.say([3, message_id, {"from": "the old question"}])
        await new.say([3, fresh, {"from": "the new one"}])
        assert await again == {"from": "the new one"}


async def test_a_stop_of_the_node_ends_the_calls_that_wait(tmp_path: Any) -> None:
    async with node(tmp_path / "node", plugins=[OCPP16]) as host, wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        waiting = ask(host)
        await our_call(cp)
        closing = asyncio.create_task(host.host.close_links())
        assert await cp.close_code() == 1001
        await closing
    assert await outcome(waiting) == "station gone"


async def test_every_exchange_of_ours_is_on_record(host: Node, cp: Wire) -> None:
    waiting = ask(host, "ChangeAvailability", {"connectorId": 0, "type": "Operative"})
    message_id, _ = await our_call(cp)
    await cp.say([3, message_id, {"status": "Accepted"}])
    await waiting
    await asyncio.sleep(0.6)
    await host.settle()
    row = (await host.ask("messages.list", limit=1))[0]
    assert (row["action"], row["inbound"], row["message_id"]) == ("ChangeAvailability", False, message_id)
    assert json.loads(row["answer"]) == [3, message_id, {"status": "Accepted"}]
