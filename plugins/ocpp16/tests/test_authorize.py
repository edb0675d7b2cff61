"""Authorize: who may charge, decided by the whole tag and nothing but the tag."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from arthexis_ocpp16.testing import start, stop

from arthexis.testing import FrozenClock, Node, Wire

pytestmark = [pytest.mark.plugins("arthexis-ocpp16:*"), pytest.mark.node(open_mode=False)]


@pytest.fixture(autouse=True)
async def stations(host: Node) -> None:
    """Two plain stations, because the node is closed to unknown ones and unknown tags."""
    for identity in ("CP-1", "CP-2"):
        await host.ask("stations.add", station=identity, no_key=True)


async def asked(cp: Wire, id_tag: str) -> dict[str, Any]:
    return dict((await cp.result("Authorize", {"idTag": id_tag}))["idTagInfo"])


async def test_a_known_tag_is_accepted_with_its_expiry_and_parent(host: Node, clock: FrozenClock, cp: Wire) -> None:
    expires_at = clock.now() + timedelta(days=1)
    await host.ask("tags.add", id_tag="TAG", expires_at=expires_at, parent_id_tag="FLEET")
    told = {"status": "Accepted", "expiryDate": "2026-11-25T12:00:00.000Z", "parentIdTag": "FLEET"}
    assert await asked(cp, "TAG") == told


@pytest.mark.parametrize("status", ["Blocked", "Invalid", "Expired"])
async def test_a_tag_has_the_status_that_the_operator_gave_it(host: Node, cp: Wire, status: str) -> None:
    await host.ask("tags.add", id_tag="TAG", status=status)
    assert (await asked(cp, "TAG"))["status"] == status


async def test_a_tag_expires_at_the_very_second(host: Node, clock: FrozenClock, cp: Wire) -> None:
    await host.ask("tags.add", id_tag="TAG", expires_at=clock.now() + timedelta(seconds=60))
    clock.advance(59.999)
    assert (await asked(cp, "TAG"))["status"] == "Accepted"
    clock.advance(0.001)
    assert (await cp.result("Authorize", {"idTag": "TAG"}))["idTagInfo"]["status"] == "Expired"


@pytest.mark.parametrize(
    ("added", "presented"),
    [
        ("04A2FF", "04a2ff"),
        ("04a2ff", "04A2FF"),
        ("Ähre", "äHRE"),
        ("\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c3"),
        ("TAG", "TAG\x10\x0e"),
        ("TAG", "TAG\x00"),
        ("TAG", "  tag "),
        ("BA86I250X5G6MOD5DLKD", "BA86I250X5G6MOD5DLKD\x10\x0e"),
    ],
)
async def test_letter_case_controls_and_blanks_around_make_no_difference(
    host: Node, cp: Wire, added: str, presented: str
) -> None:
    await host.ask("tags.add", id_tag=added)
    assert (await asked(cp, presented))["status"] == "Accepted"


@pytest.mark.parametrize(
    ("added", "presented"),
    [
        ("04A2FF0011", "04A2FF00"),
        ("04A2FF00", "04A2FF0011"),
        ("12345678901234567890", "1234567890123456789012"),
        ("12345678901234567890", "123456789012345678901"),
        ("tag", "t ag"),
        ("weiß", "WEISS"),
        ("WEISS", "weiß"),
        ("istanbul", "İstanbul"),
        ("istanbul", "\u0131stanbul"),
        ("kelvin", "\u212aelvin"),
        ("strasse", "\u017ftrasse"),
        ("ficus", "\ufb01cus"),
        ("A", "\u0410"),
        ("0", "O"),
        ("1", "\uff11"),
    ],
)
async def test_only_the_very_same_tag_is_the_same(host: Node, cp: Wire, added: str, presented: str) -> None:
    await host.ask("tags.add", id_tag=added)
    assert (await asked(cp, presented))["status"] == "Invalid"
    assert [row["id_tag"] for row in await host.ask("tags.unknown")] == [presented]


async def test_an_unknown_tag_goes_to_the_inbox_and_is_never_promoted(host: Node, cp: Wire) -> None:
    """Defect 3: the second tap of a refused card was accepted, because the refusal had created it."""
    for _ in range(3):
        assert await asked(cp, "STRANGER") == {"status": "Invalid"}
        assert (await cp.result("StartTransaction", start(idTag="stranger")))["idTagInfo"] == {"status": "Invalid"}
    assert await host.ask("tags.list") == []
    (entry,) = await host.ask("tags.unknown")
    assert (entry["id_tag"], entry["station"]) == ("STRANGER", "CP-1")
    await host.ask("tags.add", id_tag="Stranger")
    assert await asked(cp, "STRANGER") == {"status": "Accepted"}
    assert await host.ask("tags.unknown") == []


async def test_a_tag_that_is_approved_counts_though_the_station_uses_the_same_message_id(
    host: Node, clock: FrozenClock, cp: Wire
) -> None:
    assert (await cp.result("Authorize", {"idTag": "TAG"}, "1"))["idTagInfo"]["status"] == "Invalid"
    await host.ask("tags.add", id_tag="TAG")
    assert (await cp.result("StartTransaction", start(), "2"))["idTagInfo"]["status"] == "Accepted"


async def test_an_empty_tag_is_invalid_and_no_entry_of_the_inbox(host: Node, cp: Wire) -> None:
    for empty in ("", " ", "\x00\x1f"):
        assert await asked(cp, empty) == {"status": "Invalid"}
    assert await host.ask("tags.unknown") == []


async def test_a_charging_tag_is_never_concurrent_for_authorize_or_stop(
    host: Node, play: Callable[..., AbstractAsyncContextManager[Wire]]
) -> None:
    """Rule 6: ConcurrentTx is for StartTransaction only."""
    await host.ask("tags.add", id_tag="TAG")
    async with play("CP-1") as one, play("CP-2") as two:
        number = (await one.result("StartTransaction", start()))["transactionId"]
        assert await asked(two, "TAG") == {"status": "Accepted"}
        assert (await two.result("StartTransaction", start()))["idTagInfo"] == {"status": "ConcurrentTx"}
        assert (await one.result("StopTransaction", stop(number, idTag="TAG")))["idTagInfo"] == {"status": "Accepted"}


async def test_another_tag_of_the_same_parent_is_told_its_parent(host: Node, cp: Wire) -> None:
    """Conformance 053: the station compares the parents itself; a parent is no tag that can be presented."""
    await host.ask("tags.add", id_tag="A", parent_id_tag="FAMILY")
    await host.ask("tags.add", id_tag="B", parent_id_tag="FAMILY")
    assert await asked(cp, "B") == {"status": "Accepted", "parentIdTag": "FAMILY"}
    assert (await asked(cp, "FAMILY"))["status"] == "Invalid"
