"""A node as a process: the commands, and a power cut in the middle of a roll-out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from arthexis_simulator import Station, station

from tests.node_process import NodeProcess, node_process

CONFIG = "[node]\nrole = 'bare'\nenable = ['arthexis-ocpp16:*', 'arthexis-files:*']\n"
NAMES = [f"CP-{number}" for number in range(1, 9)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[NodeProcess]:
    with node_process(tmp_path, "--open", config=CONFIG) as node:
        yield node


def firmware(tmp_path: Path) -> Path:
    path = tmp_path / "acme-2.0.bin"
    path.write_bytes(b"firmware" * 1000)
    return path


async def told(node: NodeProcess, *words: str) -> Any:
    return await asyncio.to_thread(node.ask, *words)


async def test_the_commands_keep_deploy_and_fetch(running: NodeProcess, tmp_path: Path) -> None:
    async with station(running.url, "CP-1") as cp:
        await cp.boot()
        kept = await told(running, "files", "add", str(firmware(tmp_path)))
        assert (kept["name"], kept["size"]) == ("acme-2.0.bin", 8000)
        wave = ("--wave", "10", "--stop-after", "2", "--wait", "20")
        done = await told(running, "deploy", "firmware", "acme-2.0.bin", "--stations", "CP-1", *wave)
        assert (done["state"], [part["state"] for part in done["parts"]]) == ("done", ["installed"])
        assert done["warnings"] == ["Stations may fetch by http, which anybody on the way can read and change"]
        got = await told(running, "diagnostics", "fetch", "CP-1")
        assert [part["state"] for part in got["parts"]] == ["uploaded"]
        assert {row["kind"] for row in await told(running, "files", "list")} == {"firmware", "diagnostics"}
    copy = tmp_path / "copy.bin"
    running.command("files", "get", "acme-2.0.bin", str(copy))
    assert copy.read_bytes() == b"firmware" * 1000
    assert running.command("files", "get", "acme-2.0.bin", str(copy), check=False).returncode == 5
    assert running.ask("deploy", "show", done["id"])["state"] == "done"
    running.command("files", "remove", "acme-2.0.bin")
    assert running.command("files", "show", "acme-2.0.bin", check=False).returncode == 5


async def test_a_power_cut_in_a_roll_out_asks_no_station_twice(running: NodeProcess, tmp_path: Path) -> None:
    await told(running, "files", "add", str(firmware(tmp_path)))
    fleet: list[Station] = []
    async with AsyncExitStack() as stack:
        for name in NAMES:
            fleet.append(await stack.enter_async_context(station(running.url, name)))
            await fleet[-1].boot()
        for kill_after in (1, 6):
            before = {cp.identity: len(cp.got("UpdateFirmware")) for cp in fleet}
            begun = await told(running, "deploy", "firmware", "acme-2.0.bin", "--stations", ",".join(NAMES))
            await _asked(fleet, before, kill_after)
            running.kill()
            await asyncio.to_thread(running.restart)
            for cp in fleet:
                await cp.renew()
                await cp.boot()
            await _over(running, begun["id"])
            after = {cp.identity: len(cp.got("UpdateFirmware")) - before[cp.identity] for cp in fleet}
            assert max(after.values()) == 1, after
            rows = running.rows("SELECT count(*) AS many FROM operation WHERE action = 'UpdateFirmware' GROUP BY batch")
            sent = running.rows(
                "SELECT batch FROM operation WHERE sent_at IS NOT NULL GROUP BY batch HAVING count(*) > 1"
            )
            assert rows
            assert sent == []


async def _asked(fleet: list[Station], before: dict[str, int], many: int) -> None:
    """Wait until so many stations were asked in this round."""
    async with asyncio.timeout(10):
        while sum(len(cp.got("UpdateFirmware")) > before[cp.identity] for cp in fleet) < many:
            await asyncio.sleep(0.001)


async def _over(running: NodeProcess, deployment: str) -> None:
    """Wait until each station's part has ended, or is one of which it is not known whether it was asked.

    A download that the cut spoilt is a failure, and may stop the roll-out: then nobody else is asked either.
    """
    for _ in range(25):
        shown = await told(running, "deploy", "show", deployment)
        parts = shown["parts"]
        states = {part["state"] for part in parts if "may have been heard" not in part["said"]}
        if shown["state"] == "stopped" or states <= {"installed", "failed"}:
            return
        await asyncio.sleep(0.3)
    pytest.fail(f"not over: {[(part['station'], part['state'], part['said']) for part in parts]}")
