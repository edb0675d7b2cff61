"""The tutorial of docs/plugins.md made real: its files written, installed into an environment of their own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import sysconfig
import time
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STARTED_S = 30.0
FILE = re.compile(r"`(?P<path>[\w./]+)`:\n\n```\w+\n(?P<text>.*?)```\n", re.DOTALL)
SHELL = re.compile(r"^```sh\n(?P<lines>.*?)^```\n", re.DOTALL | re.MULTILINE)


def files(page: Path) -> dict[str, str]:
    """The files that a page shows, by their path."""
    return {found["path"]: found["text"] for found in FILE.finditer(page.read_text("utf-8"))}


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks."""
    return [line for block in SHELL.finditer(page.read_text("utf-8")) for line in block["lines"].splitlines() if line]


@dataclass
class Environment:
    """A virtual environment and a data folder; ``run`` runs ``python -m arthexis …`` or another module in them."""

    folder: Path
    home: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ARTHEXIS")}
        return {**kept, "ARTHEXIS_HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *args: str, module: str = "arthexis", status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.python), "-m", module, *args],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == status, f"{args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def install(self, *what: str) -> None:
        """Install from this machine alone: nothing is fetched, what it depends on is there."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python), "install"]
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        done = subprocess.run([*pip, *options, *what], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def environment(folder: Path, *, editable: bool) -> Environment:
    """An environment that sees what is installed here; without ``editable`` only what this clone needs."""
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"), folder / "Lib" / "site-packages")
    ours = Path(sysconfig.get_path("purelib"))
    if editable:
        (site / "zz_outside.pth").write_text(f"import site; site.addsitedir({str(ours)!r})\n", "utf-8")
    else:
        for there in ours.iterdir():
            if "arthexis" not in there.name and there.suffix != ".pth":
                (site / there.name).symlink_to(there, target_is_directory=there.is_dir())
    return Environment(folder, folder / "home")


class Running:
    """A node of an environment as a process of its own, on a free port, until the block ends."""

    def __init__(self, made: Environment, *options: str) -> None:
        self._made = made
        self._options = options

    async def __aenter__(self) -> int:
        made = self._made
        command = [str(made.python), "-m", "arthexis", "start", "--open", "--port", "0", *self._options]
        self._log = (made.folder / "node.log").open("wb")
        self._node = subprocess.Popen(
            command, env=made.environ, cwd=made.folder, stdout=self._log, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + STARTED_S
        while not (made.home / "control.json").exists():
            if self._node.poll() is not None or time.monotonic() > until:
                raise AssertionError((made.folder / "node.log").read_text("utf-8"))
            await asyncio.sleep(0.05)
        return int(json.loads((made.home / "control.json").read_bytes())["url"].rpartition(":")[2])

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._made.run, "stop")
        self._node.wait(STARTED_S)
        self._log.close()
