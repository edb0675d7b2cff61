"""The fixtures ``station`` and ``stations`` that plugin authors get with the host."""

from __future__ import annotations

import pytest
from arthexis_simulator import Station

from arthexis.testing import Node, plugin

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
