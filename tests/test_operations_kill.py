"""``kill -9`` at every step of an operation: one end, at most one frame, and its plugin told of the end once."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from arthexis.testing import Wire, wire
from arthexis.testing.wire import Closed
from tests.process import NodeProcess

FAILPOINTS = Path(__file__).parent / "failpoints"
POKES = """
import msgspec
from arthexis import Fault, FollowUp, Message, Operation, Protocol, Action, hookimpl, Seen

class Poke(msgspec.Struct):
    number: int

class Poked(msgspec.Struct):
    status: str = "Done"

class Hello(msgspec.Struct):
    pass

async def hello(station, call):
    return Hello()

def finished(db, ended):
    db.event("poke.finished", ended.station, {"number": ended.payload["number"], "state": ended.state})

@hookimpl
def register_protocols():
    messages = (Message("Poke", Poke, Poked), Message("Hello", Hello, Hello))
    yield Protocol("lab1", messages, {fault: fault.name for fault in Fault})

@hookimpl
def register_actions():
    yield Action("Hello", hello, protocol="lab1", before_acceptance=True)

@hookimpl
def register_operations():
    yield Operation("Poke", "Poke it", protocol="lab1", finished=finished)
"""

CASES: list[tuple[str, bool, str | None, int]] = [
    ("before-queued", False, None, 0),
    ("after-queued", False, "station gone", 0),
    ("after-queued", True, "Done", 1),
    ("before-sent", False, "station gone", 0),
    ("before-sent", True, "Done", 1),
    ("after-sent", False, "sent, unknown", 0),
    ("unanswered", True, "sent, unknown", 1),
    ("before-ended", False, "sent, unknown", 1),
    ("after-ended", False, "Done", 1),
]
"""Where the node dies, whether the operation may wait for its station, its end after all, and the frames of it."""


class Poked:
    """The station: answers every CALL (but for those after ``silent``) and keeps what it was told."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        self.heard: list[int] = []
        self.told = asyncio.Event()
        self.silent = False

    async def run(self) -> None:
        """Be there whenever the node is."""
        while True:
            with suppress(ClientError, OSError, Closed, TimeoutError):
                async with wire(self.node.station_url("CP-1"), protocols=["lab1"]) as socket:
                    await self._serve(socket)
            await asyncio.sleep(0.05)

    async def _serve(self, socket: Wire) -> None:
        await socket.say([2, "hello", "Hello", {}])
        while True:
            frame = await socket.hear(30)
            if frame[0] == 2:
                self.heard.append(frame[3]["number"])
                self.told.set()
                if not self.silent:
                    await socket.say([3, frame[1], {"status": "Done"}])


def install(folder: Path) -> Path:
    """The plugin ``pokes``, as pip leaves it; the folder for PYTHONPATH."""
    info = folder / "arthexis_pokes-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "arthexis_pokes.py").write_text(POKES, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: arthexis-pokes\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[arthexis.plugins]\npokes = arthexis_pokes\n", "utf-8")
    return folder


@pytest.fixture
def node(tmp_path: Path) -> NodeProcess:
    home = tmp_path / "node"
    home.mkdir()
    (home / "arthexis.toml").write_text('[node]\nrole = "bare"\nenable = ["arthexis-pokes:*"]\n', "utf-8")
    path = os.pathsep.join([str(FAILPOINTS), str(install(tmp_path / "site")), os.environ.get("PYTHONPATH", "")])
    return NodeProcess(home, env={"PYTHONPATH": path, "ARTHEXIS_LOG": "warning"})


@asynccontextmanager
async def station(node: NodeProcess) -> AsyncIterator[Poked]:
    poked = Poked(node)
    task = asyncio.create_task(poked.run())
    try:
        yield poked
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connected(node: NodeProcess, session: ClientSession) -> None:
    """Wait until the station is there and has said a word."""
    async with asyncio.timeout(10):
        while True:
            async with session.get(f"{node.url}/api/v1/stations") as answer:
                if any(row["connected"] for row in (await answer.json())["items"]):
                    return
            await asyncio.sleep(0.05)


async def poke(node: NodeProcess, session: ClientSession, number: int, *, waits: bool) -> None:
    body: dict[str, Any] = {"action": "Poke", "payload": {"number": number}, "wait": 10}
    if waits:
        body["queue_until"] = "2126-01-01T00:00:00Z"
    with suppress(ClientError, OSError):
        async with session.post(f"{node.url}/api/v1/stations/CP-1/operations", json=body) as answer:
            await answer.read()


def rows(node: NodeProcess, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(node.home / "arthexis.db")) as db:
        return db.execute(query).fetchall()


async def test_death_at_every_step_leaves_one_end_and_at_most_one_frame(node: NodeProcess) -> None:
    async with node, station(node) as poked, ClientSession() as session:
        for number, (point, waits, _, _) in enumerate(CASES):
            await node.kill()
            node.set_env(FAIL_KILL=f"{point}:1")
            await node.start()
            await connected(node, session)
            poked.silent = point == "unanswered"
            poked.told.clear()
            asking = asyncio.create_task(poke(node, session, number, waits=waits))
            if poked.silent:
                await asyncio.wait_for(poked.told.wait(), 10)
                await node.kill()
            assert await node.ended() == -9, point
            await asking
            poked.silent = False
            node.set_env(FAIL_KILL="")
            await node.start()
            await connected(node, session)
            await settled(node, number)
        await asyncio.sleep(0.5)
    stored = rows(node, "SELECT payload, state FROM operation ORDER BY id")
    states = {json.loads(payload)["number"]: state for payload, state in stored}
    assert len(states) == len(stored)
    told = [json.loads(data) for (data,) in rows(node, "SELECT data FROM event WHERE kind = 'poke.finished'")]
    for number, (point, waits, end, frames) in enumerate(CASES):
        case = f"{point}, waits: {waits}"
        assert states.get(number) == end, case
        assert poked.heard.count(number) == frames, case
        assert [each["state"] for each in told if each["number"] == number] == ([] if end is None else [end]), case


async def settled(node: NodeProcess, number: int) -> None:
    """Wait until this operation has ended, if it was stored at all."""
    open_ones = "SELECT payload FROM operation WHERE state IN ('queued', 'sent')"
    async with asyncio.timeout(15):
        while any(json.loads(payload)["number"] == number for (payload,) in rows(node, open_ones)):
            await asyncio.sleep(0.05)
