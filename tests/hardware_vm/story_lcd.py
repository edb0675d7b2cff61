"""A node whose display stands on a bus of the kernel: i2c-dev over i2c-stub, read by the kernel's own trace of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from arthexis.testing import wire
from tests.node_process import NodeProcess, node_process

CONFIG = "[node]\nrole = 'bare'\nenable = ['arthexis-ocpp16:*', 'arthexis-lcd:*']\n"
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T12:00:00Z"}


async def test_a_node_draws_on_a_bus_of_the_kernel(bus: int, traced: Any, tmp_path: Path) -> None:
    config = f"{CONFIG}[plugins.lcd]\nbus = {bus}\nname = 'Garáž'\n"
    with node_process(tmp_path, "--open", config=config) as node:
        assert await asyncio.to_thread(traced.until, lambda shown: shown[1] == "0 open, 0 online")
        print("the display shows:", traced.lines())
        async with wire(f"{node.url}/CP-1") as station:
            await station.boot()
            await station.result("StartTransaction", START)
            await asyncio.to_thread(traced.until, lambda shown: shown[0] == "CP-1 #1")
            print("the display shows:", traced.lines())
            said = ("lcd", "say", "Žluťoučký kůň", "--for", "10m")
            await asyncio.to_thread(node.command, *said, timeout_s=240.0)
            await asyncio.to_thread(traced.until, lambda shown: shown[0] == "Žluťoučký kůň")
            print("the display shows:", traced.lines())
        assert node.stop() == 0
    assert traced.lines() == ["    Goodbye", ""]
    print("the display shows:", traced.lines())


def test_probing_finds_the_display_on_its_bus(bus: int, tmp_path: Path) -> None:
    found = NodeProcess(tmp_path, config=CONFIG).command("lcd", "probe", timeout_s=240.0).stdout
    print(found)
    assert f"/dev/i2c-{bus}: 0x27" in found
