"""What these tests share: a node with virtual readers, and its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.node_files import control_of
from arthexis.testing import Node, node
from tests.conftest import site  # noqa: F401

PLUGINS = ("arthexis-ocpp16:*", "arthexis-rfid:rfid")


async def until(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What ``holds`` answers as soon as that is true."""
    async with asyncio.timeout(seconds):
        while not (found := holds()):
            await asyncio.sleep(0.02)
    return found


class Desk:
    """A node with readers, and what a person or a console does with them."""

    def __init__(self, running: Node, http: ClientSession) -> None:
        self.node = running
        self.http = http

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        async with self.http.request(method, f"/api/v1/rfid{path}", json=body) as response:
            assert response.status == status, await response.text()
            return await response.json() if response.content_type.endswith("json") else None

    async def scan(self, uid: str, reader: str = "desk") -> dict[str, Any]:
        """Hold a card against a virtual reader, once it has left it; what came of it."""
        while uid in {each["uid"] for each in (await self.reader(reader))["present"]}:
            await asyncio.sleep(0.02)
        newest = (await self.ask("GET", "/scans"))["newest"]
        await self.ask("POST", f"/readers/{reader}/cards", {"uid": uid}, status=202)
        return dict(await self.next_scan(newest))

    async def next_scan(self, newest: int, wait_s: float = 5.0) -> dict[str, Any]:
        while True:
            found = await self.ask("GET", f"/scans?after={newest}&wait_s={wait_s}")
            assert found["items"], "no scan came"
            scanned = [each for each in found["items"] if each["change"] == "scanned"]
            if scanned:
                return dict(scanned[0])
            newest = found["newest"]

    async def reader(self, name: str = "desk") -> dict[str, Any]:
        return next(each for each in (await self.ask("GET", "/readers"))["items"] if each["name"] == name)

    async def is_(self, state: str, name: str = "desk", seconds: float = 10.0) -> dict[str, Any]:
        """The reader as soon as it is so."""
        async with asyncio.timeout(seconds):
            while (found := await self.reader(name))["state"] != state:
                await asyncio.sleep(0.05)
        return found


def _as_a_command(running: Node) -> dict[str, str]:
    control = control_of(running.host.home)
    return {"Authorization": f"Bearer {control.token}"} if control else {}


Opened = Callable[..., Any]


@pytest.fixture
def desk(tmp_path: Path) -> Opened:
    """``async with desk({"driver": "virtual"}) as desk``: a node with this reader, called desk, and these plugins."""

    @asynccontextmanager
    async def opened(*readers: dict[str, Any], plugins: tuple[str, ...] = (), **settings: Any) -> AsyncIterator[Desk]:
        named = [{"name": "desk", "gap_s": 0.2, **reader} for reader in readers or ({"driver": "virtual"},)]
        config = {"plugins": {"rfid": {"readers": named, "retry_s": 0.2}}}
        async with (
            node(tmp_path / "node", plugins=[*PLUGINS, *plugins], config=config, **settings) as running,
            ClientSession(running.url, headers=_as_a_command(running)) as http,
        ):
            yield Desk(running, http)

    return opened
