"""StartTransaction: a session begins once, is numbered for ever, and is stored whatever is thought of its tag."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from arthexis_ocpp16.testing import AT, start, status, stop

from arthexis.charging.tables import transaction
from arthexis.testing import Node, Wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
Play = Callable[..., AbstractAsyncContextManager[Wire]]
Run = Callable[..., AbstractAsyncContextManager[Node]]
closed = pytest.mark.node(open_mode=False)


async def row(host: Node, number: int) -> dict[str, Any]:
    return dict(await host.ask("transactions.show", transaction=number))


async def test_everything_of_a_start_is_stored(host: Node, cp: Wire) -> None:
    said = start(connectorId=2, idTag="Tag-1", meterStart=12345, timestamp="2026-11-24T11:00:00+01:00", reservationId=7)
    number = (await cp.result("StartTransaction", said))["transactionId"]
    kept = await row(host, number)
    wanted = {
        "station": "CP-1",
        "connector": 2,
        "id_tag": "Tag-1",
        "meter_start_wh": 12345,
        "started_at": datetime(2026, 11, 24, 10, tzinfo=UTC),
        "started_at_raw": "2026-11-24T11:00:00+01:00",
        "reservation_id": 7,
        "authorization": "Accepted",
        "open": True,
        "energy_wh": None,
    }
    assert {name: kept[name] for name in wanted} == wanted


@closed
@pytest.mark.parametrize("state", [None, "Blocked", "Expired", "Invalid"])
async def test_a_refused_tag_gets_a_transaction_that_is_stored(host: Node, play: Play, state: str | None) -> None:
    """Rules 4 and 5: always an answer with transactionId and idTagInfo; the refused session exists and can stop."""
    await host.ask("stations.add", station="CP-1", no_key=True)
    if state is not None:
        await host.ask("tags.add", id_tag="TAG", status=state)
    async with play() as cp:
        told = await cp.result("StartTransaction", start())
        assert told["idTagInfo"]["status"] == (state or "Invalid")
        assert told["transactionId"] > 0
        assert await cp.result("StopTransaction", stop(told["transactionId"], reason="DeAuthorized")) == {}
    kept = await row(host, told["transactionId"])
    assert (kept["authorization"], kept["stop_reason"]) == (state or "Invalid", "DeAuthorized")
    assert kept["energy_wh"] == 7000


async def test_a_retry_with_a_new_id_is_the_same_transaction_and_no_concurrent_one(host: Node, cp: Wire) -> None:
    """Fault 1, defect 14, Q18: same number, same idTagInfo, one row, one event."""
    first = await cp.result("StartTransaction", start())
    assert await cp.result("StartTransaction", start()) == first
    assert first["idTagInfo"] == {"status": "Accepted"}
    await host.settle()
    assert len(await host.ask("transactions.list")) == 1
    assert len(await host.events("transaction.started")) == 1


async def test_a_retry_with_the_same_id_gets_the_very_same_bytes(cp: Wire) -> None:
    """Fault 2, Q16."""
    for _ in range(3):
        await cp.say([2, "531531536", "StartTransaction", start()])
    assert len({(await cp.socket.receive(5)).data for _ in range(3)}) == 1


async def test_a_retry_after_a_reconnect_and_a_restart_is_the_same_transaction(run: Run) -> None:
    from arthexis.testing import wire

    answers = []
    for _ in range(2):
        async with run() as host:
            for _ in range(2):
                async with wire(host.station_url("CP-1")) as cp:
                    answers.append(await cp.result("StartTransaction", start(), "1"))
            assert len(await host.ask("transactions.list")) == 1
    assert all(answer == answers[0] for answer in answers)


@closed
async def test_a_retry_is_told_what_it_was_told_though_the_tag_changed_since(host: Node, play: Play) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    await host.ask("tags.add", id_tag="TAG", parent_id_tag="P")
    async with play() as cp:
        first = await cp.result("StartTransaction", start())
        await host.ask("tags.add", id_tag="TAG", status="Blocked")
        assert await cp.result("StartTransaction", start()) == first


async def test_two_sessions_of_a_dead_clock_are_two_once_the_first_is_closed(host: Node, cp: Wire) -> None:
    """Invariant 2: same timestamp, tag and meter, because the clock stands still and the meter starts at 0."""
    same = start(timestamp="1970-01-01T00:00:00Z", meterStart=0)
    first = (await cp.result("StartTransaction", same))["transactionId"]
    await cp.result("StopTransaction", stop(first, meterStop=100, timestamp="1970-01-01T00:00:00Z"))
    second = (await cp.result("StartTransaction", same))["transactionId"]
    await cp.result("StopTransaction", stop(second, meterStop=200, timestamp="1970-01-01T00:00:00Z"))
    assert first != second
    assert [(await row(host, number))["energy_wh"] for number in (first, second)] == [100, 200]


async def test_a_retry_that_comes_after_its_stop_is_found_again(host: Node, cp: Wire) -> None:
    """The stop named no transaction, because the answer to the start never arrived; now the start comes again."""
    first = await cp.result("StartTransaction", start())
    await cp.result("StopTransaction", stop(-1, idTag="TAG"))
    assert await cp.result("StartTransaction", start()) == first
    (only,) = await host.ask("transactions.list")
    assert (only["energy_wh"], only["open"]) == (7000, False)


async def test_a_second_start_on_an_occupied_connector_supersedes_the_first(host: Node, cp: Wire) -> None:
    """Fault 9: the older one is closed and flagged; its late stop is still kept."""
    old = (await cp.result("StartTransaction", start()))["transactionId"]
    new = await cp.result("StartTransaction", start(timestamp="2026-11-24T10:30:00Z", meterStart=3000))
    assert new["idTagInfo"] == {"status": "Accepted"}
    kept = await row(host, old)
    assert (kept["open"], kept["flags"]) == (False, ["superseded, no stop seen"])
    assert (await row(host, new["transactionId"]))["open"]
    await cp.result("StopTransaction", stop(old, meterStop=2500))
    assert (await row(host, old))["energy_wh"] == 1500
    assert (await row(host, new["transactionId"]))["open"]
    await host.settle()
    assert len(await host.events("transaction.superseded")) == 1


@closed
async def test_a_refused_start_does_not_end_the_session_that_stands_on_the_connector(host: Node, play: Play) -> None:
    """Q37: the one before is closed only if the new start is accepted."""
    await host.ask("stations.add", station="CP-1", no_key=True)
    await host.ask("tags.add", id_tag="TAG")
    async with play() as cp:
        good = (await cp.result("StartTransaction", start()))["transactionId"]
        for second in ("01", "02", "03"):
            told = await cp.result("StartTransaction", start(idTag="X", timestamp=f"2026-11-24T10:00:{second}Z"))
            assert told["idTagInfo"] == {"status": "Invalid"}
        assert (await row(host, good))["open"]
        assert [r["id_tag"] for r in await host.ask("transactions.list", active=True)] == ["X", "TAG"]


async def test_a_start_that_is_concurrent_leaves_the_other_session_on_its_connector_alone(
    host: Node, play: Play
) -> None:
    async with play("CP-1") as one, play("CP-2") as two:
        mine = (await two.result("StartTransaction", start(idTag="B")))["transactionId"]
        await one.result("StartTransaction", start(idTag="A"))
        assert (await two.result("StartTransaction", start(idTag="a")))["idTagInfo"] == {"status": "ConcurrentTx"}
        kept = await row(host, mine)
        assert (kept["open"], kept["flags"]) == (True, [])


async def test_two_stations_racing_for_one_tag_are_not_both_accepted(host: Node, play: Play) -> None:
    """Decided where it is written: exactly one of them wins, whoever it is."""
    async with play("CP-1") as one, play("CP-2") as two, play("CP-3") as three:
        told = await asyncio.gather(
            *(
                station.result("StartTransaction", start(timestamp=f"2026-11-24T10:00:0{n}Z"))
                for n, station in enumerate((one, two, three))
            )
        )
    assert sorted(answer["idTagInfo"]["status"] for answer in told) == ["Accepted", "ConcurrentTx", "ConcurrentTx"]
    assert len({answer["transactionId"] for answer in told}) == 3


async def test_the_same_tag_on_another_connector_is_concurrent_and_free_again_after_the_stop(cp: Wire) -> None:
    first = (await cp.result("StartTransaction", start()))["transactionId"]
    assert (await cp.result("StartTransaction", start(connectorId=2)))["idTagInfo"] == {"status": "ConcurrentTx"}
    await cp.result("StopTransaction", stop(first))
    again = await cp.result("StartTransaction", start(connectorId=2, timestamp="2026-11-24T12:00:00Z"))
    assert again["idTagInfo"] == {"status": "Accepted"}


async def test_stations_that_name_no_tag_do_not_block_each_other(play: Play) -> None:
    nameless = start()
    del nameless["idTag"]
    async with play("CP-1") as one, play("CP-2") as two:
        for station in (one, two):
            told = await station.result("StartTransaction", nameless)
            assert told["idTagInfo"]["status"] != "ConcurrentTx"
            assert told["transactionId"] > 0


async def test_numbers_are_31_bits_positive_and_never_used_again(run: Run) -> None:
    """Errata 3.54, also after the rows are deleted and the node is started again."""
    from arthexis.testing import wire

    seen: list[int] = []
    for _ in range(3):
        async with run() as host:
            async with wire(host.station_url("CP-1")) as cp:
                for _ in range(2):
                    at = f"2026-11-24T10:00:{len(seen):02}Z"
                    seen.append((await cp.result("StartTransaction", start(timestamp=at)))["transactionId"])
            await host.host.journal.write(lambda db: db.core.execute(sa.delete(transaction)))
    assert len(set(seen)) == 6
    assert all(0 < number < 2**31 for number in seen)


@pytest.mark.parametrize(
    ("hours", "flags"),
    [(0, []), (-4, []), (-24 * 400, []), (1, ["station clock cannot be right"])],
)
async def test_an_offline_start_keeps_the_station_s_time(host: Node, cp: Wire, hours: int, flags: list[str]) -> None:
    """Rule 11, fault 10: an old time is said by a queue, one ahead of ours by a wrong clock; the skew is on record."""
    from datetime import timedelta

    at = host.host.clock.now().replace(microsecond=0) + timedelta(hours=hours)
    number = (await cp.result("StartTransaction", start(timestamp=at.isoformat())))["transactionId"]
    kept = await row(host, number)
    assert (kept["started_at"], kept["flags"]) == (at, flags)
    assert kept["start_skew_s"] == pytest.approx(-3600 * hours, abs=5)


@pytest.mark.parametrize("meter", [-1, -(2**31), 2**31, 2**53, 2**62 - 1])
async def test_any_register_of_64_bits_is_stored(host: Node, cp: Wire, meter: int) -> None:
    number = (await cp.result("StartTransaction", start(meterStart=meter)))["transactionId"]
    kept = await row(host, number)
    assert kept["meter_start_wh"] == meter
    assert kept["flags"] == (["meter register below zero"] if meter < 0 else [])


async def test_a_strict_station_s_good_frame_is_a_good_frame(host: Node, cp: Wire) -> None:
    await host.ask("stations.set", station="CP-1", mode="strict")
    assert (await cp.result("StartTransaction", start(timestamp=AT)))["idTagInfo"] == {"status": "Accepted"}
    assert await cp.result("StatusNotification", status("Charging")) == {}
