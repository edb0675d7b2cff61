"""What the stories share: a bus of the kernel with a display on it, read through the kernel's own trace of the bus."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arthexis_lcd.virtual import VirtualDisplay

from tests import node_process

TRACING = Path("/sys/kernel/tracing")
WRITTEN = re.compile(r"smbus_write: i2c-\d+ a=0*27 f=\w+ c=([0-9a-f]+) BYTE ")


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


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulated processor is twenty times slower: a node may take its time to start and to stop."""
    monkeypatch.setattr(node_process, "START_S", 300.0)
    monkeypatch.setattr(node_process, "STOP_S", 120.0)


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
