"""Roll-outs: waves, pauses, the automatic stop, and what a power cut in between must not double."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.testing import Node

NAMES = [f"CP-{number}" for number in range(1, 7)]


async def state(http: ClientSession, deployment: str) -> dict[str, Any]:
    async with http.get(f"/api/v1/deployments/{deployment}") as response:
        return dict(await response.json())


async def reached(http: ClientSession, deployment: str, wanted: str, seconds: float = 15.0) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while (found := await state(http, deployment))["state"] != wanted:
            await asyncio.sleep(0.05)
    return found


async def test_one_wave_follows_another(
    http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any], parts: Any
) -> None:
    fleet = {name: await passive(name) for name in NAMES}
    deployment = await deploy(stations=NAMES, file=firmware["id"], wave_size=2)
    seen: list[set[str]] = []
    for _ in range(3):
        async with asyncio.timeout(10):
            while len(wave := {n for n, p in (await parts(deployment)).items() if p["state"] == "asked"}) < 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        assert {n for n, p in (await parts(deployment)).items() if p["state"] == "asked"} == wave
        seen.append(wave)
        for name in wave:
            await fleet[name].notify_firmware("Installed")
    assert seen == [{"CP-1", "CP-2"}, {"CP-3", "CP-4"}, {"CP-5", "CP-6"}]
    done = await reached(http, deployment, "done")
    assert (done["stations"], done["wave"]) == ({"installed": 6}, 3)
    assert all(len(cp.got("UpdateFirmware")) == 1 for cp in fleet.values())


async def test_it_stops_by_itself_when_too_many_failed_and_goes_on_when_told(
    http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any], parts: Any
) -> None:
    fleet = {name: await passive(name) for name in NAMES}
    deployment = await deploy(stations=NAMES, file=firmware["id"], wave_size=3, stop_after=1)
    for name in NAMES[:3]:
        await fleet[name].expect("UpdateFirmware")
        await fleet[name].notify_firmware("DownloadFailed" if name != "CP-3" else "Installed")
    stopped = await reached(http, deployment, "stopped")
    assert stopped["reason"] == "2 stations failed"
    async with asyncio.timeout(5):
        while (await parts(deployment))["CP-3"]["state"] != "installed":
            await asyncio.sleep(0.05)
    assert {name: part["state"] for name, part in (await parts(deployment)).items()} == {
        **dict.fromkeys(NAMES[:2], "failed"),
        "CP-3": "installed",
        **dict.fromkeys(NAMES[3:], "waiting"),
    }
    assert all(fleet[name].got("UpdateFirmware") == [] for name in NAMES[3:])
    async with http.post(f"/api/v1/deployments/{deployment}/resume") as response:
        assert response.status == 200
    for name in NAMES[3:]:
        await fleet[name].expect("UpdateFirmware")


async def test_a_percentage_stops_it_too(
    http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any]
) -> None:
    fleet = {name: await passive(name) for name in NAMES[:4]}
    deployment = await deploy(stations=NAMES[:4], file=firmware["id"], wave_size=2, stop_percent=40)
    for name in NAMES[:2]:
        await fleet[name].expect("UpdateFirmware")
        await fleet[name].notify_firmware("Installed" if name == "CP-1" else "InstallationFailed")
    assert (await reached(http, deployment, "stopped"))["reason"] == "1 of 2 stations failed"


async def test_pause_and_cancel_ask_nobody_else(
    http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any], parts: Any
) -> None:
    fleet = {name: await passive(name) for name in NAMES[:3]}
    deployment = await deploy(stations=NAMES[:3], file=firmware["id"], wave_size=1)
    await fleet["CP-1"].expect("UpdateFirmware")
    async with http.post(f"/api/v1/deployments/{deployment}/pause") as response:
        assert (await response.json())["state"] == "paused"
    await fleet["CP-1"].notify_firmware("Installed")
    await asyncio.sleep(0.5)
    assert fleet["CP-2"].got("UpdateFirmware") == []
    async with http.post(f"/api/v1/deployments/{deployment}/cancel") as response:
        assert (await response.json())["state"] == "cancelled"
    async with http.post(f"/api/v1/deployments/{deployment}/resume") as response:
        assert response.status == 409
    states = {name: part["state"] for name, part in (await parts(deployment)).items()}
    assert states == {"CP-1": "installed", "CP-2": "cancelled", "CP-3": "cancelled"}


async def test_cancel_closes_what_was_opened_and_frees_the_station(
    http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any], parts: Any
) -> None:
    cp = await passive()
    first = await deploy(stations=["CP-1"], file=firmware["id"])
    location = (await cp.expect("UpdateFirmware"))["location"]
    async with http.post(f"/api/v1/deployments/{first}/cancel") as response:
        assert response.status == 200
    async with http.get(location) as response:
        assert response.status == 410
    assert (await parts(first))["CP-1"]["state"] == "cancelled"
    await deploy(stations=["CP-1"], file=firmware["id"])
    async with http.get((await cp.expect("UpdateFirmware"))["location"]) as response:
        assert response.status == 200


async def test_a_station_that_is_not_there_is_told_when_it_boots(
    host: Node, http: ClientSession, stations: Any, deploy: Any, firmware: dict[str, Any], parts: Any
) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    await cp.disconnect()
    deployment = await deploy(stations=["CP-1"], file=firmware["id"])
    await asyncio.sleep(0.3)
    assert (await parts(deployment))["CP-1"]["state"] == "waiting"
    await cp.reconnect()
    await cp.boot()
    await cp.expect("UpdateFirmware")
    await reached(http, deployment, "done")


async def test_one_station_has_one_deployment_at_a_time(
    passive: Any, deploy: Any, firmware: dict[str, Any], parts: Any
) -> None:
    cp = await passive()
    first = await deploy(stations=["CP-1"], file=firmware["id"])
    await cp.expect("UpdateFirmware")
    second = await deploy(stations=["CP-1"], file=firmware["id"])
    await asyncio.sleep(0.3)
    assert (await parts(second))["CP-1"]["state"] == "waiting"
    await cp.notify_firmware("Downloading")
    await cp.notify_firmware("Installed")
    async with asyncio.timeout(20):
        await cp.expect("UpdateFirmware", timeout_s=20)
    assert (await parts(first))["CP-1"]["state"] == "installed"


@pytest.mark.parametrize(
    ("answer", "said"), [("Refusal", "NotSupported"), ("Malformed", ""), ("unknown file", "no file nothing")]
)
async def test_what_is_refused_is_said(
    http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any], parts: Any, answer: str, said: str
) -> None:
    from arthexis_simulator import Refusal

    cp = await passive()
    if answer == "unknown file":
        async with http.post("/api/v1/deployments", json={"stations": ["CP-1"], "file": "nothing"}) as response:
            assert (response.status, said in (await response.json())["detail"]) == (404, True)
        return
    if answer == "Malformed":
        async with http.post("/api/v1/deployments", json={"stations": ["CP-1"], "payload": {"x": 1}}) as response:
            assert response.status == 400
        return
    cp.answer("UpdateFirmware", Refusal("NotSupported"))
    deployment = await deploy(stations=["CP-1"], file=firmware["id"])
    await reached(http, deployment, "done")
    assert (await parts(deployment))["CP-1"]["state"] == "failed"
