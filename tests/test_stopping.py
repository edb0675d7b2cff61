"""Stopping, freezing and starting twice: what was answered stays, and a folder has one node."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from arthexis.db.engine import Database
from arthexis.errors import Refused
from arthexis.testing import wire
from tests.fleet import Books, Station
from tests.process import NodeDied, NodeProcess
from tests.test_backup import arthexis

STATIONS = 8
PROMPT_S = 8.0


@asynccontextmanager
async def charging(process: NodeProcess) -> AsyncIterator[list[Station]]:
    """Stations at work; at the end they finish, and the node's books must agree with theirs."""
    fleet = [Station(f"CP-{number}", process.station_url) for number in range(STATIONS)]
    runs = [asyncio.create_task(station.run()) for station in fleet]
    await asyncio.sleep(0.5)
    yield fleet
    for station in fleet:
        station.finish()
    async with asyncio.timeout(30):
        await asyncio.gather(*runs)
    assert await process.stop() == 0
    database = Database("", process.home)
    faults = Books(database, fleet).faults
    database.close()
    assert faults == []


async def test_a_stop_under_load_is_prompt_and_loses_nothing(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with NodeProcess(tmp_path) as process, charging(process):
        began = loop.time()
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert loop.time() - began < PROMPT_S
        assert not (tmp_path / "control.json").exists()
        await process.start()


async def test_a_node_that_was_frozen_acknowledges_nothing_meanwhile_and_nothing_twice(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path) as process, charging(process) as fleet:
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(0.2)
        before = sum(said.answer is not None for station in fleet for said in station.said)
        await asyncio.sleep(1)
        assert sum(said.answer is not None for station in fleet for said in station.said) == before
        process.signal(signal.SIGCONT)
        await asyncio.sleep(0.5)


async def test_stations_are_told_that_the_node_goes_away(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path) as process, wire(process.station_url("CP-1")) as station:
        await station.boot()
        process.signal(signal.SIGTERM)
        assert await station.close_code() == 1001
        assert await process.ended() == 0


async def test_a_folder_has_one_node(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path) as process:
        second = NodeProcess(tmp_path)
        with pytest.raises(NodeDied, match="another node runs"):
            await second.start()
        assert await second.ended() == Refused.exit_status
        async with wire(process.station_url("CP-1")) as station:
            assert (await station.boot())["status"] == "Accepted"
        assert (tmp_path / "control.json").exists(), "the first node's file is its own"


async def test_what_a_killed_node_left_behind_misleads_nobody(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path) as process:
        await process.kill()
        assert (tmp_path / "control.json").exists()
        done = await asyncio.to_thread(arthexis, tmp_path, "status")
        assert done.returncode == 0
        assert "no node is running" in done.stderr
        stopped = await asyncio.to_thread(arthexis, tmp_path, "stop")
        assert stopped.returncode == 0
        assert "No node" in stopped.stdout
        await process.start()
        async with wire(process.station_url("CP-1")) as station:
            assert (await station.boot())["status"] == "Accepted"
    with closing(sqlite3.connect(tmp_path / "arthexis.db")) as db:
        assert db.execute("SELECT identity FROM station").fetchall() == [("CP-1",)]
