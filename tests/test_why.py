"""``arthexis why``: what the node knows of a station, the trouble first, with the next command to try."""

from __future__ import annotations

import pytest
from aiohttp import WSServerHandshakeError

from arthexis.errors import NotFound
from arthexis.testing import Node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def said(host: Node, station: str) -> str:
    """All findings of a station as lines."""
    found = await host.ask("stations.why", station=station)
    return "\n".join(f"{'!' if f['wrong'] else ' '} {f['said']}" for f in found["findings"])


async def test_a_healthy_station_has_nothing_to_mend(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot(firmwareVersion="1.2.3")
        await cp.result("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
        told = await said(host, "cp-1")
    assert "is connected from 127.0.0.1" in told
    assert "as Acme One 1.2.3" in told
    assert "connector 1 is Available" in told
    assert "!" not in told


async def test_trouble_comes_first_and_names_the_next_command(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        fault = {
            "connectorId": 1,
            "errorCode": "GroundFailure",
            "status": "Faulted",
            "timestamp": "2026-01-01T00:00:00Z",
        }
        await cp.result("StatusNotification", fault)
        await cp.result("StatusNotification", {"connectorId": "2", "errorCode": "NoError", "status": "Available"})
        await host.settle()
        found = await host.ask("stations.why", station="CP-1")
    assert found["findings"][0]["wrong"]
    assert found["next"] == "arthexis send CP-1 Reset --type Soft"
    told = "\n".join(f["said"] for f in found["findings"])
    assert "connector 1 is Faulted (GroundFailure)" in told
    assert "minutes behind" in told
    assert "its frames are mended" in told


@pytest.mark.node(open_mode=False)
async def test_a_refused_station_is_explained_though_it_was_never_added(host: Node) -> None:
    with pytest.raises(WSServerHandshakeError):
        async with wire(host.station_url("CP-9")):
            pass
    await host.settle()
    found = await host.ask("stations.why", station="CP-9")
    assert "unknown station" in found["findings"][0]["said"]
    assert found["next"] == "arthexis stations approve CP-9"


async def test_one_never_heard_of_is_told_how_to_be_added(host: Node) -> None:
    with pytest.raises(NotFound, match="arthexis stations add CP-0"):
        await host.ask("stations.why", station="CP-0")
