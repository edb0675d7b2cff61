"""Local lists are brought up to date over real sockets: whole or by difference, and never more than was accepted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from arthexis_simulator import Station
from arthexis_simulator import station as simulated

from arthexis.testing import Node, node

pytestmark = [
    pytest.mark.plugins("arthexis-ocpp16:*"),
    pytest.mark.node(config={"stations": {"call_timeout_s": 0.5}}),
]
LIST = "/stations/CP-1/local-list"


async def asked(host: Node, method: str, path: str, body: Any = None) -> Any:
    """The answer of a route, which must be a success."""
    async with ClientSession() as web, web.request(method, f"{host.url}/api/v1{path}", json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def sync(host: Node, *, full: bool = False) -> dict[str, Any]:
    """Have CP-1's list brought up to date."""
    return dict(await asked(host, "POST", f"{LIST}/sync", {"full": full}))


async def tags(host: Node, *names: str, **others: Any) -> None:
    """Add tags."""
    for name in names:
        await host.ask("tags.add", id_tag=name, **others)


def lists(station: Station) -> list[tuple[str, list[str]]]:
    """The SendLocalLists that a station has got: kind and tags."""
    frames = [frame.message for frame in station.log if frame.direction == "<"]
    sent = [frame[3] for frame in frames if frame[0] == 2 and frame[2] == "SendLocalList"]
    return [(p["updateType"], [entry["idTag"] for entry in p["localAuthorizationList"]]) for p in sent]


async def test_first_the_whole_list_then_differences_then_nothing(host: Node, station: Station) -> None:
    await tags(host, "A", "B")
    await tags(host, "BLOCKED", status="Blocked")
    await station.boot()
    assert await sync(host) == {"station": "CP-1", "state": "in sync", "sent": 1, "said": None}
    await tags(host, "C", parent_id_tag="FAMILY")
    await host.ask("tags.remove", id_tag="A")
    await sync(host)
    assert (await sync(host))["sent"] == 0
    assert lists(station) == [("Full", ["A", "B"]), ("Differential", ["C", "A"])]
    assert station.local_list.tags == {
        "b": {"status": "Accepted"},
        "c": {"status": "Accepted", "parentIdTag": "FAMILY"},
    }
    shown = await asked(host, "GET", LIST)
    assert (shown["in_sync"], shown["version"], shown["told_version"]) == (True, 2, 2)


async def test_long_lists_go_in_pieces_and_no_longer_than_the_station_holds(host: Node, station: Station) -> None:
    station.configuration["SendLocalListMaxLength"] = "3"
    station.configuration["LocalAuthListMaxLength"] = "7"
    await tags(host, *(f"TAG{number}" for number in range(9)))
    await station.boot()
    await asked(host, "POST", "/stations/CP-1/configuration/read", {})
    ended = await sync(host)
    assert [(kind, len(entries)) for kind, entries in lists(station)] == [
        ("Full", 3),
        ("Differential", 3),
        ("Differential", 1),
    ]
    assert ended["said"] == "2 tags are left out: its list holds 7"
    assert len(station.local_list.tags) == 7
    assert (await asked(host, "GET", LIST))["left_out"] == 2


async def test_a_failed_list_is_never_the_station_s_version(host: Node, station: Station) -> None:
    await tags(host, "A")
    await station.boot()
    station.answer("SendLocalList", {"status": "Failed"})
    assert (await sync(host))["state"] == "failed"
    shown = await asked(host, "GET", LIST)
    assert (shown["version"], shown["in_sync"]) == (0, False)
    assert [entry["state"] for entry in shown["items"]] == ["to be sent"]
    why = await host.ask("stations.why", station="CP-1")
    assert any(each["command"] == "arthexis local-list sync CP-1 --full" for each in why["findings"])


@pytest.mark.parametrize("status", ["Failed", "VersionMismatch"])
async def test_after_a_difference_that_was_refused_the_whole_list_is_sent(
    host: Node, station: Station, status: str
) -> None:
    await tags(host, "A")
    await station.boot()
    await sync(host)
    await tags(host, "B")
    station.answer("SendLocalList", {"status": status}, times=1)
    assert (await sync(host))["state"] == "in sync"
    assert lists(station)[1:] == [("Differential", ["B"]), ("Full", ["A", "B"])]


async def test_a_station_that_tells_another_version_gets_the_whole_list(host: Node, station: Station) -> None:
    await tags(host, "A")
    await station.boot()
    await sync(host)
    station.local_list.version, station.local_list.tags = 77, {"stranger": {"status": "Accepted"}}
    await sync(host)
    assert lists(station)[-1] == ("Full", ["A"])
    assert station.local_list.version == 78
    assert set(station.local_list.tags) == {"a"}


async def test_a_station_without_a_list_is_left_alone(host: Node, station: Station) -> None:
    await tags(host, "A")
    await station.boot()
    station.answer("GetLocalListVersion", {"listVersion": -1})
    assert (await sync(host))["state"] == "not supported"
    station.answer("GetLocalListVersion", {"listVersion": 0})
    station.answer("SendLocalList", {"status": "NotSupported"})
    assert (await sync(host))["state"] == "not supported"
    assert len(lists(station)) == 1
    assert (await asked(host, "GET", LIST))["version"] == 0


async def test_an_empty_list_is_what_a_station_without_tags_should_hold(host: Node, station: Station) -> None:
    await station.boot()
    assert await sync(host) == {"station": "CP-1", "state": "in sync", "sent": 0, "said": None}
    await tags(host, "A")
    await sync(host)
    await host.ask("tags.remove", id_tag="A")
    assert (await sync(host))["state"] == "in sync"
    assert station.local_list.tags == {}


async def test_a_tag_in_other_letters_is_the_same_entry(host: Node, station: Station) -> None:
    await tags(host, "abc")
    await station.boot()
    await sync(host)
    await tags(host, "ABC")
    assert (await sync(host))["state"] == "in sync"
    shown = await asked(host, "GET", LIST)
    assert [(entry["id_tag"], entry["state"]) for entry in shown["items"]] == [("ABC", "held")]


async def test_a_version_beyond_all_begins_anew(host: Node, station: Station) -> None:
    await tags(host, "A")
    await station.boot()
    station.local_list.version = 2**31 - 1
    assert (await sync(host))["state"] == "in sync"
    assert station.local_list.version == 1


async def held_by(station: Station, *names: str) -> None:
    """Wait until the station holds these tags."""
    async with asyncio.timeout(10):
        while set(station.local_list.tags) != set(names):
            await asyncio.sleep(0.02)


async def test_where_it_is_set_boots_and_changed_tags_are_followed_once(tmp_path: Path) -> None:
    settings = {"sync": True, "debounce_s": 0.3, "grace_s": 0.1}
    config = {"plugins": {"ocpp16": {"keep_local_lists": settings}}}
    async with node(tmp_path / "node", plugins=["arthexis-ocpp16:*"], config=config) as host:
        await tags(host, "A")
        async with simulated(host.url, "CP-1") as station:
            await station.boot()
            await held_by(station, "a")
            await tags(host, "B", "C")
            await host.ask("tags.remove", id_tag="A")
            await held_by(station, "b", "c")
            assert lists(station)[1:] == [("Differential", ["B", "C", "A"])]


async def test_nothing_is_sent_by_itself(host: Node, station: Station) -> None:
    await station.boot()
    await tags(host, "A")
    await asyncio.sleep(0.3)
    assert [frame for frame in station.log if frame.direction == "<" and frame.message[0] == 2] == []
