"""What these tests share: a node with files and OCPP 1.6, firmware in its store, booted stations, its API."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from arthexis_files.node import Files, files_of

from arthexis.testing import Node, node

PLUGINS = ("arthexis-ocpp16:*", "arthexis-files:*")
FIRMWARE = bytes(range(256)) * 3_000
ENDED = {"installed", "uploaded", "nothing", "failed", "cancelled"}

Parts = Callable[[str], Awaitable[dict[str, dict[str, Any]]]]
Asked = Callable[..., Awaitable[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every node of these tests runs these plugins."""
    for item in items:
        if "plugins/files" in item.path.as_posix():
            item.add_marker(pytest.mark.plugins(*PLUGINS))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose database is migrated and empty: most of what a new node takes its time for."""
    home = tmp_path_factory.mktemp("migrated")

    async def started() -> None:
        async with node(home, plugins=PLUGINS):
            pass

    asyncio.run(started())
    return home


@pytest.fixture(autouse=True)
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Let the node of this test begin on a copy of that folder."""
    if "host" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("migrated"), tmp_path / "node")


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    """What ``holds`` answers as soon as that is true."""
    async with asyncio.timeout(seconds):
        while not (found := await holds()):
            await asyncio.sleep(0.05)
    return found


@pytest.fixture
def files(host: Node) -> Files:
    """The files of the node."""
    return files_of(host.host)


@pytest_asyncio.fixture
async def http(host: Node) -> AsyncIterator[ClientSession]:
    """A client of the node."""
    async with ClientSession(host.url) as session:
        yield session


@pytest_asyncio.fixture
async def firmware(http: ClientSession) -> dict[str, Any]:
    """Firmware in the node's store, as the API tells of it."""
    async with http.post("/api/v1/files", params={"name": "acme-2.0.bin"}, data=FIRMWARE) as response:
        assert response.status == 201, await response.text()
        return dict(await response.json())


@pytest.fixture
def deploy(http: ClientSession) -> Asked:
    """``await deploy(stations=[…], file=…)``: the id of a new deployment."""

    async def begun(**wish: Any) -> str:
        async with http.post("/api/v1/deployments", json=wish) as response:
            assert response.status == 202, await response.text()
            return str((await response.json())["id"])

    return begun


@pytest.fixture
def parts(http: ClientSession) -> Parts:
    """``await parts(deployment)``: what became of each station, by its identity."""

    async def found(deployment: str) -> dict[str, dict[str, Any]]:
        async with http.get(f"/api/v1/deployments/{deployment}/stations") as response:
            return {part["station"]: part for part in (await response.json())["items"]}

    return found


@pytest.fixture
def ended(parts: Parts) -> Asked:
    """``await ended(deployment)``: the state of each station when all have ended."""

    async def states(deployment: str, seconds: float = 15.0) -> dict[str, str]:
        async def all_ended() -> dict[str, str] | None:
            found = {name: part["state"] for name, part in (await parts(deployment)).items()}
            return found if set(found.values()) <= ENDED else None

        return dict(await until(all_ended, seconds))

    return states  # type: ignore[return-value]


@pytest.fixture
def content() -> bytes:
    """The firmware's bytes."""
    return FIRMWARE


@pytest.fixture
def passive(stations: Any) -> Callable[..., Awaitable[Any]]:
    """``await passive("CP-1")``: a booted station that takes every request for files and does nothing by itself."""

    async def made(identity: str = "CP-1") -> Any:
        cp = await stations(identity)
        await cp.boot()
        cp.answer("UpdateFirmware", {})
        cp.answer("GetDiagnostics", {"fileName": "log.txt"})
        return cp

    return made


@pytest_asyncio.fixture
async def location(passive: Any, deploy: Any, firmware: dict[str, Any]) -> str:
    """Where CP-1 was told to fetch the firmware from."""
    cp = await passive()
    await deploy(stations=["CP-1"], file=firmware["id"])
    return str((await cp.expect("UpdateFirmware"))["location"])


@pytest_asyncio.fixture
async def folder(passive: Any, deploy: Any) -> str:
    """Where CP-1 was told to bring its diagnostics to."""
    cp = await passive()
    await deploy(stations=["CP-1"])
    return str((await cp.expect("GetDiagnostics"))["location"])
