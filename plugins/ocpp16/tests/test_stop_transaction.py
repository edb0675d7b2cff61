"""StopTransaction: it cannot be refused, closes only what it means, and counts once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from arthexis_ocpp16.testing import AT, LATER, meter, reading, start, stop

from arthexis.testing import Node, Wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
Play = Callable[..., AbstractAsyncContextManager[Wire]]
Run = Callable[..., AbstractAsyncContextManager[Node]]


async def begun(cp: Wire, **members: Any) -> int:
    return int((await cp.result("StartTransaction", start(**members)))["transactionId"])


async def row(host: Node, number: int) -> dict[str, Any]:
    return dict(await host.ask("transactions.show", transaction=number))


async def test_everything_of_a_stop_is_stored(host: Node, cp: Wire) -> None:
    number = await begun(cp)
    data = [
        reading({"value": "1000", "context": "Transaction.Begin", "unit": "Wh"}),
        reading({"value": "8000", "context": "Transaction.End", "unit": "Wh"}, at=LATER),
    ]
    said = stop(number, idTag="tag", reason="EVDisconnected", transactionData=data)
    assert await cp.result("StopTransaction", said) == {"idTagInfo": {"status": "Accepted"}}
    kept = await row(host, number)
    told = (kept["stop_reason"], kept["stop_id_tag"], kept["meter_stop_wh"], kept["energy_wh"], kept["stopped_at_raw"])
    assert told == ("EVDisconnected", "tag", 8000, 7000, LATER)
    assert [r["samples"] for r in kept["meter_values"]] == [d["sampledValue"] for d in data]
    assert all(r["with_stop"] for r in kept["meter_values"])


async def test_without_a_reason_it_is_local(host: Node, cp: Wire) -> None:
    """Rule 4, errata 2.5."""
    number = await begun(cp)
    await cp.result("StopTransaction", stop(number))
    assert (await row(host, number))["stop_reason"] == "Local"


async def test_a_stop_sent_again_changes_nothing(host: Node, cp: Wire) -> None:
    """Fault 3: three times, with another register the last time, and nothing is doubled."""
    number = await begun(cp)
    said = stop(number, idTag="TAG", transactionData=[reading("8000", at=LATER)])
    first = await cp.result("StopTransaction", said)
    kept = await row(host, number)
    assert await cp.result("StopTransaction", said) == first
    assert await cp.result("StopTransaction", {**said, "meterStop": 99999, "reason": "Other"}) == first
    assert await row(host, number) == kept
    await host.settle()
    assert len(await host.events("transaction.stopped")) == 1


async def test_a_stop_sent_again_after_a_restart_changes_nothing(run: Run) -> None:
    from arthexis.testing import wire

    kept = []
    for _ in range(2):
        async with run() as host:
            async with wire(host.station_url("CP-1")) as cp:
                number = (await cp.result("StartTransaction", start()))["transactionId"] if not kept else kept[0]["id"]
                await cp.result("StopTransaction", stop(number, transactionData=[reading("8000")]))
            kept.append(await row(host, number))
    assert kept[0] == kept[1]


async def test_meter_values_that_come_again_with_the_stop_count_once(host: Node, cp: Wire) -> None:
    """Fault 4: each sample once, whether its reading comes whole or with others."""
    number = await begun(cp)
    energy = {"value": "4000", "measurand": "Energy.Active.Import.Register"}
    power = {"value": "11000", "measurand": "Power.Active.Import"}
    for _ in range(2):
        await cp.result("MeterValues", meter(energy, at="2026-11-24T10:30:00Z", transactionId=number))
    data = [reading(energy, power, at="2026-11-24T10:30:00Z"), reading("8000", at=LATER)]
    await cp.result("StopTransaction", stop(number, transactionData=data))
    samples = [sample for r in (await row(host, number))["meter_values"] for sample in r["samples"]]
    assert samples == [energy, power, {"value": "8000"}]


async def test_an_unknown_number_is_kept_apart(host: Node, cp: Wire) -> None:
    """Rule 4, fault 6, defect 5: acknowledged, kept as one of its own, once, and the running session runs on."""
    running = await begun(cp)
    for _ in range(2):
        assert await cp.result("StopTransaction", stop(999_999)) == {}
    apart, kept = await host.ask("transactions.list")
    assert (kept["id"], kept["open"], kept["stop_reason"]) == (running, True, None)
    assert (apart["claimed_id"], apart["meter_stop_wh"], apart["energy_wh"]) == (999_999, 8000, None)
    assert apart["flags"] == ["stop without a start"]
    await host.settle()
    assert len(await host.events("transaction.stopped")) == 1


async def test_another_station_s_transaction_is_never_touched(host: Node, play: Play) -> None:
    """Invariant 3, security 6."""
    async with play("CP-1") as mine, play("CP-2") as foreign:
        number = await begun(mine)
        before = await row(host, number)
        assert await foreign.result("StopTransaction", stop(number, idTag="TAG")) != {}
        assert await foreign.result("MeterValues", meter("9999", transactionId=number)) == {}
        assert await row(host, number) == before


@pytest.mark.parametrize("nothing", [0, -1, None, "", "null"])
async def test_a_stop_without_a_number_closes_the_only_transaction_it_can_be_of(
    host: Node, cp: Wire, nothing: object
) -> None:
    """Rule 4, faults 5 and Q34: also a second time, and a transaction begun since is left alone."""
    number = await begun(cp)
    said = stop(nothing, idTag="TAG")
    await cp.result("StopTransaction", said)
    kept = await row(host, number)
    assert (kept["open"], kept["energy_wh"]) == (False, 7000)
    assert kept["flags"] == ["stop named no transaction, attached to the only open one"]
    other = await begun(cp, timestamp="2026-11-24T12:00:00Z", meterStart=8000)
    await cp.result("StopTransaction", said)
    assert (await row(host, other))["open"]
    assert len(await host.ask("transactions.list")) == 2


async def test_of_several_it_closes_the_one_on_its_tag(host: Node, cp: Wire) -> None:
    first, second = await begun(cp, idTag="A"), await begun(cp, idTag="B", connectorId=2)
    await cp.result("StopTransaction", stop(-1, idTag="b"))
    assert (await row(host, first))["open"]
    assert not (await row(host, second))["open"]


@pytest.mark.parametrize(
    "members",
    [
        {"idTag": "OTHER"},
        {"meterStop": 999},
        {"timestamp": "2026-11-23T10:00:00Z"},
    ],
    ids=["another tag", "a register below its start", "a time before its start"],
)
async def test_a_stop_that_cannot_be_of_the_open_transaction_is_kept_apart(
    host: Node, cp: Wire, members: dict[str, Any]
) -> None:
    number = await begun(cp)
    await cp.result("StopTransaction", stop(0, **members))
    assert (await row(host, number))["open"]
    assert (await host.ask("transactions.list"))[0]["flags"][0] == "stop without a start"


async def test_with_two_open_ones_and_no_tag_it_closes_neither(host: Node, cp: Wire) -> None:
    await begun(cp, idTag="A")
    await begun(cp, idTag="B", connectorId=2)
    assert await cp.result("StopTransaction", stop(0)) == {}
    assert len(await host.ask("transactions.list", active=True)) == 2


@pytest.mark.parametrize(
    ("began", "ended", "energy_wh", "flag"),
    [
        (1000, 1000, 0, None),
        (1000, 999, None, "meter ran backwards"),
        (2**31 - 100, 50, None, "meter ran backwards"),
        (-500, 100, None, "meter register below zero"),
        (100, -500, None, "meter register below zero"),
        (0, 2**31, 2**31, None),
        (0, 2**63 - 1, None, "meter register missing or absurd"),
        (2**63 - 1, 2**63 - 1, None, "meter register missing or absurd"),
        (0, 10**30, None, "meter register missing or absurd"),
        (0, 1e400, None, "meter register missing or absurd"),
        (0, None, None, "meter register missing or absurd"),
        (None, 5000, None, "meter register missing or absurd"),
    ],
)
async def test_energy_is_never_negative_and_what_makes_no_sense_is_flagged(
    host: Node, cp: Wire, began: Any, ended: Any, energy_wh: int | None, flag: str | None
) -> None:
    """Fault 13."""
    number = await begun(cp, meterStart=began)
    text = '[2,"s","StopTransaction",{"transactionId":%d,"meterStop":%s,"timestamp":"%s"}]'
    said = "1e400" if ended == 1e400 else "null" if ended is None else str(ended)
    await cp.say(text % (number, said, LATER))
    assert await cp.hear() == [3, "s", {}]
    kept = await row(host, number)
    assert kept["energy_wh"] == energy_wh
    assert kept["flags"] == ([flag] if flag else [])


async def test_a_stop_by_a_blocked_tag_is_told_so_and_stops_all_the_same(host: Node, cp: Wire) -> None:
    number = await begun(cp)
    await host.ask("tags.add", id_tag="THIEF", status="Blocked")
    told = await cp.result("StopTransaction", stop(number, idTag="THIEF"))
    assert told == {"idTagInfo": {"status": "Blocked"}}
    assert not (await row(host, number))["open"]


async def test_a_stop_before_its_start_was_answered_belongs_to_it(host: Node, cp: Wire) -> None:
    """Fault 5: start and stop in one breath, the second knows no number yet."""
    await cp.say([2, "a", "StartTransaction", start(timestamp=AT)])
    await cp.say([2, "b", "StopTransaction", stop(0, idTag="TAG")])
    assert [(await cp.hear())[:2] for _ in range(2)] == [[3, "a"], [3, "b"]]
    (only,) = await host.ask("transactions.list")
    assert (only["energy_wh"], only["open"]) == (7000, False)
