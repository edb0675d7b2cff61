"""What the host's tests share: plugins installed for one test, the command as a process, handshakes, databases."""

from __future__ import annotations

import asyncio
import base64
import configparser
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio

from arthexis.clock import Clock
from arthexis.db import migrate
from arthexis.db.engine import Database
from arthexis.db.journal import Journal
from arthexis.plugins.discover import normal
from tests.needs import lacks
from tests.postgresql import Cluster, binaries

HOST = migrate.Chain(migrate.HOST, migrate.HOST_MIGRATIONS)
ZOO = Path(__file__).parent / "zoo"
EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
START_S = 40.0
HANDSHAKE = (
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


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
class Installed:
    """A plugin that is installed while a test runs: ``pattern`` selects it, ``module`` is what the node imported."""

    pattern: str
    name: str

    @property
    def module(self) -> ModuleType:
        """The plugin's module; imported by the node if it selected it."""
        return sys.modules[self.name]


@pytest.fixture
def installed(site: Site) -> Callable[..., Installed]:
    """Install a plugin from its source text: ``installed(source, name="acme")``, as pip would leave it behind."""

    def install(source: str, name: str = "acme") -> Installed:
        return Installed(site.add(source, name), name)

    return install


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


@dataclass
class Handshake:
    """An HTTP answer as it stood on the wire, and the socket behind it."""

    status: int
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    async def close_code(self) -> int | None:
        """The code of the close frame that comes next; None if the connection just ends."""
        head = await asyncio.wait_for(self.reader.read(4), 5)
        return int.from_bytes(head[2:4]) if head[:1] == b"\x88" else None


Upgrade = Callable[..., Awaitable[Handshake]]


@pytest_asyncio.fixture
async def upgrade() -> AsyncIterator[Upgrade]:
    """Ask for a WebSocket by hand: ``await upgrade(port, "/ocpp/CP-1", "Sec-WebSocket-Protocol: ocpp1.6")``.

    ``lines`` are added to the handshake's own headers; one that ends with ``:`` leaves that header out.
    """
    open_sockets: list[asyncio.StreamWriter] = []

    async def ask(port: int, path: str, *lines: str | bytes) -> Handshake:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        open_sockets.append(writer)
        writer.write(_request(path, lines))
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2])]
        answer = Handshake(int(head[0].split()[1]), headers, reader, writer)
        answer.body = await reader.readexactly(int(answer.header("content-length") or 0))
        return answer

    yield ask
    for writer in open_sockets:
        writer.close()


def _request(path: str, lines: tuple[str | bytes, ...]) -> bytes:
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    named = {line.partition(b":")[0].lower() for line in raw if line.partition(b":")[0].lower() != b"cookie"}
    kept = [line.encode() for line in HANDSHAKE if line.partition(":")[0].lower().encode() not in named]
    sent = [*kept, *(line for line in raw if not line.endswith(b":"))]
    return b"\r\n".join([f"GET {path} HTTP/1.1".encode(), *sent, b"", b""])


def basic(user: str, key: str | bytes) -> str:
    """The header line of HTTP Basic authentication."""
    secret = key.encode() if isinstance(key, str) else key
    return f"Authorization: Basic {base64.b64encode(user.encode() + b':' + secret).decode()}"


@pytest.fixture(name="basic")
def basic_fixture() -> Callable[[str, str | bytes], str]:
    """``basic(user, key)``: the header line of HTTP Basic authentication; the key may be any bytes."""
    return basic


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of this test run. Where CI runs it must be there; elsewhere its tests are skipped."""
    commands = binaries()
    if commands is None:
        lacks("no PostgreSQL server is installed (Debian: apt install postgresql)")
    server = Cluster(commands)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database; the test runs once for each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("cluster").database()
    return f"sqlite:///{tmp_path / 'arthexis.db'}"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the clone with every example: its source, its wheel, and all of them installed in ``site``."""
    folder = tmp_path_factory.mktemp("shelf")
    clutter = shutil.ignore_patterns("*.egg-info", "build", "__pycache__", ".*")
    rooms = [path.parent for path in EXAMPLES.glob("*/setup.cfg")]
    sources = [shutil.copytree(room, folder / room.name, ignore=clutter) for room in rooms]
    _pip("wheel", "--no-build-isolation", "-w", str(folder / "wheels"), *map(str, sources))
    _pip("install", "--target", str(folder / "site"), *map(str, (folder / "wheels").glob("*.whl")))
    return folder


def _pip(command: str, *words: str) -> None:
    options = ["--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    run = [sys.executable, "-m", "pip", command, *options, *words]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    folder = tmp_path_factory.mktemp("template")
    opened = Database("", folder)
    migrate.upgrade(opened, HOST)
    opened.close()
    return folder / "arthexis.db"


@pytest.fixture
def database(database_url: str, template: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of each kind."""
    opened = Database(database_url, tmp_path)
    if opened.path is not None:
        shutil.copyfile(template, opened.path)
    else:
        migrate.upgrade(opened, HOST)
    yield opened
    opened.close()


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    """A running journal on it."""
    running = Journal(database, Clock())
    await running.start()
    yield running
    await running.stop()
