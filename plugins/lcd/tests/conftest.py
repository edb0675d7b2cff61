"""What these tests share: a bus that the kernel seems to have, with a display on it that is read byte by byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.needs import lacks

HERE = Path(__file__).parent
PRELOAD = "libumockdev-preload.so.0"
DEBIANS_PYTHON = "/usr/bin/python3"


class MockBus:
    """``/dev/i2c-1`` as umockdev makes it; ``bus("unplug")`` and so on are the commands of ``mock_bus.py``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["umockdev-wrapper", DEBIANS_PYTHON, str(HERE / "mock_bus.py")],
            env={**os.environ, "PYTHONPATH": str(HERE.parent / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.folder = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the bus has ended"
        return line.strip()

    def __call__(self, command: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    @property
    def environment(self) -> dict[str, str]:
        """With this, a process sees the bus."""
        return {"UMOCKDEV_DIR": self.folder, "LD_PRELOAD": PRELOAD}

    @property
    def lines(self) -> list[str]:
        """What a person reads on the display."""
        return [line.rstrip() for line in self("see")["lines"]]

    def until(self, holds: Callable[[list[str]], Any], seconds: float = 10.0) -> list[str]:
        """Wait until what is read is so; what is read then."""
        ends = time.monotonic() + seconds
        while not holds(lines := self.lines):
            assert time.monotonic() < ends, f"the display still shows {lines}"
            time.sleep(0.03)
        return lines

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        finally:
            self._process.kill()
            self._process.stdout.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def _can_mock() -> bool:
    if shutil.which("umockdev-wrapper") is None or not Path(DEBIANS_PYTHON).exists():
        return False
    probe = "import gi; gi.require_version('UMockdev', '1.0')"
    return subprocess.run([DEBIANS_PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockBus]:
    """A bus with a display at 0x27, which every process that the test starts from now on sees as /dev/i2c-1."""
    if not _can_mock():
        lacks("umockdev is not here: apt install umockdev gir1.2-umockdev-1.0 python3-gi")
    found = MockBus()
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    yield found
    found.close()
