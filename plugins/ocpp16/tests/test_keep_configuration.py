"""Reading, wishing and applying configuration against stations of every kind, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from arthexis_ocpp16.configuration_reading import STANDARD
from arthexis_simulator import Refusal, Silence, Station
from arthexis_simulator import station as simulated

from arthexis.testing import Node, node

pytestmark = [
    pytest.mark.plugins("arthexis-ocpp16:*"),
    pytest.mark.node(config={"stations": {"call_timeout_s": 0.5}}),
]
CONFIGURATION = "/stations/CP-1/configuration"


async def asked(host: Node, method: str, path: str, body: Any = None) -> Any:
    """The answer of a route, which must be a success."""
    async with ClientSession() as web, web.request(method, f"{host.url}/api/v1{path}", json=body) as response:
        assert response.status in {200, 204}, await response.text()
        return await response.json() if response.status == 200 else None


async def read(host: Node, *keys: str) -> dict[str, Any]:
    """Have CP-1 read."""
    return dict(await asked(host, "POST", f"{CONFIGURATION}/read", {"keys": list(keys)}))


async def values(host: Node) -> dict[str, str | None]:
    """The keys of CP-1 as we know them."""
    return {row["key"]: row["value"] for row in (await asked(host, "GET", CONFIGURATION))["items"]}


async def applied(host: Node, **wishes: str | None) -> list[dict[str, Any]]:
    """Wish, and apply."""
    await asked(host, "PATCH", f"{CONFIGURATION}/desired", {"values": wishes})
    return list((await asked(host, "POST", f"{CONFIGURATION}/apply"))["items"])


def heard(station: Station, action: str) -> list[dict[str, Any]]:
    """The CALLs of this action that a station has got."""
    frames = [frame.message for frame in station.log if frame.direction == "<"]
    return [frame[3] for frame in frames if frame[0] == 2 and frame[2] == action]


def only_with_keys(station: Station) -> None:
    """Let a station tell nothing unless it is asked by name."""

    def told(payload: dict[str, Any]) -> dict[str, Any] | None:
        return None if payload.get("key") else {"configurationKey": []}

    station.answer("GetConfiguration", told)


async def test_all_keys_are_read_and_kept_with_their_history(host: Node, station: Station) -> None:
    await station.boot()
    told = await read(host)
    assert told["warnings"] == []
    assert (await values(host))["HeartbeatInterval"] == "300"
    station.configuration["HeartbeatInterval"] = "60"
    assert (await read(host, "heartbeatinterval", "Nonsense"))["unknown"] == ["Nonsense"]
    history = (await asked(host, "GET", f"{CONFIGURATION}/history?key=HeartbeatInterval"))["items"]
    assert [(row["before"], row["value"]) for row in history] == [("300", "60"), (None, "300")]


async def test_a_station_that_tells_few_keys_at_once_is_asked_for_the_others(host: Node, station: Station) -> None:
    station.configuration["GetConfigurationMaxKeys"] = "7"
    station.configuration.keys = {
        "GetConfigurationMaxKeys": station.configuration.keys["GetConfigurationMaxKeys"],
        **station.configuration.keys,
    }
    await station.boot()
    told = await read(host)
    assert {name for name in station.configuration.keys if name in STANDARD} <= set(told["keys"])
    assert max(len(payload.get("key", [])) for payload in heard(station, "GetConfiguration")) == 7


async def test_a_station_that_answers_only_names_is_asked_by_name(host: Node, station: Station) -> None:
    only_with_keys(station)
    await station.boot()
    told = await read(host)
    assert "HeartbeatInterval" in told["keys"]
    assert "asked by name" in told["warnings"][0]


@pytest.mark.parametrize("script", [Refusal("FormationViolation"), Silence(), {"configurationKey": []}])
async def test_a_station_that_answers_no_names_is_asked_for_all(host: Node, station: Station, script: Any) -> None:
    station.answer("GetConfiguration", lambda payload: script if payload.get("key") else None)
    await station.boot()
    told = await read(host, "HeartbeatInterval")
    assert "HeartbeatInterval" in told["keys"]
    assert "asked for all keys" in told["warnings"][-1]


async def test_a_station_that_never_answers_is_a_warning(host: Node, station: Station) -> None:
    station.answer("GetConfiguration", Silence())
    await station.boot()
    told = await read(host)
    assert told["keys"] == []
    assert "timed out" in told["warnings"][0]
    assert len(told["operations"]) == 2


async def test_a_station_that_is_gone_is_asked_once(host: Node) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    told = await read(host)
    assert len(told["operations"]) == 1
    assert "station gone" in told["warnings"][0]


async def test_what_drifts_is_sent_and_only_what_was_taken_counts(host: Node, station: Station) -> None:
    await station.boot()
    await read(host)
    results = await applied(host, HeartbeatInterval="45", ConnectionTimeOut="soon", NumberOfConnectors="9")
    assert {row["key"]: row["state"] for row in results} == {
        "HeartbeatInterval": "Accepted",
        "ConnectionTimeOut": "Rejected",
        "NumberOfConnectors": "read-only",
    }
    known = await values(host)
    assert (known["HeartbeatInterval"], known["ConnectionTimeOut"]) == ("45", "60")
    drift = (await asked(host, "GET", f"{CONFIGURATION}/drift"))["items"]
    assert {row["key"]: row["state"] for row in drift} == {
        "ConnectionTimeOut": "differs",
        "NumberOfConnectors": "read-only",
    }


async def test_what_is_as_it_should_be_is_not_sent(host: Node, station: Station) -> None:
    await station.boot()
    await read(host)
    assert await applied(host, HeartbeatInterval="300") == []
    assert heard(station, "ChangeConfiguration") == []


async def test_a_list_with_a_measurand_that_the_station_lacks_is_set_without_it(host: Node, station: Station) -> None:
    await station.boot()
    await read(host)
    wished = "Voltage,Temperature,Energy.Active.Import.Register,SoC,Frequency"
    (result,) = await applied(host, MeterValuesSampledData=wished)
    assert result["state"] == "in part"
    assert result["refused"] == ["Temperature", "Frequency"]
    assert station.configuration["MeterValuesSampledData"] == "Voltage,Energy.Active.Import.Register,SoC"
    assert (await values(host))["MeterValuesSampledData"] == "Voltage,Energy.Active.Import.Register,SoC"


async def test_a_list_of_nothing_that_the_station_knows_changes_nothing(host: Node, station: Station) -> None:
    await station.boot()
    await read(host)
    before = station.configuration["StopTxnSampledData"]
    (result,) = await applied(host, StopTxnSampledData="Temperature,Frequency,RPM")
    assert result["state"] == "Rejected"
    assert station.configuration["StopTxnSampledData"] == before


async def test_a_value_that_needs_a_reboot_waits_for_it(host: Node, station: Station) -> None:
    await station.boot()
    await read(host)
    station.answer("ChangeConfiguration", {"status": "RebootRequired"})
    await applied(host, WebSocketPingInterval="30")
    await read(host)
    drift = (await asked(host, "GET", f"{CONFIGURATION}/drift"))["items"]
    assert [(row["key"], row["state"]) for row in drift] == [("WebSocketPingInterval", "waits for a reboot")]
    why = await host.ask("stations.why", station="CP-1")
    assert any("WebSocketPingInterval will hold only after a reboot" in each["said"] for each in why["findings"])
    station.answer_as_usual("ChangeConfiguration")
    station.configuration["WebSocketPingInterval"] = "30"
    await station.boot()
    assert (await asked(host, "GET", f"{CONFIGURATION}/drift"))["items"] == []


async def test_a_template_counts_for_all_that_follow_it_and_a_station_s_own_wish_above_it(
    host: Node, stations: Any
) -> None:
    for identity in ("CP-1", "CP-2"):
        await (await stations(identity)).boot()
        await asked(host, "POST", f"/stations/{identity}/configuration/read", {})
    await asked(host, "PATCH", "/configuration-templates/yard", {"values": {"HeartbeatInterval": "90"}})
    for identity in ("CP-1", "CP-2"):
        await asked(host, "PUT", f"/stations/{identity}/configuration/template", {"template": "yard"})
    assert await applied(host, heartbeatinterval="30") != []
    await asked(host, "POST", "/stations/CP-2/configuration/apply")
    other = (await asked(host, "GET", "/stations/CP-2/configuration"))["items"]
    assert (await values(host))["heartbeatinterval"] == "30"
    assert next(row["value"] for row in other if row["key"] == "HeartbeatInterval") == "90"
    await asked(host, "DELETE", "/configuration-templates/yard")
    assert (await asked(host, "GET", "/stations/CP-2/configuration"))["desired"] == {}


async def test_nothing_is_sent_after_a_boot(host: Node, station: Station) -> None:
    await station.boot()
    await asked(host, "PATCH", f"{CONFIGURATION}/desired", {"values": {"HeartbeatInterval": "20"}})
    await station.boot()
    await asyncio.sleep(0.3)
    assert [frame for frame in station.log if frame.direction == "<" and frame.message[0] == 2] == []


@asynccontextmanager
async def keeping(tmp_path: Path, **settings: Any) -> AsyncIterator[Node]:
    """A node whose plugin has these settings."""
    config = {"plugins": {"ocpp16": {"keep_configuration": settings}}}
    async with node(tmp_path / "node", plugins=["arthexis-ocpp16:*"], config=config) as host:
        yield host


async def test_where_the_settings_say_so_a_boot_is_followed_by_reading_and_applying(tmp_path: Path) -> None:
    async with keeping(tmp_path, apply_after_boot=True, grace_s=0.2) as host:
        async with simulated(host.url, "CP-1") as station:
            await station.boot()
            await asked(host, "PATCH", f"{CONFIGURATION}/desired", {"values": {"HeartbeatInterval": "20"}})
            async with asyncio.timeout(10):
                while station.configuration["HeartbeatInterval"] != "20":
                    await asyncio.sleep(0.02)
    assert len(heard(station, "ChangeConfiguration")) == 1


async def test_what_a_station_lacks_is_told(host: Node, station: Station) -> None:
    await station.boot()
    why = await host.ask("stations.why", station="CP-1")
    assert any(each["command"] == "arthexis configuration read CP-1" for each in why["findings"])
    await read(host)
    await asked(host, "PATCH", f"{CONFIGURATION}/desired", {"values": {"HeartbeatInterval": "20"}})
    why = await host.ask("stations.why", station="CP-1")
    assert any(each["command"] == "arthexis configuration apply CP-1" for each in why["findings"])
