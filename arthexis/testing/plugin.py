"""The pytest plugin: fixtures ``host`` (a running node), ``station``, ``stations`` (charge points of it), ``clock``.

Installed with the host, so that it must cost nothing where it is not used: everything is imported by the fixtures.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from arthexis.testing import FrozenClock, Node

OURS = {"host", "station", "stations", "clock"}
MARKERS = (
    "plugins(*patterns): the plugins of the node that the fixture host runs, as distribution:name",
    "node(**settings): what else the fixture host gets: config, open_mode, strict, admit_pending_minutes",
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_pycollect_makeitem(obj: object) -> None:
    """Let coroutine functions that ask for one of these fixtures run, whatever asyncio_mode is set to."""
    if not inspect.iscoroutinefunction(obj) or find_spec("pytest_asyncio") is None:
        return
    marked = {mark.name for mark in getattr(obj, "pytestmark", ())}
    if OURS & set(inspect.signature(obj).parameters) and not marked & {"asyncio", "anyio"}:
        pytest.mark.asyncio(obj)


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands still until ``clock.advance(seconds)``; ``host`` goes by it where a test asks for both."""
    from arthexis.testing import FrozenClock

    return FrozenClock()


if find_spec("pytest_asyncio") is not None:
    import pytest_asyncio

    @pytest_asyncio.fixture
    async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Node]:
        """A real node on a free port with only the plugins that ``@pytest.mark.plugins`` names; strict about faults."""
        from arthexis.testing import node

        patterns = [pattern for mark in request.node.iter_markers("plugins") for pattern in mark.args]
        settings: dict[str, Any] = {}
        for mark in reversed(list(request.node.iter_markers("node"))):
            settings.update(mark.kwargs)
        if "clock" in request.fixturenames:
            settings["clock"] = request.getfixturevalue("clock")
        async with node(tmp_path / "node", plugins=patterns, **settings) as running:
            yield running

    @pytest_asyncio.fixture
    async def stations(host: Node) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
        """Charge points of ``host``: call it with an identity and what else a ``Station`` takes, and await that.

        Each is connected and not yet booted, and ends with the test. On a closed node it is added first, with a key.
        """
        simulator = _simulator()
        async with AsyncExitStack() as stack:

            async def make(identity: str, **settings: Any) -> Any:
                if not host.host.open and "key" not in settings:
                    added = await host.ask("stations.add", station=identity)
                    settings["key"] = bytes.fromhex(added["key_hex"])
                return await stack.enter_async_context(simulator.station(host.url, identity, **settings))

            yield make

    @pytest_asyncio.fixture
    async def station(stations: Callable[..., Awaitable[Any]]) -> Any:
        """A charge point ``CP-1`` of ``host``, connected and not yet booted (an ``arthexis_simulator.Station``)."""
        return await stations("CP-1")

else:

    @pytest.fixture(name="host")
    def no_host() -> None:
        """Say what is missing."""
        _missing("host", "pytest-asyncio")

    @pytest.fixture
    def stations(host: None) -> None:
        """Never reached: ``host`` has failed."""

    @pytest.fixture
    def station(host: None) -> None:
        """Never reached: ``host`` has failed."""


def _simulator() -> Any:
    if find_spec("arthexis_simulator") is None:
        _missing("station", "arthexis-simulator")
    return import_module("arthexis_simulator")


def _missing(fixture: str, distribution: str) -> NoReturn:
    pytest.fail(f"the fixture {fixture} needs {distribution}: pip install 'arthexis-host[testing]'", pytrace=False)
