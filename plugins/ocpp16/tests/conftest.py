"""What the tests of the ten actions share: a booted station, answers checked against the OCA schemas, probe plugins."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import ocpp.v16
import pytest
import pytest_asyncio
from jsonschema import Draft4Validator

from arthexis.testing import Node, Wire, node, wire

SCHEMAS = Path(ocpp.v16.__file__).parent / "schemas"
ALL = "arthexis-ocpp16:*"
_numbers = itertools.count(1)

Play = Callable[..., AbstractAsyncContextManager[Wire]]
Run = Callable[..., AbstractAsyncContextManager[Node]]
Install = Callable[[str], str]


class Checked(Wire):
    """A wire whose every CALLRESULT must satisfy the schema of its action."""

    async def call(self, action: str, payload: Any = None, message_id: Any = None) -> list[Any]:
        frame = await super().call(action, payload, message_id)
        assert len(frame) == (3 if frame[0] == 3 else 5)
        if frame[0] == 3:
            schema = json.loads((SCHEMAS / f"{action}Response.json").read_text("utf-8-sig"))
            Draft4Validator(schema).validate(frame[2])
        return frame


@asynccontextmanager
async def playing(running: Node, identity: str = "CP-1", *, booted: bool = True, **options: Any) -> AsyncIterator[Wire]:
    """A station of a node, booted unless told otherwise."""
    async with wire(running.station_url(identity), **options) as bare:
        station = Checked(bare.socket)
        if booted:
            await station.boot()
        yield station


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose database is migrated and empty: most of what a new node takes its time for."""
    home = tmp_path_factory.mktemp("migrated")

    async def started() -> None:
        async with node(home, plugins=[ALL]):
            pass

    asyncio.run(started())
    return home


@pytest.fixture(autouse=True)
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Let the nodes of this test begin on a copy of that folder."""
    for fixture, folder in (("host", "node"), ("run", "again")):
        if fixture in request.fixturenames:
            shutil.copytree(request.getfixturevalue("migrated"), tmp_path / folder)


@pytest.fixture
def play(host: Node) -> Play:
    """``async with play("CP-1") as cp``: another station of the node ``host``."""
    return lambda identity="CP-1", **options: playing(host, identity, **options)


@pytest_asyncio.fixture
async def cp(host: Node) -> AsyncIterator[Wire]:
    """The station CP-1 of the node ``host``, booted."""
    async with playing(host) as station:
        yield station


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``async with run() as host``: the node of one data folder, to be started more than once."""

    def started(**settings: Any) -> AbstractAsyncContextManager[Node]:
        plugins = [ALL, *settings.pop("plugins", ())]
        return node(tmp_path / "again", plugins=plugins, **settings)

    return started


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a plugin from its source for this test: a distribution as pip leaves it; the pattern to enable it."""
    made: list[str] = []

    def installed(source: str) -> str:
        name = f"probe{next(_numbers)}"
        site = tmp_path / f"site-{name}"
        info = site / f"arthexis_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"arthexis_{name}.py").write_text(source, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: arthexis-{name}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[arthexis.plugins]\n{name} = arthexis_{name}\n", "utf-8")
        monkeypatch.syspath_prepend(str(site))
        made.append(f"arthexis_{name}")
        return f"arthexis-{name}:{name}"

    yield installed
    for module in made:
        sys.modules.pop(module, None)
