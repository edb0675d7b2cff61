"""The event stream: what happens, once each and in order, resumed where a reader left off, ended when it must."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from arthexis.testing import Node, node, wire
from arthexis.web.api import events

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


@asynccontextmanager
async def stream(host: Node, query: str = "", **headers: str) -> AsyncIterator[ClientResponse]:
    async with ClientSession() as web, web.get(f"{host.url}/api/v1/events{query}", headers=headers) as reply:
        assert (reply.status, reply.content_type) == (200, "text/event-stream")
        assert await reply.content.readuntil(b"\n\n") == b"retry: 3000\n: events follow\n\n"
        yield reply


async def next_event(reply: ClientResponse) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            lines = (await reply.content.readuntil(b"\n\n")).decode().splitlines()
            if not lines[0].startswith(":"):
                break
    number, kind, data = (line.partition(": ")[2] for line in lines[:3])
    event = dict(json.loads(data))
    assert (event["id"], event["kind"]) == (int(number), kind)
    return event


async def kinds(reply: ClientResponse, many: int) -> list[str]:
    return [(await next_event(reply))["kind"] for _ in range(many)]


async def charge(host: Node, identity: str) -> None:
    async with wire(host.station_url(identity)) as cp:
        await cp.boot()
        start = {"connectorId": 1, "idTag": identity, "meterStart": 1, "timestamp": "2026-11-24T10:00:00Z"}
        number = (await cp.result("StartTransaction", start))["transactionId"]
        stop = {"transactionId": number, "meterStop": 2, "timestamp": "2026-11-24T10:30:00Z"}
        await cp.result("StopTransaction", stop)


STORY = ["station.booted", "transaction.started", "transaction.stopped"]


async def test_what_happens_is_told_in_order(host: Node) -> None:
    async with stream(host) as reply:
        await charge(host, "CP-1")
        told = [await next_event(reply) for _ in STORY]
    assert [event["kind"] for event in told] == STORY
    assert [event["id"] for event in told] == sorted(event["id"] for event in told)
    assert {event["station"] for event in told} == {"CP-1"}
    assert told[2]["data"]["energy_wh"] == 1
    assert told[0]["at"].endswith("Z")


async def test_a_reader_resumes_where_it_left_off(host: Node) -> None:
    async with stream(host) as reply:
        await charge(host, "CP-1")
        first = await next_event(reply)
    await charge(host, "CP-2")
    async with stream(host, **{"Last-Event-ID": str(first["id"])}) as reply:
        assert await kinds(reply, 5) == [*STORY[1:], *STORY]
    async with stream(host, "?after=0") as reply:
        assert await kinds(reply, 6) == [*STORY, *STORY]


async def test_a_stream_tells_only_the_kinds_and_the_station_asked_for(host: Node) -> None:
    await host.ask("stations.add", station="CP-2", no_key=True)
    async with (
        stream(host, "?kinds=transaction.*&station=cp-2") as narrow,
        stream(host, "?kinds=station.booted,transaction.stopped") as wide,
    ):
        await charge(host, "CP-1")
        assert await kinds(wide, 2) == ["station.booted", "transaction.stopped"]
        await charge(host, "CP-2")
        assert await kinds(narrow, 2) == STORY[1:]


WRONG = [
    ("?kinds=A", {}, 400),
    ("?after=-1", {}, 400),
    ("?station=CP-9", {}, 404),
    ("?more=1", {}, 400),
    ("", {"Last-Event-ID": "x"}, 400),
    ("", {"Last-Event-ID": "9" * 30}, 400),
]


async def test_a_wrong_wish_is_refused(api: Any) -> None:
    for query, headers, status in WRONG:
        reply = await api("GET", f"/events{query}", headers=headers)
        assert reply.status == status, (query, headers)


async def test_a_quiet_stream_shows_that_it_lives(host: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.05)
    async with stream(host) as reply:
        for _ in range(3):
            assert await asyncio.wait_for(reply.content.readuntil(b"\n\n"), 5) == b": still here\n\n"


async def test_a_reader_that_reads_nothing_costs_nobody_and_misses_nothing(host: Node) -> None:
    async with stream(host) as slow, stream(host) as quick:
        slow.connection.transport.pause_reading()  # type: ignore[union-attr]
        padding = "x" * 20_000
        for number in range(300):
            await host.host.journal.write(lambda db, n=number: db.event("pad.ding", None, {"n": n, "x": padding}))
        assert [(await next_event(quick))["data"]["n"] for _ in range(300)] == list(range(300))
        slow.connection.transport.resume_reading()  # type: ignore[union-attr]
        assert [(await next_event(slow))["data"]["n"] for _ in range(300)] == list(range(300))


async def test_the_node_stops_at_once_though_streams_are_open(tmp_path: Path) -> None:
    async with ClientSession() as web:
        async with node(tmp_path / "node") as host:
            replies = [await web.get(f"{host.url}/api/v1/events") for _ in range(5)]
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 3
        for reply in replies:
            assert (await reply.read()).startswith(b"retry")
        assert host.host.watchers == set()


async def test_a_stream_ends_with_its_time_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with node(tmp_path / "node", config={"http": {"longest_stream_s": 0.2}}) as host:
        async with stream(host) as reply:
            assert await asyncio.wait_for(reply.read(), 5) == b""
        assert host.host.watchers == set()


@pytest.mark.node(open_mode=False)
async def test_a_stream_ends_with_its_token(host: Node) -> None:
    made = await host.ask("tokens.add", name="reader")
    async with stream(host, Authorization=f"Bearer {made['token']}") as reply:
        await host.ask("tokens.revoke", name="reader")
        await host.host.journal.write(lambda db: db.event("some.thing", None, {}))
        await host.host.journal.write(lambda db: db.event("some.thing", None, {}))
        assert (await asyncio.wait_for(reply.read(), 5)).count(b"some.thing") <= 2
