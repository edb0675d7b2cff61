"""The first ten minutes: a fresh clone, ./start.sh, and what it prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arthexis.testing import wire

ROOT = Path(__file__).parent.parent
START = 300.0
OFFLINE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_NO_INDEX": "1", "PIP_RETRIES": "0"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="start.sh is for POSIX")


class Clone:
    """A fresh clone and the nodes that its scripts start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path.parent / "log"
        self.running: list[subprocess.Popen[bytes]] = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("ARTHEXIS", "VIRTUAL_ENV", "PYTHON"))}

    def start(self, *options: str, **env: str) -> str:
        """Run ./start.sh until it has said everything; what it printed."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                ["./start.sh", "--port", "0", *options], cwd=self.path, env={**self.env, **env}, stdout=log, stderr=log
            )
        self.running.append(process)
        until = time.monotonic() + START
        while "First page" not in self.said or not (self.path / ".arthexis/control.json").exists():
            assert process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.1)
        time.sleep(0.2)
        return self.said

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8")

    def stop(self) -> None:
        """Run ./stop.sh."""
        done = subprocess.run(["./stop.sh"], cwd=self.path, env=self.env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "Stopped.\n"), done.stderr
        assert self.running.pop().wait(10) == 0


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A copy of the tracked files, as `git clone` leaves them."""
    path = tmp_path_factory.mktemp("first") / "arthexis"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    made = Clone(path)
    yield made
    for process in made.running:
        process.terminate()
        process.wait(15)


async def test_a_fresh_clone_starts_says_where_and_charges(clone: Clone) -> None:
    said = clone.start()
    assert "Making .venv" in said
    url = re.search(r"Stations connect to  (ws://127\.0\.0\.1:\d+/ocpp/)<identity>", said)
    assert url, said
    assert re.search(r"First page           http://127\.0\.0\.1:\d+/", said)
    assert "OPEN MODE" in said
    async with wire(f"{url[1]}CP-1") as cp:
        assert (await cp.boot())["status"] == "Accepted"
        assert (await cp.result("Authorize", {"idTag": "ANY"}))["idTagInfo"]["status"] == "Accepted"
    clone.stop()


def test_the_second_start_is_quick_and_offline(clone: Clone) -> None:
    began = time.monotonic()
    said = clone.start(**OFFLINE)
    assert "Installing" not in said
    assert time.monotonic() - began < 10
    clone.stop()


async def test_strict_makes_strict_the_default(clone: Clone) -> None:
    said = clone.start("--strict", **OFFLINE)
    [url] = re.findall(r"(ws://\S+/ocpp/)<identity>", said)
    async with wire(f"{url}CP-2") as cp:
        await cp.boot()
        assert await cp.error("Heartbeat", {"odd": 1}) == "FormationViolation"
    clone.stop()


def test_lan_closes_the_node_and_prints_every_address(clone: Clone) -> None:
    from arthexis.system import lan_addresses

    said = clone.start("--lan", **OFFLINE)
    printed = re.findall(r"ws://([\d.]+):\d+/ocpp/<identity>", said)
    assert printed == (lan_addresses() or ["127.0.0.1"])
    assert "OPEN MODE" not in said
    assert "arthexis stations add CP-1" in said
    assert "--open" not in said
    clone.stop()


def test_stop_without_a_node_says_so(clone: Clone) -> None:
    done = subprocess.run(["./stop.sh"], cwd=clone.path, env=clone.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "No node is running here.\n")


def test_the_scripts_for_windows_do_the_same() -> None:
    start, stop = ((ROOT / name).read_text() for name in ("start.bat", "stop.bat"))
    for plugin in sorted(path.parent.name for path in ROOT.glob("plugins/*/setup.cfg")):
        assert rf"plugins\{plugin}" in start or "plugins\\%%" in start or "%%P" in start, plugin
    assert "-m arthexis start --open %*" in start
    assert "-m arthexis stop %*" in stop
