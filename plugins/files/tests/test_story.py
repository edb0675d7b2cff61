"""The whole story: a simulated station is told, fetches, installs and reports; it brings its diagnostics."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.testing import Node

FTP = pytest.mark.node(config={"plugins": {"files": {"ftp": "ftp", "ftp_port": 0, "schemes": ["ftp", "http"]}}})


@pytest.mark.parametrize("breaks_at", [None, 300_000])
async def test_a_station_fetches_its_firmware_also_in_two_pieces_and_installs_it(
    stations: Any, firmware: dict[str, Any], content: bytes, deploy: Any, ended: Any, breaks_at: int | None
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    cp.files.breaks_at = breaks_at
    deployment = await deploy(stations=["CP-1"], file=firmware["id"])
    assert await ended(deployment) == {"CP-1": "installed"}
    assert cp.files.fetched == content
    said = [payload["status"] for payload in cp.sent("FirmwareStatusNotification")]
    assert said == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert cp.sent("BootNotification")[-1]["firmwareVersion"] == "acme-2.0"


@FTP
@pytest.mark.parametrize("breaks_at", [None, 300_000])
async def test_the_same_over_ftp(
    stations: Any, firmware: dict[str, Any], content: bytes, deploy: Any, ended: Any, breaks_at: int | None
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    cp.files.breaks_at = breaks_at
    deployment = await deploy(stations=["CP-1"], file=firmware["id"], scheme="ftp")
    assert await ended(deployment) == {"CP-1": "installed"}
    assert cp.files.fetched == content
    assert cp.got("UpdateFirmware")[0]["location"].startswith("ftp://CP-1:")


@FTP
@pytest.mark.parametrize("scheme", ["http", "ftp"])
async def test_a_station_brings_its_diagnostics(
    stations: Any, http: ClientSession, deploy: Any, ended: Any, parts: Any, scheme: str
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    deployment = await deploy(stations=["CP-1"], scheme=scheme)
    assert await ended(deployment) == {"CP-1": "uploaded"}
    uid = (await parts(deployment))["CP-1"]["file"]
    async with http.get(f"/api/v1/files/{uid}") as response:
        told = await response.json()
    assert (told["kind"], told["name"], told["station"]) == ("diagnostics", "CP-1-diagnostics.log", "CP-1")
    async with http.get(f"/api/v1/files/{uid}/content") as response:
        assert b"BootNotification" in await response.read()
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_station_without_diagnostics_has_ended_with_nothing(stations: Any, deploy: Any, ended: Any) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    cp.answer("GetDiagnostics", {})
    assert await ended(await deploy(stations=["CP-1"])) == {"CP-1": "nothing"}


@FTP
@pytest.mark.parametrize(
    ("spoken", "scheme"), [("FTP", "ftp"), ("HTTP,HTTPS", "http"), (" ftp ; Http ", "ftp"), (None, "http")]
)
async def test_the_scheme_is_one_that_the_station_says_to_speak(
    host: Node, stations: Any, firmware: dict[str, Any], deploy: Any, ended: Any, spoken: str | None, scheme: str
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    if spoken is not None:
        cp.configuration["SupportedFileTransferProtocols"] = spoken
        await host.ask("operations.send", station="CP-1", action="GetConfiguration", wait=5.0)
    assert await ended(await deploy(stations=["CP-1"], file=firmware["id"])) == {"CP-1": "installed"}
    assert cp.got("UpdateFirmware")[0]["location"].partition(":")[0] == scheme


async def test_a_station_that_speaks_nothing_that_we_serve_is_refused_with_the_cure(
    host: Node, stations: Any, firmware: dict[str, Any], deploy: Any, ended: Any, parts: Any
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    cp.configuration["SupportedFileTransferProtocols"] = "FTP"
    await host.ask("operations.send", station="CP-1", action="GetConfiguration", wait=5.0)
    deployment = await deploy(stations=["CP-1"], file=firmware["id"])
    assert await ended(deployment) == {"CP-1": "failed"}
    assert "fetches by ftp, and this node serves http" in (await parts(deployment))["CP-1"]["said"]
    assert cp.got("UpdateFirmware") == []


@pytest.mark.node(config={"http": {"public_url": "wss://csms.example/base"}})
async def test_behind_a_proxy_stations_get_the_public_url(
    stations: Any, firmware: dict[str, Any], deploy: Any, ended: Any
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    cp.answer("UpdateFirmware", lambda _: {})
    await deploy(stations=["CP-1"], file=firmware["id"])
    told = await cp.expect("UpdateFirmware")
    assert told["location"].startswith("https://csms.example/base/files/")
    assert told["location"].endswith("/acme-2.0.bin")


async def test_the_token_is_nowhere_in_the_database(
    host: Node, stations: Any, firmware: dict[str, Any], deploy: Any, ended: Any
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    await ended(await deploy(stations=["CP-1"], file=firmware["id"]))
    token = cp.got("UpdateFirmware")[0]["location"].split("/")[-2]
    await host.settle()
    held = b"".join(path.read_bytes() for path in host.host.home.glob("arthexis.db*"))
    assert len(token) == 48
    assert token.encode() not in held
