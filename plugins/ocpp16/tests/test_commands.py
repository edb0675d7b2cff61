"""The commands of this package as a person types them, against a running node and a station on a real socket."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession
from arthexis_simulator import Station
from click.testing import CliRunner, Result

from arthexis.cli.main import main
from arthexis.testing import Node, node

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
PROFILE = {
    "chargingProfileId": 7,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}, {"startPeriod": 3600, "limit": 8}],
    },
}
Type = Callable[..., Awaitable[Result]]


@pytest.fixture
def typed(host: Node, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Run a command on the node; fails unless it ends with ``status``."""
    monkeypatch.setenv("ARTHEXIS_HOME", str(host.host.home))

    async def run(line: str, *more: str, status: int = 0, stdin: str | None = None) -> Result:
        words = [*line.split(), *more]
        result = await asyncio.to_thread(CliRunner().invoke, main, words, stdin)
        assert result.exit_code == status, (words, result.output, result.exception)
        return result

    return run


async def test_configuration_from_reading_to_as_it_should_be(station: Station, typed: Type) -> None:
    await station.boot()
    assert "told 3" in (await typed("configuration read CP-1")).output
    assert "HeartbeatInterval" in (await typed("configuration show CP-1")).output
    await typed("configuration desire CP-1 HeartbeatInterval=60 NumberOfConnectors=2")
    await typed("configuration desire CP-1 NumberOfConnectors")
    await typed("configuration templates set yard ConnectionTimeOut=90")
    assert "follows the template yard" in (await typed("configuration follow CP-1 yard")).output
    drifting = json.loads((await typed("configuration drift CP-1 --json")).output)
    assert {row["key"] for row in drifting} == {"HeartbeatInterval", "ConnectionTimeOut"}
    assert (await typed("configuration apply CP-1")).output.count("Accepted") == 2
    assert "as it should be" in (await typed("configuration drift CP-1")).output
    assert station.configuration["ConnectionTimeOut"] == "90"
    assert "set" in (await typed("configuration history CP-1 --key HeartbeatInterval")).output
    assert "yard" in (await typed("configuration templates")).output
    await typed("configuration templates remove yard")
    await typed("configuration desire CP-1 HeartbeatInterval=soon")
    await typed("configuration apply CP-1", status=8)


async def test_a_local_list_from_nothing_to_in_sync(host: Node, station: Station, typed: Type) -> None:
    await host.ask("tags.add", id_tag="TAG")
    await station.boot()
    assert "to be sent" in (await typed("local-list show CP-1")).output
    assert "in sync" in (await typed("local-list sync CP-1")).output
    assert json.loads((await typed("local-list show CP-1 --json")).output)["items"][0]["state"] == "held"
    assert json.loads((await typed("local-list sync CP-1 --full --json")).output)["sent"] == 1
    station.answer("SendLocalList", {"status": "Failed"})
    await typed("local-list sync CP-1 --full", status=8)


async def test_a_reservation_from_wish_to_cancel(station: Station, typed: Type) -> None:
    await station.boot()
    await station.status(1, "Available")
    number = json.loads((await typed("reservations add CP-1 TAG --minutes 30 --json")).output)["id"]
    async with asyncio.timeout(5):
        while station.connectors[1].reservation is None:
            await asyncio.sleep(0.02)
    assert "TAG" in (await typed("reservations list --station CP-1")).output
    assert "CP-1" in (await typed(f"reservations show {number}")).output
    assert "cancelled" in (await typed(f"reservations cancel {number}")).output
    assert station.connectors[1].reservation is None
    later = json.loads((await typed("reservations add CP-1 TAG --from 2126-01-31T12:00:00Z --json")).output)
    assert later["starts_at"].startswith("2126-01-31T12:00:00")


async def test_a_profile_from_file_to_composite(station: Station, typed: Type, tmp_path: Path) -> None:
    file = tmp_path / "night.json"
    file.write_text(json.dumps(PROFILE), "utf-8")
    await station.boot()
    await typed("profiles put night", str(file))
    await typed("profiles put day -", stdin=json.dumps(PROFILE))
    assert json.loads((await typed("profiles show night")).output)["chargingProfileId"] == 7
    assert re.search(r"day.*\n.*night", (await typed("profiles list")).output)
    await typed("send CP-1 SetChargingProfile --connector-id 1 --cs-charging-profiles night")
    assert "TxDefaultProfile" in (await typed("profiles installed CP-1")).output
    found = json.loads((await typed("profiles composite CP-1 1 --hours 2 --ask --json")).output)
    assert [(period["start_s"], period["limit"]) for period in found["items"]] == [(0, 16.0), (3600, 8.0)]
    assert found["answer"]["status"] == "Accepted"
    assert "16.0" in (await typed("profiles composite CP-1 1 --hours 24")).output
    await typed("profiles remove day")
    assert "day" not in (await typed("profiles list")).output
    (tmp_path / "broken.json").write_text("{", "utf-8")
    assert "no JSON" in (await typed("profiles put x", str(tmp_path / "broken.json"), status=5)).output


async def test_a_key_is_pushed(station: Station, typed: Type) -> None:
    await station.boot()
    ended = json.loads((await typed("stations key CP-1 --push --json")).output)
    assert (ended["state"], ended["payload"]["value"]) == ("Accepted", "***")
    station.answer("ChangeConfiguration", {"status": "Rejected"})
    async with asyncio.timeout(10):
        while station.reconnections == 0:
            await asyncio.sleep(0.02)
    await station.heartbeat()
    assert "Rejected" in (await typed("stations key CP-1 --push", status=8)).output


async def test_without_a_node_the_commands_say_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from arthexis import Unavailable, call_api

    monkeypatch.setenv("ARTHEXIS_HOME", str(tmp_path))
    with pytest.raises(Unavailable) as refused:
        call_api("GET", "/charging-profiles")
    assert "arthexis start" in refused.value.cure


async def test_numbers_are_taken_for_text_where_a_member_is_text(station: Station, typed: Type) -> None:
    await station.boot()
    await typed("send CP-1 ChangeConfiguration --key HeartbeatInterval --value 60")
    assert station.configuration["HeartbeatInterval"] == "60"


ROUTES = {
    "keep_configuration": "/configuration-templates",
    "keep_local_lists": "/stations/CP-1/local-list",
    "plan_reservations": "/reservations/1/cancel",
    "composite_schedules": "/stations/CP-1/composite-schedule",
    "named_profiles": "/charging-profiles",
}


@pytest.mark.parametrize("off", ROUTES)
async def test_each_can_be_switched_off_alone(tmp_path: Path, off: str) -> None:
    config = {"node": {"disable": [f"arthexis-ocpp16:ocpp16.{off}"]}}
    async with (
        node(tmp_path / "node", plugins=["arthexis-ocpp16:*"], config=config) as host,
        ClientSession() as web,
        web.get(f"{host.url}/api/openapi.json") as response,
    ):
        described = {
            re.sub(r"{[^}]*}", "{}", path).removeprefix("/api/v1") for path in (await response.json())["paths"]
        }
    wanted = {re.sub(r"/(CP-1|1)(?=/|$)", "/{}", path): name for name, path in ROUTES.items()}
    there = {name for path, name in wanted.items() if path in described}
    assert there == {*ROUTES} - {off}
