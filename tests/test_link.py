"""The life of a socket: who owns an identity, what it may hold, how it ends, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from arthexis.errors import DomainError, Unavailable
from arthexis.ocppj.link import Link
from arthexis.testing import Node, Wire, node, wire

OCPP16 = "arthexis-ocpp16:*"
pytestmark = pytest.mark.plugins(OCPP16)
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}

WATCHES = """
from arthexis import hookimpl

told = []

@hookimpl
async def on_connected(station):
    told.append(("came", station.id))

@hookimpl
async def on_disconnected(station, reason):
    told.append(("went", station.id, reason))
"""


async def gone(host: Node, identity: str = "cp-1") -> None:
    """Wait until the identity is free."""
    async with asyncio.timeout(5):
        while identity in host.host.links:
            await asyncio.sleep(0.01)


async def is_connected(host: Node, station: str = "CP-1") -> bool:
    return bool((await host.ask("stations.show", station=station))["connected"])


# ---------------------------------------------------------------------- take-over


async def test_the_newest_socket_owns_the_identity_and_the_end_of_the_old_one_changes_nothing(
    installed: Any, tmp_path: Any
) -> None:
    watches = installed(WATCHES)
    async with node(tmp_path / "node", plugins=[OCPP16, watches.pattern]) as host:
        async with wire(host.station_url("CP-1")) as old:
            await old.boot()
            async with wire(host.station_url("cp-1")) as new:
                assert await old.close_code() == 1008
                await old.close()
                await asyncio.sleep(0.1)
                assert await is_connected(host)
                assert (await new.boot())["status"] == "Accepted"
                await host.settle()
                assert watches.module.told == [("came", "CP-1")]
        await gone(host)
        await host.settle()
        assert [event[:2] for event in watches.module.told] == [("came", "CP-1"), ("went", "CP-1")]


async def test_a_half_open_socket_does_not_keep_its_station_out(host: Node, upgrade: Any) -> None:
    dead = await upgrade(host.host.bound_port, "/ocpp/CP-1", "Sec-WebSocket-Protocol: ocpp1.6")
    assert dead.status == 101
    began = time.monotonic()
    async with wire(host.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Accepted"
        assert time.monotonic() - began < 1
        await asyncio.sleep(2.2)
        assert await dead.reader.read() != b"", "the old socket was told (close frame) and then cut"
        assert await is_connected(host)


@pytest.mark.node(open_mode=False)
async def test_a_socket_without_the_key_takes_nothing_over(host: Node) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    async with wire(host.station_url("CP-1"), key=key) as cp:
        await cp.boot()
        for wrong in (None, "wrong"):
            with pytest.raises(WSServerHandshakeError) as refused:
                async with wire(host.station_url("CP-1"), key=wrong):
                    pass
            assert refused.value.status == 401
        assert "currentTime" in await cp.result("Heartbeat")


@pytest.mark.node(open_mode=False, admit_pending_minutes=5)
async def test_a_stranger_that_was_let_in_to_wait_takes_nothing_from_the_station_that_got_the_key(
    host: Node, monkeypatch: Any
) -> None:
    held, go = asyncio.Event(), asyncio.Event()
    prepared = host.host.gate._prepared

    async def slowly(*args: Any) -> Any:
        held.set()
        await go.wait()
        return await prepared(*args)

    monkeypatch.setattr(host.host.gate, "_prepared", slowly)

    async def stranger() -> int | None:
        async with wire(host.station_url("CP-1")) as cp:
            return await cp.close_code()

    late = asyncio.create_task(stranger())
    await held.wait()
    monkeypatch.setattr(host.host.gate, "_prepared", prepared)
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    async with wire(host.station_url("CP-1"), key=key) as cp:
        await cp.boot()
        go.set()
        assert await late == 1008
        assert "currentTime" in await cp.result("Heartbeat")


async def test_two_sockets_that_fight_for_an_identity_are_told_of_once_a_minute(host: Node, caplog: Any) -> None:
    for _ in range(10):
        async with wire(host.station_url("CP-1")) as one, wire(host.station_url("CP-1")):
            assert await one.close_code() == 1008
    assert caplog.text.count("take its identity from each other") == 1
    await gone(host)


# ---------------------------------------------------------------------- slots


def links_alive() -> int:
    gc.collect()
    return sum(isinstance(found, Link) for found in gc.get_objects())


async def test_500_quick_reconnects_leave_nothing_behind(host: Node, upgrade: Any) -> None:
    before = len(asyncio.all_tasks())
    for number in range(500):
        answer = await upgrade(host.host.bound_port, f"/ocpp/CP-{number % 3}", "Sec-WebSocket-Protocol: ocpp1.6")
        assert answer.status == 101
        if number % 2:
            answer.writer.transport.abort()
        else:
            answer.writer.close()
    async with asyncio.timeout(10):
        while host.host.links or len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        while links_alive():
            await asyncio.sleep(0.2)
    assert host.host.gate._arriving == 0


@pytest.mark.node(config={"stations": {"max_stations": 2}})
async def test_a_full_node_refuses_the_next_station_but_not_one_that_comes_back(host: Node, upgrade: Any) -> None:
    async with wire(host.station_url("A")), wire(host.station_url("B")) as b:
        answer = await upgrade(host.host.bound_port, "/ocpp/C")
        assert (answer.status, answer.header("retry-after")) == (503, "10")
        async with wire(host.station_url("B")) as again:
            assert await b.close_code() == 1008
            assert (await again.boot())["status"] == "Accepted"
    await gone(host, "a")
    await gone(host, "b")
    async with wire(host.station_url("C")) as c:
        assert (await c.boot())["status"] == "Accepted"


@pytest.mark.node(config={"stations": {"max_stations": 1}})
async def test_a_client_that_vanishes_in_the_middle_of_the_handshake_keeps_no_place(host: Node) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", host.host.bound_port)
        writer.write(
            b"GET /ocpp/Gone HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.transport.abort()
    await asyncio.sleep(0.2)
    await gone(host, "gone")
    async with wire(host.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Accepted"


@pytest.mark.node(config={"stations": {"max_stations": 1}})
async def test_a_fault_of_our_own_in_a_link_frees_its_place(host: Node, monkeypatch: Any) -> None:
    async def breaks(*_: Any) -> None:
        raise RuntimeError("a fault of our own")

    async with wire(host.station_url("CP-1")) as cp:
        monkeypatch.setattr(Link, "_answer", breaks)
        await cp.say([2, "1", "Heartbeat", {}])
        await gone(host)
    monkeypatch.undo()
    async with wire(host.station_url("CP-2")) as cp:
        assert (await cp.boot())["status"] == "Accepted"


async def test_idle_connections_and_slow_requests_do_not_last(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("arthexis.server.REQUEST_S", 0.5)
    async with node(tmp_path / "node", plugins=[OCPP16]) as host:
        idle, silent = await asyncio.open_connection("127.0.0.1", host.host.bound_port)
        slow, writer = await asyncio.open_connection("127.0.0.1", host.host.bound_port)
        began = time.monotonic()

        async def drip() -> None:
            for byte in b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"x" * 200:
                writer.write(bytes((byte,)))
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await asyncio.wait_for(idle.read(), 5) == b""
        await asyncio.wait_for(slow.read(), 5)
        assert time.monotonic() - began < 3
        dripping.cancel()
        silent.close()
        writer.close()
        async with wire(host.station_url("CP-1")) as cp:
            await asyncio.sleep(1)
            assert (await cp.boot())["status"] == "Accepted", "a station's socket is not a slow request"


# ---------------------------------------------------------------------- the same again


@pytest.fixture
async def cp(host: Node) -> Any:
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        yield station


async def raw_answer(cp: Wire, frame: str) -> bytes:
    await cp.socket.send_str(frame)
    return bytes((await cp.socket.receive(5)).data.encode())


async def test_the_same_call_again_gets_the_same_bytes_one_row_and_one_event(host: Node, cp: Wire) -> None:
    frame = json.dumps([2, "531531536", "StartTransaction", START])
    first = await raw_answer(cp, frame)
    assert [await raw_answer(cp, frame) for _ in range(5)] == [first] * 5
    await host.settle()
    assert len(await host.ask("transactions.list")) == 1
    assert len(await host.events("transaction.started")) == 1


async def test_calls_sent_again_before_the_first_is_answered_get_its_answer(host: Node, cp: Wire) -> None:
    frame = json.dumps([2, "1", "StartTransaction", START])
    for _ in range(5):
        await cp.socket.send_str(frame)
    heard = [(await cp.socket.receive(5)).data for _ in range(5)]
    assert len(set(heard)) == 1
    assert len(await host.ask("transactions.list")) == 1


async def test_the_same_id_with_another_payload_is_another_call(host: Node, cp: Wire) -> None:
    one = await cp.result("StartTransaction", START, message_id="1")
    two = await cp.result("StartTransaction", {**START, "connectorId": 2, "idTag": "OTHER"}, message_id="1")
    assert one["transactionId"] != two["transactionId"]


async def test_ids_that_start_again_after_a_reconnect_are_new_calls(host: Node) -> None:
    numbers = []
    for tag in ("ONE", "TWO"):
        async with wire(host.station_url("CP-1")) as cp:
            await cp.boot()
            call = {**START, "idTag": tag, "connectorId": len(numbers) + 1}
            numbers.append((await cp.result("StartTransaction", call, message_id="1"))["transactionId"])
    assert numbers[0] != numbers[1]


async def test_the_answer_of_a_heartbeat_is_repeated_for_seconds_only(host: Node, cp: Wire) -> None:
    first = await cp.result("Heartbeat", message_id="hb")
    await asyncio.sleep(0.01)
    assert await cp.result("Heartbeat", message_id="hb") == first
    link = host.host.links["cp-1"]
    now = link._time
    link._time = lambda: now() + 6
    await asyncio.sleep(0.01)
    assert await cp.result("Heartbeat", message_id="hb") != first


async def test_the_ring_of_answers_is_bounded(host: Node, cp: Wire) -> None:
    for number in range(200):
        await cp.result("Heartbeat", message_id=f"h{number}")
        await cp.call("DataTransfer", {"vendorId": "v", "data": "x" * 10_000}, message_id=f"d{number}")
    kept = host.host.links["cp-1"]._replies.ring
    assert len(kept) <= 4
    assert sum(len(frame) for frame, _, _ in kept.values()) <= 4 * 4096


@pytest.mark.node(open_mode=False, admit_pending_minutes=5)
async def test_a_refusal_is_not_repeated_once_the_station_is_approved(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Pending"
        assert await cp.error("StartTransaction", START, message_id="7") == "SecurityError"
        await host.ask("stations.approve", station="CP-1")
        assert (await cp.boot())["status"] == "Accepted"
        assert "transactionId" in await cp.result("StartTransaction", START, message_id="7")


# ---------------------------------------------------------------------- rate


@pytest.mark.node(config={"stations": {"frames_per_s": 200, "frames_burst": 50}})
async def test_a_flood_is_slowed_and_loses_nothing_and_others_do_not_notice(host: Node) -> None:
    async with wire(host.station_url("Flood")) as flood, wire(host.station_url("Calm")) as calm:
        await calm.boot()
        began = time.monotonic()
        for number in range(250):
            await flood.say([2, f"f{number}", "Heartbeat", {}])
        waits = []
        for _ in range(10):
            asked = time.monotonic()
            await calm.result("Heartbeat")
            waits.append(time.monotonic() - asked)
        heard = [(await flood.hear(10))[1] for _ in range(250)]
        took = time.monotonic() - began
    assert heard == [f"f{number}" for number in range(250)]
    assert 0.8 < took < 3
    assert sorted(waits)[5] < 0.1


@pytest.mark.node(config={"stations": {"frames_per_s": 100, "frames_burst": 300}})
async def test_a_large_message_counts_for_more(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        big = {"vendorId": "v", "data": "x" * 500_000}
        began = time.monotonic()
        for _ in range(4):
            await cp.call("DataTransfer", big)
        assert time.monotonic() - began > 1.5


# ---------------------------------------------------------------------- who does not read, who does not speak


@pytest.mark.node(config={"stations": {"send_timeout_s": 1, "frames_per_s": 1e6, "frames_burst": 1_000_000}})
async def test_a_station_that_never_reads_is_closed_and_holds_little(host: Node, upgrade: Any) -> None:
    answer = await upgrade(host.host.bound_port, "/ocpp/Deaf", "Sec-WebSocket-Protocol: ocpp1.6")
    answer.reader._transport.pause_reading()
    link = host.host.links["deaf"]
    call = b'[2,"%s","Heartbeat",{}]' % (b"i" * 36)
    frame = bytes((0x81, 0x80 | len(call))) + b"\0\0\0\0" + call
    most = 0
    async with wire(host.station_url("Calm")) as calm:
        await calm.boot()
        async with asyncio.timeout(20):
            while "deaf" in host.host.links:
                if answer.writer.transport.get_write_buffer_size() < 1 << 20 and not answer.writer.is_closing():
                    answer.writer.write(frame * 1000)
                if link._flow.transport is not None:
                    most = max(most, link._flow.transport.get_write_buffer_size())
                await asyncio.sleep(0.01)
        assert "currentTime" in await calm.result("Heartbeat")
    assert link._closing == "what it is sent stays unread"
    assert 0 < most < 1 << 18


@pytest.mark.node(config={"stations": {"ping_interval_s": 0.4}})
async def test_a_station_that_died_is_offline_soon_and_one_that_speaks_or_pongs_is_not(host: Node) -> None:
    async with (
        wire(host.station_url("Dead"), autoping=False),
        wire(host.station_url("Pongs")) as pongs,
        wire(host.station_url("Speaks"), autoping=False) as speaks,
    ):
        reading = asyncio.create_task(pongs.silent(3))
        began = time.monotonic()
        while time.monotonic() - began < 2:
            await speaks.say([2, "1", "Heartbeat", {}])
            await asyncio.sleep(0.1)
            if "dead" not in host.host.links:
                break
        assert time.monotonic() - began < 2 * 0.4 + 0.2 + 0.5
        await asyncio.sleep(0.3)
        assert {"pongs"} <= set(host.host.links)
        assert "speaks" in host.host.links
        reading.cancel()


@pytest.mark.node(config={"stations": {"ping_interval_s": 0.3}})
async def test_only_a_silent_station_is_pinged(host: Node) -> None:
    async with wire(host.station_url("CP-1"), autoping=False) as cp:
        for _ in range(10):
            await cp.socket.send_str('[2,"1","Heartbeat",{}]')
            assert (await cp.socket.receive(1)).type is WSMsgType.TEXT
            await asyncio.sleep(0.1)
        assert (await cp.socket.receive(1)).type is WSMsgType.PING


@pytest.mark.node(config={"stations": {"ping_interval_s": 0.2}})
async def test_a_station_that_cannot_be_pinged_is_left_alone(host: Node) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    assert (await host.ask("stations.set", station="CP-1", ping="0"))["ping_interval_s"] == 0
    async with wire(host.station_url("CP-1"), autoping=False) as cp:
        with pytest.raises(TimeoutError):
            await cp.socket.receive(1)
        assert "cp-1" in host.host.links
    assert (await host.ask("stations.set", station="CP-1", ping="node"))["ping_interval_s"] is None


@pytest.mark.parametrize("ping", ["-1", "often", "nan", "1e9"])
async def test_an_interval_that_is_none_is_refused(host: Node, ping: str) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    with pytest.raises(DomainError, match="no interval"):
        await host.ask("stations.set", station="CP-1", ping=ping)


async def test_pings_and_pongs_count_as_signs_of_life(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        link = host.host.links["cp-1"]
        for kind in (WSMsgType.PING, WSMsgType.PONG):
            before = link.heard
            await asyncio.sleep(0.05)
            await cp.socket.send_frame(b"", kind)
            async with asyncio.timeout(2):
                while link.heard == before:
                    await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- a database that does not take it


@pytest.mark.node(config={"stations": {"handler_timeout_s": 0.8}})
async def test_a_locked_database_costs_answers_but_no_socket(host: Node, cp: Wire) -> None:
    with contextlib.closing(sqlite3.connect(host.host.database.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        answer = await cp.call("StartTransaction", START, message_id="1")
        assert (answer[0], answer[2]) == (4, "InternalError")
        assert time.monotonic() - began < 2
        assert "currentTime" in await cp.result("Heartbeat")
        other.execute("ROLLBACK")
    number = (await cp.result("StartTransaction", START, message_id="1"))["transactionId"]
    assert [row["id"] for row in await host.ask("transactions.list")] == [number]
    host.faults()


@pytest.mark.node(strict=True)
@pytest.mark.parametrize(
    "frame",
    [
        [2, "1", "StartTransaction", {"connectorId": "x"}],
        [2, "1", "StartTransaction"],
        [2, "1", "Authorize", {}],
        [2, "1", "DataTransfer", {"vendorId": "v"}],
        [2, "1", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}],
    ],
)
async def test_what_cannot_be_stored_is_to_be_sent_again(
    host: Node, cp: Wire, monkeypatch: Any, frame: list[Any]
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        waiter = asyncio.get_running_loop().create_future()
        waiter.set_exception(Unavailable("not stored: database or disk is full"))
        return waiter

    monkeypatch.setattr(host.host.journal, "write", full)
    await cp.say(frame)
    assert (await cp.hear())[:3] == [4, "1", "InternalError"]
    assert "currentTime" in await cp.result("Heartbeat")
    monkeypatch.undo()
    host.faults()


# ---------------------------------------------------------------------- stopping


async def test_a_stop_tells_every_station_and_is_quick(tmp_path: Any) -> None:
    codes = []
    async with node(tmp_path / "node", plugins=[OCPP16]) as host:
        stations = [wire(host.station_url(f"CP-{n}")) for n in range(10)]
        sockets = [await station.__aenter__() for station in stations]
        for socket in sockets:
            await socket.boot()
        listening = [asyncio.create_task(socket.close_code()) for socket in sockets]
        began = time.monotonic()
    took = time.monotonic() - began
    codes = await asyncio.gather(*listening)
    for station in stations:
        await station.__aexit__(None, None, None)
    assert codes == [1001] * 10
    assert took < 2


async def test_a_stop_waits_neither_for_the_half_open_nor_for_those_who_come_back_at_once(
    tmp_path: Any, upgrade: Any
) -> None:
    async with node(tmp_path / "node", plugins=[OCPP16]) as host:
        await upgrade(host.host.bound_port, "/ocpp/Half", "Sec-WebSocket-Protocol: ocpp1.6")
        stopped = asyncio.Event()

        async def stubborn() -> None:
            while not stopped.is_set():
                try:
                    async with wire(host.station_url("Stubborn")) as cp:
                        await cp.boot()
                        await cp.close_code()
                except Exception:
                    await asyncio.sleep(0.01)

        coming = asyncio.create_task(stubborn())
        await asyncio.sleep(0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    stopped.set()
    await coming


async def test_a_call_that_is_being_handled_gets_its_answer_before_the_stop(tmp_path: Any) -> None:
    async with node(tmp_path / "node", plugins=[OCPP16]) as host, wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.say([2, "last", "StartTransaction", START])
        async with asyncio.timeout(2):
            while not host.host.links["cp-1"].busy_since:
                await asyncio.sleep(0)
        closing = asyncio.create_task(host.host.close_links())
        assert (await cp.hear())[:2] == [3, "last"]
        assert await cp.close_code() == 1001
        await closing


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_second_signal_changes_nothing_about_the_stop_of_a_process(tmp_path: Path) -> None:
    environ = {**os.environ, "ARTHEXIS_HOME": str(tmp_path), "ARTHEXIS__NODE__ROLE": "bare"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "arthexis", "start", "--open", "--port", "0"),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while b"ws://" not in (line := await process.stdout.readline()):
                assert line, "the node ended"
        async with wire(line.split()[-1].decode().replace("<identity>", "CP-1")) as cp:
            assert await cp.error("Heartbeat") == "NotImplemented"
            listening = asyncio.create_task(cp.close_code())
            while process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)  # Popen's own would reap it under asyncio's feet
                await asyncio.sleep(0.01)
            assert await listening == 1001
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
