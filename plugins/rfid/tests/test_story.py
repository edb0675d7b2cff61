"""From the card on the reader to the car that charges: the way of a card through the house."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from arthexis.testing import Node, wire
from plugins.rfid.tests.conftest import until

UNKNOWN, REFUSED, SEVEN = "04A1B2C3", "DEADBEEF", "04E141124C2880"
START = {"connectorId": 1, "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}

NOTIFIER = """
from arthexis import Notifications, Service, hookimpl
told = []

class Told:
    async def notify(self, notification, to=()):
        told.append(notification)

@hookimpl
def register_services():
    yield Service(Notifications, Told())
"""


async def at_a_station(running: Node, uid: str, action: str = "Authorize") -> str:
    added = await running.ask("stations.add", station=f"CP-{len(await running.ask('stations.list'))}")
    async with wire(running.station_url(added["station"]), key=bytes.fromhex(added["key_hex"])) as cp:
        await cp.boot()
        payload = {"idTag": uid} if action == "Authorize" else {"idTag": uid, **START}
        return str((await cp.result(action, payload))["idTagInfo"]["status"])


async def test_an_unknown_card_is_told_of_waits_in_the_inbox_is_released_and_charges(desk: Any, site: Any) -> None:
    screen = site.add(NOTIFIER, "screen")
    async with desk(plugins=(screen,), open_mode=False) as at:
        scan = await at.scan(UNKNOWN)
        assert (scan["status"], scan["said"]) == ("Unknown", "waits for release")
        told = __import__("screen").told[-1]
        assert (told.title, told.text, told.key) == ("Unknown card", "*B2C3 waits for release", "rfid desk")
        (waiting,) = await at.node.ask("tags.unknown")
        assert (waiting["id_tag"], waiting["station"]) == (UNKNOWN, "reader desk")
        assert await at_a_station(at.node, UNKNOWN) == "Invalid"

        await at.node.ask("tags.add", id_tag=UNKNOWN)
        assert await at.node.ask("tags.unknown") == []
        assert await at_a_station(at.node, UNKNOWN) == "Accepted"
        assert await at_a_station(at.node, UNKNOWN, "StartTransaction") == "Accepted"


async def test_the_notifications_of_the_house_have_the_text(desk: Any) -> None:
    async with desk(plugins=("arthexis-notify:notify",)) as at:
        await at.scan(UNKNOWN)
        async with at.http.get("/api/v1/notify/notifications") as response:
            found = (await response.json())["items"]
        assert ("Unknown card", "*B2C3 waits for release") in [(each["title"], each["text"]) for each in found]


async def test_a_refused_card_stays_refused_on_the_second_third_and_tenth_tap(desk: Any) -> None:
    async with desk({"driver": "virtual", "gap_s": 0.2}, open_mode=False) as at:
        await at.node.ask("tags.add", id_tag=REFUSED, status="Blocked")
        for _ in range(10):
            assert (await at.scan(REFUSED))["status"] == "Blocked"
            assert (await at.scan(UNKNOWN))["status"] == "Unknown"
            assert await at_a_station(at.node, REFUSED) == "Blocked"
            assert await at_a_station(at.node, UNKNOWN) == "Invalid"


async def test_a_card_is_never_taken_for_one_that_begins_alike(desk: Any) -> None:
    async with desk(open_mode=False) as at:
        await at.node.ask("tags.add", id_tag=SEVEN)
        for other in (SEVEN[:8], SEVEN[:-2] + "81"):
            assert (await at.scan(other))["status"] == "Unknown"
            assert await at_a_station(at.node, other) == "Invalid"


async def test_a_card_that_is_released_at_once_charges_under_all_its_forms(desk: Any) -> None:
    reader = {"driver": "virtual", "on_scan": "release", "aliases": ["reversed", "decimal"]}
    async with desk(reader, open_mode=False) as at:
        assert (await at.scan(UNKNOWN))["said"] == "released"
        for text in (UNKNOWN, "C3B2A104", "0077705923", "c3b2a104"):
            assert await at_a_station(at.node, text) == "Accepted"


@pytest.mark.parametrize(
    ("known", "form"), [("C3B2A104", "reversed"), ("04A1B2C3D4", "legacy"), ("0077705923", "decimal")]
)
async def test_a_card_that_is_known_in_another_form_is_that_tag(desk: Any, known: str, form: str) -> None:
    async with desk({"driver": "virtual", "known_as": [form]}) as at:
        await at.node.ask("tags.add", id_tag=known, status="Blocked")
        scan = await at.scan(UNKNOWN)
        assert (scan["uid"], scan["id_tag"], scan["status"]) == (UNKNOWN, known, "Blocked")


async def test_a_form_that_no_setting_names_is_not_looked_at(desk: Any) -> None:
    async with desk() as at:
        await at.node.ask("tags.add", id_tag="C3B2A104")
        assert (await at.scan(UNKNOWN))["status"] == "Unknown"


async def test_a_card_that_may_be_two_tags_is_neither(desk: Any) -> None:
    async with desk({"driver": "virtual", "known_as": ["reversed", "decimal"], "on_scan": "release"}) as at:
        for known in ("C3B2A104", "0077705923"):
            await at.node.ask("tags.add", id_tag=known)
        scan = await at.scan(UNKNOWN)
        assert (scan["status"], scan["said"]) == ("Unknown", "it may be any of *5923, *A104")
        assert scan["others"] == ["0077705923", "C3B2A104"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"known_as": ["reversed", "decimal"]}, "it may be any of *5923, *A104"),
        (
            {"on_scan": "release", "aliases": ["reversed", "decimal"]},
            "released; known otherwise already, so no alias: reversed *A104, decimal *5923",
        ),
        ({"on_scan": "start", "station": "CP-9", "known_as": ["reversed"]}, "CP-9 is not connected"),
    ],
)
async def test_no_whole_id_goes_to_the_log_or_to_people(
    desk: Any, site: Any, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], said: str
) -> None:
    caplog.set_level("INFO")
    screen = site.add(NOTIFIER, "screen")
    async with desk({"driver": "virtual", **settings}, plugins=(screen,)) as at:
        for known in ("C3B2A104", "0077705923"):
            await at.node.ask("tags.add", id_tag=known)
        caplog.clear()
        await at.scan(UNKNOWN)
        told = __import__("screen").told[-1]
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name == "arthexis.plugins.rfid")
    assert told.text.startswith(f"*B2C3 {said}")
    assert said in logged
    for whole in (UNKNOWN, "C3B2A104", "0077705923"):
        assert whole not in logged
        assert whole not in told.text


async def test_a_uid_that_changes_each_time_is_flagged_and_never_let_in(desk: Any) -> None:
    async with desk({"driver": "virtual", "on_scan": "release"}) as at:
        scan = await at.scan("08112233")
        assert scan["random"]
        assert "changes each time" in scan["said"]
        assert await at.node.ask("tags.list") == await at.node.ask("tags.unknown") == []


async def test_a_scan_starts_the_connector_that_the_operator_chose(desk: Any) -> None:
    reader = {"driver": "virtual", "on_scan": "start", "station": "CP-1", "connector": 2}
    async with desk(reader) as at, wire(at.node.station_url("CP-1")) as cp:
        await cp.boot()
        await at.node.ask("tags.add", id_tag=UNKNOWN)
        assert (await at.scan(UNKNOWN))["said"] == "starts CP-1"
        call = await cp.hear()
        assert call[2:] == ["RemoteStartTransaction", {"idTag": UNKNOWN, "connectorId": 2}]
        await cp.say([3, call[1], {"status": "Accepted"}])


@pytest.mark.parametrize("status", ["Blocked", None])
async def test_a_card_that_may_not_charge_starts_nothing(desk: Any, status: str | None) -> None:
    reader = {"driver": "virtual", "on_scan": "start", "station": "CP-1"}
    async with desk(reader) as at, wire(at.node.station_url("CP-1")) as cp:
        await cp.boot()
        if status:
            await at.node.ask("tags.add", id_tag=UNKNOWN, status=status)
        await at.scan(UNKNOWN)
        assert await cp.silent()


async def test_a_start_at_a_station_that_is_not_connected_is_said_and_asked_of_nobody(desk: Any, site: Any) -> None:
    screen = site.add(NOTIFIER, "screen")
    reader = {"driver": "virtual", "on_scan": "start", "station": "CP-9"}
    async with desk(reader, plugins=(screen,)) as at:
        await at.node.ask("tags.add", id_tag=UNKNOWN)
        assert (await at.scan(UNKNOWN))["said"] == "CP-9 is not connected"
        assert __import__("screen").told[-1].text == "*B2C3 CP-9 is not connected"
        assert await at.node.events("operation.finished") == []


async def test_a_start_that_the_station_refuses_is_told_too(desk: Any, site: Any) -> None:
    screen = site.add(NOTIFIER, "screen")
    reader = {"driver": "virtual", "on_scan": "start", "station": "CP-1"}
    async with desk(reader, plugins=(screen,)) as at, wire(at.node.station_url("CP-1")) as cp:
        await cp.boot()
        await at.node.ask("tags.add", id_tag=UNKNOWN)
        await at.scan(UNKNOWN)
        call = await cp.hear()
        await cp.say([3, call[1], {"status": "Rejected"}])
        told = __import__("screen").told
        await until(lambda: told and told[-1].title == "CP-1 did not start")
        assert told[-1].text == "*B2C3 Rejected"


async def test_the_log_has_a_sentence_for_each_scan(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with desk() as at:
        await at.node.ask("tags.add", id_tag=REFUSED, status="Blocked")
        await at.scan(UNKNOWN)
        await at.scan(REFUSED)
        lines = {record.getMessage() for record in caplog.records}
        assert {
            "reader desk: card *B2C3 is Unknown: waits for release",
            "reader desk: card *BEEF is Blocked",
        } <= lines


async def test_an_event_is_stored_for_each_presentation(desk: Any) -> None:
    async with desk({"driver": "virtual", "gap_s": 0.3}) as at:
        for _ in range(5):
            await at.ask("POST", "/readers/desk/cards", {"uid": UNKNOWN}, status=202)
        await at.next_scan(0)
        while (await at.ask("GET", "/scans?wait_s=2&after=1"))["items"] == []:
            pass
        kinds = [event.kind for event in await at.node.events() if event.kind.startswith("tag.")]
        assert kinds == ["tag.scanned", "tag.removed"]
        (event,) = await at.node.events("tag.scanned")
        assert event.data == {
            "reader": "desk",
            "uid": UNKNOWN,
            "id_tag": UNKNOWN,
            "status": "Unknown",
            "technology": "iso14443a",
            "random": False,
        }


async def test_an_operator_takes_up_cards_for_a_while(desk: Any) -> None:
    async with desk({"driver": "virtual", "on_scan": "who"}) as at:
        assert (await at.scan(UNKNOWN))["said"] == ""
        assert await at.node.ask("tags.unknown") == []
        now = await at.ask("PUT", "/readers/desk/mode", {"does": "release", "for_s": 60})
        assert now["does"] == "release"
        assert now["until"]
        assert (await at.scan(REFUSED))["said"] == "released"
        assert (await at.ask("DELETE", "/readers/desk/mode"))["does"] == "who"
        assert (await at.scan(SEVEN))["said"] == ""
        assert [tag["id_tag"] for tag in await at.node.ask("tags.list")] == [REFUSED]


async def test_a_mode_ends_by_itself(desk: Any) -> None:
    async with desk({"driver": "virtual", "on_scan": "none"}) as at:
        await at.ask("PUT", "/readers/desk/mode", {"does": "release", "for_s": 0.01})
        await asyncio.sleep(0.05)
        assert (await at.scan(UNKNOWN))["said"] == ""


async def test_numbers_only_reach_those_who_may_see_them(desk: Any) -> None:
    async with desk(open_mode=False) as at:
        for method, path in [("GET", "/readers"), ("GET", "/scans"), ("POST", "/readers/desk/cards")]:
            nobody = {"Authorization": "Bearer nobody"}
            url = f"/api/v1/rfid{path}"
            async with at.http.request(method, url, json={"uid": UNKNOWN}, headers=nobody) as response:
                assert response.status == 401
