"""The fixtures ``station`` and ``stations`` that plugin authors get with the host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from arthexis_simulator import Station

from arthexis.errors import PluginError
from arthexis.testing import Node, Wire, node, plugin, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def test_a_station_of_the_host_waits_to_boot(station: Station, host: Node) -> None:
    assert (station.identity, station.connected, station.accepted) == ("CP-1", True, False)
    assert station.url == host.station_url("CP-1")


async def test_the_factory_makes_more_of_them(stations, host: Node) -> None:
    made = [await stations(f"CP-{number}", connectors=number) for number in (1, 2, 3)]
    for cp in made:
        await cp.boot()
    assert {row["identity"] for row in await host.ask("stations.list") if row["connected"]} == {"CP-1", "CP-2", "CP-3"}
    assert [len(cp.connectors) for cp in made] == [1, 2, 3]


def test_without_the_simulator_the_fixture_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "find_spec", lambda _name: None)
    with pytest.raises(pytest.fail.Exception, match=r"pip install 'arthexis-host\[testing\]'"):
        plugin._simulator()


PLAIN = """
import pytest

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def test_a_station_boots(station):
    assert (await station.boot()).status == "Accepted"


class TestNode:
    async def test_it_listens(self, host):
        assert host.url.startswith("http://127.0.0.1:")


async def test_the_clock_stands_still(clock):
    before = clock.now()
    clock.advance(10)
    assert (clock.now() - before).total_seconds() == 10
"""


@pytest.mark.parametrize(("without", "ended"), [((), "3 passed"), (("-p", "hide"), "2 errors")])
def test_no_setting_of_pytest_is_needed_and_what_is_missing_is_named(
    without: tuple[str, ...], ended: str, tmp_path: Path
) -> None:
    (tmp_path / "test_plain.py").write_text(PLAIN, "utf-8")
    hidden = "import sys; sys.modules['pytest_asyncio'] = None"
    (tmp_path / "hide.py").write_text(hidden, "utf-8")
    path = {"PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if without else {}
    plugins = [*without, "-p", "arthexis.testing.plugin"] if without else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, "."],
        cwd=tmp_path,
        env={**os.environ, **path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended in done.stdout, done.stdout + done.stderr
    if without:
        assert "the fixture host needs pytest-asyncio: pip install 'arthexis-host[testing]'" in done.stdout


def test_what_the_page_on_testing_offers_is_there() -> None:
    page = (Path(__file__).parent.parent / "docs" / "testing.md").read_text("utf-8")
    offered = {(thing, name) for thing, name in re.findall(r"\b(host|station)\.(\w+)", page)}
    there = {"host": {*dir(Node), "host"}, "station": {*dir(Station), *dir(Wire), "log", "calls"}}
    assert len(offered) > 30
    assert [(thing, name) for thing, name in sorted(offered) if name not in there[thing]] == []


async def test_a_station_is_found_while_it_is_connected(station: Station, host: Node) -> None:
    await station.boot()
    found = host.host.connected("cp-1")
    assert found is not None
    assert found.id == "CP-1"
    await station.disconnect()
    await host.settle()
    assert host.host.connected("CP-1") is None


async def test_a_command_is_typed_beside_the_node(station: Station, host: Node) -> None:
    await station.boot()
    assert "CP-1" in await host.run("stations", "list")
    with pytest.raises(AssertionError, match="Did you mean"):
        await host.run("statons")


async def test_a_plugin_that_is_not_there_tests_nothing(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"Did you mean arthexis-ocpp16:ocpp16.heartbeat\?"):
        async with node(tmp_path, plugins=["arthexis-ocpp16:ocpp16.hartbeat"]):
            pytest.fail("it runs")


async def test_a_contained_fault_fails_the_test_with_what_was_raised(installed, tmp_path: Path) -> None:
    told = "raise LookupError('no price')"
    acme = installed(f"from arthexis import hookimpl\n@hookimpl\nasync def on_booted(event):\n    {told}\n")

    async def boot() -> None:
        async with node(tmp_path, plugins=["arthexis-ocpp16:*", acme.pattern]) as running:
            async with wire(running.station_url("CP-1")) as station:
                await station.boot()
            await running.settle()

    with pytest.raises(AssertionError, match="acme: LookupError: no price") as failed:
        await boot()
    assert isinstance(failed.value.__cause__, LookupError)
