"""The story of a card across three plugins: readers, notifications and the display know nothing of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import ClientSession

from arthexis.node_files import control_of
from arthexis.testing import Node, node, wire

PLUGINS = ("arthexis-ocpp16:*", "arthexis-notify:notify", "arthexis-rfid:rfid", "arthexis-lcd:lcd")
CONFIG = {
    "plugins": {
        "lcd": {"bus": "virtual", "name": "garage"},
        "rfid": {"readers": [{"name": "desk", "driver": "virtual", "gap_s": 0.2}]},
    }
}
UNKNOWN, REFUSED = "04A1B2C3", "DEADBEEF"


class Site:
    """A closed node with a reader, a display and a station, and what people do there."""

    def __init__(self, running: Node, http: ClientSession) -> None:
        self.node = running
        self._http = http

    async def api(self, method: str, path: str, body: Any = None) -> Any:
        async with self._http.request(method, f"/api/v1{path}", json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def tap(self, uid: str) -> str:
        """Hold a card against the reader, once it has left; the status that came of it."""
        newest = (await self.api("GET", "/rfid/scans"))["newest"]
        while any(card["uid"] == uid for card in (await self.api("GET", "/rfid/readers"))["items"][0]["present"]):
            await asyncio.sleep(0.02)
        await self.api("POST", "/rfid/readers/desk/cards", {"uid": uid})
        while True:
            found = await self.api("GET", f"/rfid/scans?after={newest}&wait_s=5")
            scanned = [scan["status"] for scan in found["items"] if scan["uid"] == uid and scan["change"] == "scanned"]
            if scanned:
                return str(scanned[0])

    async def display(self, wanted: str) -> list[str]:
        """The display's rows as soon as the first one is this."""
        async with asyncio.timeout(10):
            while (rows := [row.rstrip() for row in (await self.api("GET", "/lcd"))["lines"]])[0] != wanted:
                await asyncio.sleep(0.03)
        return rows


@pytest_asyncio.fixture
async def site_(tmp_path: Path) -> AsyncIterator[Site]:
    async with node(tmp_path / "node", plugins=PLUGINS, config=CONFIG, open_mode=False) as running:
        control = control_of(running.host.home)
        assert control is not None
        async with ClientSession(running.url, headers={"Authorization": f"Bearer {control.token}"}) as http:
            yield Site(running, http)


@pytest_asyncio.fixture
async def authorised(site_: Site) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """What a station of this node is told of a tag."""
    added = await site_.node.ask("stations.add", station="CP-1")
    async with wire(site_.node.station_url("CP-1"), key=bytes.fromhex(added["key_hex"])) as station:
        await station.boot()

        async def ask(uid: str) -> str:
            return str((await station.result("Authorize", {"idTag": uid}))["idTagInfo"]["status"])

        yield ask


async def test_an_unknown_card_is_shown_released_and_charges(site_: Site, authorised: Any) -> None:
    assert await site_.tap(UNKNOWN) == "Unknown"
    assert await site_.display("Unknown card") == ["Unknown card", "*B2C3 waits for"]
    [waiting] = await site_.node.ask("tags.unknown")
    assert (waiting["id_tag"], waiting["station"]) == (UNKNOWN, "reader desk")
    assert await authorised(UNKNOWN) == "Invalid"
    await site_.node.ask("tags.add", id_tag=UNKNOWN)
    assert await authorised(UNKNOWN) == "Accepted"
    assert await site_.tap(UNKNOWN) == "Accepted"


async def test_a_refused_card_stays_refused_however_often_it_is_held_there(site_: Site, authorised: Any) -> None:
    await site_.node.ask("tags.add", id_tag=REFUSED, status="Blocked")
    for _ in range(10):
        assert await site_.tap(REFUSED) == "Blocked"
        assert await authorised(REFUSED) == "Blocked"
    rows = await site_.display("Card Blocked")
    assert rows[1].startswith("*BEEF")
