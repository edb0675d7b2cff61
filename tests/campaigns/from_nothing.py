"""The tutorial lived by somebody who has its page and our wheels and nothing else.

``python -m tests.campaigns.from_nothing``: in a new environment, a shell types what docs/plugins.md shows, in its
order; files are written as the page has them. A node is started, restarted and stopped on the way, and a station asks
it for a price. The minutes are printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from arthexis.testing import wire
from tests import tutorial

OURS = (".", "plugins/ocpp16", "plugins/roles", "plugins/simulator")
START = "arthexis restart --open"
NEW_POINTS = 'pip install --quiet -e ".[test]"'
SAID_S = 60.0
QUESTION = {"vendorId": "com.acme", "messageId": "GetPrice"}
PRICE = {"status": "Accepted", "data": '{"pricePerKwh":0.31,"asked_by":"CP-1"}'}


class Reader:
    """Somebody with a folder, an environment and a shell."""

    def __init__(self, folder: Path) -> None:
        """Sit down in an empty folder with the page and the wheels."""
        self.folder = folder
        self.page = Path(shutil.copy(tutorial.ROOT / "docs" / "plugins.md", folder))
        self.room = folder / "arthexis-acme"
        ours = ("ARTHEXIS", "PYTEST", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environ = {
            **kept,
            "ARTHEXIS_HOME": str(folder / "home"),
            "ARTHEXIS__HTTP__PORT": "0",
            "PATH": f"{folder / 'env' / 'bin'}{os.pathsep}{kept['PATH']}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_FIND_LINKS": str(folder / "wheels"),
        }

    def type(self, *lines: str, where: Path | None = None) -> str:
        """Type lines into a shell that ends at the first that fails; what they print. Raises ``SystemExit``."""
        done = subprocess.run(
            ["bash", "-ec", "\n".join(lines)],
            cwd=where or self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\n{lines[0]} … ended with {done.returncode}")
        return done.stdout

    def write(self) -> None:
        """Write every file as the page has it."""
        for path, text in tutorial.files(self.page).items():
            (self.room / path).parent.mkdir(parents=True, exist_ok=True)
            (self.room / path).write_text(text, "utf-8")

    def price(self) -> dict[str, str]:
        """What a station of the running node is told."""
        return asyncio.run(self._price())

    async def _price(self) -> dict[str, str]:
        control = self.folder / "home" / "control.json"
        until = time.monotonic() + SAID_S
        while not control.exists():
            if time.monotonic() > until:
                sys.exit(f"no node has started within {SAID_S:g} s")
            await asyncio.sleep(0.1)
        url = json.loads(control.read_bytes())["url"].replace("http", "ws", 1)
        async with wire(f"{url}/ocpp/CP-1") as station:
            await station.boot()
            return await station.result("DataTransfer", QUESTION)


def _wheels(shelf: Path) -> None:
    """Our distributions, built as they leave."""
    rooms = [str(tutorial.ROOT / room) for room in OURS]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "-w", str(shelf), *rooms], check=True)


def _lived(reader: Reader) -> None:
    """Do what the page says, from its first command to its last."""
    lines = tutorial.commands(reader.page)
    start = lines.index(START)
    reader.type(*lines[:start])
    node = subprocess.Popen(["bash", "-c", f"exec {START}"], cwd=reader.room, env=reader.environ)
    try:
        _expect(reader.price() == PRICE, "the node of the page's first part answers with the price")
        reader.write()
        told = reader.type(NEW_POINTS, "pytest -q", *lines[start + 1 :], where=reader.room)
        _expect("3.10" in told, "the command of the page's plugin prints a price")
        reader.type(f"arthexis config set plugins.acme.telemetry.folder {reader.folder}")  # what its cure asks for
        reader.type("arthexis restart", where=reader.room)
        _expect(reader.price() == PRICE, "the node of the page's end answers with the price")
        listed = json.loads(reader.type("arthexis plugins list --json"))
        states = {row["name"]: row["state"] for row in listed if row["distribution"] == "arthexis-acme"}
        for name in ("acme", "acme.clock", "acme.ledger", "acme.telemetry"):
            _expect(states.get(name) == "active", f"{name} is active at the end: {states}")
    finally:
        reader.type("arthexis stop")
        node.wait(SAID_S)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"not so: {what}")


def main() -> None:
    """Live it, and say how many minutes that took; ends with 1 where something is not as the page says."""
    with tempfile.TemporaryDirectory() as there:
        reader = Reader(Path(there))
        _wheels(Path(there) / "wheels")
        began = time.monotonic()
        venv.create(reader.folder / "env", with_pip=True)
        reader.type(
            f"pip install --quiet {' '.join(f'arthexis-{n}' for n in ('host', 'ocpp16', 'roles', 'simulator'))}"
        )
        installed = time.monotonic()
        _lived(reader)
        ended = time.monotonic()
    minutes = (installed - began) / 60, (ended - installed) / 60
    sys.stdout.write(
        f"docs/plugins.md from nothing: {minutes[0]:.1f} minutes to install, {minutes[1]:.1f} to live it\n"
    )


if __name__ == "__main__":
    main()
