"""What the host's tests share: plugins installed for one test, and handshakes made by hand on a bare TCP socket."""

from __future__ import annotations

import asyncio
import base64
import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
import pytest_asyncio

HANDSHAKE = (
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


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
def installed(tmp_path: Path) -> Iterator[Callable[..., Installed]]:
    """Install a plugin from its source text: ``installed(source, name="acme")``, as pip would leave it behind."""
    site, names = tmp_path / "site-packages", []

    def install(source: str, name: str = "acme") -> Installed:
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text(source, "utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[arthexis.plugins]\n{name} = {name}\n", "utf-8")
        names.append(name)
        importlib.invalidate_caches()
        return Installed(f"{name}:{name}", name)

    sys.path.insert(0, str(site))
    yield install
    sys.path.remove(str(site))
    for name in names:
        sys.modules.pop(name, None)


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
