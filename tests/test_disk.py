"""A disk that is locked, full or failing: no answer that is a lie, and no harm to what needs no disk."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from arthexis.server import EXIT_DISK
from arthexis.testing import Node, wire
from tests.needs import lacks
from tests.process import NodeProcess

START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
STATUS = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
TRANSACTIONS = "SELECT count(*) FROM charging_transaction"


def counted(path: Path, sql: str = TRANSACTIONS) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(sql).fetchone()[0])


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Another process holds the database."""
    script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
    script += "db.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(path)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        holder.stdin.close()
        await holder.wait()


@pytest.mark.plugins("arthexis-ocpp16:*")
async def test_a_lock_delays_writes_and_nothing_else(host: Node) -> None:
    loop = asyncio.get_running_loop()
    async with wire(host.station_url("CP-1")) as one, wire(host.station_url("CP-2")) as two:
        await one.boot()
        await two.boot()
        async with locked(host.host.database.path or Path()):
            start = asyncio.create_task(one.result("StartTransaction", START))
            longest, until = 0.0, loop.time() + 1.5
            while (before := loop.time()) < until:
                await two.result("Heartbeat")
                longest = max(longest, loop.time() - before)
            assert longest < 1
            assert not start.done()
        assert (await start)["idTagInfo"] == {"status": "Accepted"}


@pytest.mark.plugins("arthexis-ocpp16:*")
@pytest.mark.node(config={"stations": {"handler_timeout_s": 0.5}})
async def test_a_long_lock_is_answered_in_time_and_the_retry_finds_its_row(host: Node) -> None:
    path = host.host.database.path or Path()
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        async with locked(path):
            assert await station.error("StartTransaction", START) == "InternalError"
        first = await station.result("StartTransaction", START)
        assert await station.result("StartTransaction", START) == first
    assert counted(path) == 1
    host.faults()


# ---------------------------------------------------------------------- a full disk, a failing disk


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        lacks("no C compiler is installed (Debian: apt install gcc libc6-dev)")
    library = tmp_path_factory.mktemp("faults") / "disk.so"
    source = Path(__file__).parent / "failpoints" / "disk.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture
async def on_bad_disk(preloaded: Path, tmp_path: Path) -> AsyncIterator[NodeProcess]:
    env = {"LD_PRELOAD": str(preloaded), "FAULTS": str(tmp_path)}
    async with NodeProcess(tmp_path / "node", env=env) as process:
        yield process


async def health(process: NodeProcess) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{process.url}/health") as answer:
        return answer.status


async def test_a_full_disk_refuses_transactions_answers_the_rest_and_heals(
    on_bad_disk: NodeProcess, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    async with wire(on_bad_disk.station_url("CP-1")) as station:
        assert (await station.boot())["status"] == "Accepted"
        full.touch()
        assert await station.error("StartTransaction", START) == "InternalError"
        assert await station.error("StatusNotification", STATUS) == "InternalError"
        assert "currentTime" in await station.result("Heartbeat")
        assert (await station.boot())["status"] == "Pending", "nothing was accepted; it boots again soon"
        assert await health(on_bad_disk) == 503
        full.unlink()
        started: dict[str, Any] = await station.result("StartTransaction", START)
        assert started["idTagInfo"] == {"status": "Accepted"}
        assert (await station.boot())["status"] == "Accepted"
        assert await health(on_bad_disk) == 200
    await on_bad_disk.kill()
    assert counted(on_bad_disk.home / "arthexis.db") == 1


async def test_a_failing_disk_ends_the_node_before_it_acknowledges_anything(
    on_bad_disk: NodeProcess, tmp_path: Path
) -> None:
    async with wire(on_bad_disk.station_url("CP-1")) as station, wire(on_bad_disk.station_url("CP-2")) as other:
        await station.boot()
        await other.boot()
        (tmp_path / "broken").touch()

        async def ask(socket: Any, payload: dict[str, Any]) -> list[Any]:
            try:
                return list(await socket.call("StartTransaction", payload))
            except Exception as error:
                return [type(error).__name__]

        answers = await asyncio.gather(ask(station, START), ask(other, {**START, "idTag": "OTHER"}))
        assert 3 not in {answer[0] for answer in answers}
    assert await on_bad_disk.ended() == EXIT_DISK
    assert "the disk failed" in on_bad_disk.output()
