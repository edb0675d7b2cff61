"""A node whose display stands on a bus of the kernel: i2c-dev over i2c-stub, read by the kernel's own trace of it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arthexis_lcd.virtual import VirtualDisplay

from arthexis.testing import wire
from tests.node_process import NodeProcess, node_process

TRACING = Path("/sys/kernel/tracing")
WRITTEN = re.compile(r"smbus_write: i2c-\d+ a=0*27 f=\w+ c=([0-9a-f]+) BYTE ")
CONFIG = "[node]\nrole = 'bare'\nenable = ['arthexis-ocpp16:*', 'arthexis-lcd:*']\n"
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T12:00:00Z"}


class Traced:
    """What a person would read, from the bytes that the kernel has seen on the bus."""

    def __init__(self) -> None:
        self.display = VirtualDisplay()
        self.display.pause(0.1)
        self._pipe = (TRACING / "trace_pipe").open("rb", buffering=0)
        os.set_blocking(self._pipe.fileno(), False)
        self._rest = ""

    def lines(self) -> list[str]:
        while piece := self._pipe.read(65536):
            whole, _, self._rest = (self._rest + piece.decode()).rpartition("\n")
            for found in WRITTEN.finditer(whole):
                self.display.take(int(found[1], 16))
                self.display.pause(0.005)  # the trace has no pauses; timing is checked elsewhere
        return [line.rstrip() for line in self.display.lines()]

    def until(self, holds: Callable[[list[str]], object], seconds: float = 90.0) -> list[str]:
        ends = time.monotonic() + seconds
        while not holds(lines := self.lines()):
            assert time.monotonic() < ends, f"the display still shows {lines}"
            time.sleep(0.1)
        return lines

    def close(self) -> None:
        self._pipe.close()


@pytest.fixture
def bus() -> Iterator[int]:
    """The number of a bus with a chip at 0x27, whose writes are traced."""
    for words in (["i2c-dev"], ["i2c-stub", "chip_addr=0x27"]):
        subprocess.run(["modprobe", *words], check=True)
    [number] = [int(path.name[4:]) for path in Path("/dev").glob("i2c-*") if _is_stub(path.name)]
    (TRACING / "events/smbus/smbus_write/enable").write_text("1", "ascii")
    yield number
    (TRACING / "events/smbus/smbus_write/enable").write_text("0", "ascii")


def _is_stub(name: str) -> bool:
    return "stub" in Path(f"/sys/class/i2c-dev/{name}/name").read_text("ascii")


@pytest.fixture
def traced(bus: int) -> Iterator[Traced]:
    found = Traced()
    yield found
    found.close()


async def test_a_node_draws_on_a_bus_of_the_kernel(bus: int, traced: Traced, tmp_path: Path) -> None:
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
