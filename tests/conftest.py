"""What the host's tests share: distributions installed for one test, and the command as a real process."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from arthexis.plugins.discover import normal

ZOO = Path(__file__).parent / "zoo"
START_S = 40.0


class Site:
    """A folder of installed distributions, as pip would leave them behind; on this process's path while a test runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modules: set[str] = set()
        path.mkdir(parents=True, exist_ok=True)

    def add(
        self,
        source: str,
        name: str = "acme",
        *,
        distribution: str | None = None,
        entries: Mapping[str, str] | None = None,
        group: str = "arthexis.plugins",
        files: Mapping[str, str] | None = None,
    ) -> str:
        """Install a plugin from its source text; the pattern that selects it. ``files`` are put beside its module."""
        distribution = distribution or name
        module = name.replace(".", "_").replace("-", "_")
        if source:
            (self.path / f"{module}.py").write_text(source, "utf-8")
            self.modules.add(module)
        for path, text in (files or {}).items():
            (self.path / path).parent.mkdir(parents=True, exist_ok=True)
            (self.path / path).write_text(text, "utf-8")
            self.modules.add(path.partition("/")[0])
        self._declare(distribution, group, entries or {name: module})
        return f"{normal(distribution)}:{name}"

    def animal(self, folder: str) -> list[str]:
        """Install one of the zoo; the patterns of its plugins."""
        described = configparser.ConfigParser()
        described.read(ZOO / folder / "setup.cfg")
        distribution = described["metadata"]["name"]
        lines = described["options.entry_points"]["arthexis.plugins"].strip().splitlines()
        entries = dict(line.split(" = ") for line in lines)
        for found in (ZOO / folder).glob("zoo_*"):
            copy = shutil.copytree if found.is_dir() else shutil.copy
            copy(found, self.path / found.name)
            self.modules.add(found.stem)
        self._declare(distribution, "arthexis.plugins", entries)
        return [f"{distribution}:{name}" for name in entries]

    def remove(self, distribution: str) -> None:
        """Take a distribution away again, as `pip uninstall` does; its modules stay forgotten."""
        shutil.rmtree(next(self.path.glob(f"{distribution.replace('-', '_')}-*.dist-info")))

    def _declare(self, distribution: str, group: str, entries: Mapping[str, str]) -> None:
        info = self.path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", "utf-8")
        lines = [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items()), ""]
        with (info / "entry_points.txt").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines))
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty folder of installed distributions."""
    made = Site(tmp_path / "site-packages")
    sys.path.insert(0, str(made.path))
    yield made
    sys.path.remove(str(made.path))
    for name in [n for n in sys.modules if n.partition(".")[0] in made.modules]:
        del sys.modules[name]


@dataclass(frozen=True)
class Ended:
    """A command that has run: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error that a command with --json printed."""
        return dict(json.loads(self.err.strip().splitlines()[-1])["error"])


@dataclass
class Arthexis:
    """The command ``arthexis`` as a real process, on a data folder of its own."""

    home: Path
    env: dict[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 60.0) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "arthexis", *arguments],
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.home / "arthexis.toml"

    def write(self, text: str) -> None:
        """Write the configuration file."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.file.write_text(text, "utf-8")

    def control(self) -> dict[str, Any] | None:
        """The control file of the node, or None."""
        try:
            return dict(json.loads((self.home / "control.json").read_text("utf-8")))
        except (OSError, ValueError):
            return None

    def start(self, *options: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a node on a free port and wait until it listens."""
        log = (self.home.parent / "node.log").open("a", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "arthexis", "start", "--port", "0", *options],
            env={**self.env, **(env or {})},
            stdout=log,
            stderr=log,
            text=True,
        )
        log.close()
        self.running.append(process)
        until = time.monotonic() + START_S
        while self.control() is None:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the node did not start: {self.log}")
            time.sleep(0.05)
        return process

    @property
    def log(self) -> str:
        """What nodes have printed."""
        return (self.home.parent / "node.log").read_text("utf-8")

    @property
    def url(self) -> str:
        """Where the node listens."""
        return str((self.control() or {})["url"])

    def station_url(self, identity: str) -> str:
        """Where a station connects."""
        return f"{self.url.replace('http', 'ws', 1)}/ocpp/{identity}"


@pytest.fixture
def arthexis(tmp_path: Path, site: Site) -> Iterator[Arthexis]:
    """The command, with the distributions of ``site`` installed; nodes that it started are stopped."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ARTHEXIS", "COVERAGE"))}
    env = {**kept, "ARTHEXIS_HOME": str(tmp_path / "home"), "PYTHONPATH": str(site.path), "NO_COLOR": "1"}
    made = Arthexis(tmp_path / "home", env)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.terminate()
    for process in made.running:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
