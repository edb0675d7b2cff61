"""Each fault does on the wire what its name says, and the session is whole in the end."""

from __future__ import annotations

import itertools
import json
import random
import time
from typing import Any

import pytest
from arthexis_simulator import Car, Session, Station
from arthexis_simulator.faults import Fault

from arthexis.testing import Node

wired = pytest.mark.plugins("arthexis-ocpp16:*")


@pytest.mark.parametrize(
    ("text", "nth", "probability", "seconds"),
    [
        ("drop", None, None, 3.0),
        ("drop:each-3", 3, None, 3.0),
        ("drop:0.25", None, 0.25, 3.0),
        ("drop:25%", None, 0.25, 3.0),
        ("drop:1", None, 1.0, 3.0),
        ("late@10", None, None, 10.0),
        ("late:each-2@1.5s", 2, None, 1.5),
    ],
)
def test_a_fault_is_written_as_one_word(text: str, nth: int | None, probability: float | None, seconds: float) -> None:
    fault = Fault.parse(text)
    assert (fault.nth, fault.probability, fault.seconds) == (nth, probability, seconds)


@pytest.mark.parametrize("text", ["", "explode", "drop:", "drop:2", "drop:each-0", "drop:150%", "drop:x", "late@"])
def test_what_is_no_fault_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"drop|probability"):
        Fault.parse(text)


def test_how_often_it_strikes() -> None:
    rng = random.Random(1)
    third, share = Fault.parse("drop:each-3"), Fault.parse("drop:20%")
    assert [third.strikes("breaking", rng) for _ in range(6)] == [False, False, True] * 2
    assert 150 < sum(share.strikes("breaking", rng) for _ in range(1000)) < 250
    assert all(Fault.parse("reject").strikes("answering", rng) for _ in range(5))


async def charge(cp: Station, **more: Any) -> Session:
    """A session of ten simulated minutes."""
    session = Session(cp, 1, "TAG", Car(), duration_s=600, interval_s=60, **more)
    await session.run()
    return session


async def stored(host: Node, session: Session) -> dict[str, Any]:
    """The session as the node has it."""
    assert session.transaction is not None
    assert session.failed == []
    return await host.ask("transactions.show", transaction=session.transaction.id)


def whole(shown: dict[str, Any], session: Session, samples: int = 10) -> None:
    assert not shown["open"]
    assert len(shown["meter_values"]) == samples
    assert shown["energy_wh"] == pytest.approx(session.energy_wh, abs=1)
    assert shown["flags"] == []


@pytest.fixture
async def faulty(stations):
    """Make CP-1 with faults, booted, its time six hundred times as fast."""

    async def make(*faults: str) -> Station:
        parsed = [Fault.parse(fault) for fault in faults]
        cp = await stations("CP-1", speed=600, faults=parsed, reconnects=True, seed=4)
        await cp.boot()
        return cp

    return make


@wired
async def test_late_answers_leave_late(faulty, ask) -> None:
    await faulty("late@0.3")
    began = time.monotonic()
    assert await ask("ClearCache") == {"status": "Accepted"}
    assert time.monotonic() - began >= 0.3


@wired
async def test_late_meter_values_arrive_after_their_time_and_are_all_there(faulty, host: Node) -> None:
    cp = await faulty("late:each-5@0.4")
    session = await charge(cp)
    shown = await stored(host, session)
    whole(shown, session)
    sent = [f for f in cp.log if f.direction == ">" and '"MeterValues"' in f.text]
    gaps = [(after.at - before.at).total_seconds() for before, after in itertools.pairwise(sent)]
    assert max(gaps) >= 0.4
    assert cp.faults.played == {"late": 2}


@wired
async def test_silent_never_answers_and_the_socket_stays(faulty, ask) -> None:
    cp = await faulty("silent")
    before = len(cp.log)
    with pytest.raises(Exception, match="no answer"):
        await ask("ClearCache", 0.3)
    assert [frame.direction for frame in cp.log[before:]] == ["<"]
    assert (await cp.heartbeat()).current_time


@wired
async def test_silent_loses_meter_values_which_are_sent_again(faulty, host: Node) -> None:
    cp = await faulty("silent:each-3")
    session = await charge(cp)
    whole(await stored(host, session), session)
    assert cp.faults.played == {"silent": 3}
    assert len(cp.sent("MeterValues")) == 10


@wired
async def test_reject_says_no_in_the_words_of_each_operation(faulty, ask) -> None:
    cp = await faulty("reject")
    assert await ask("RemoteStartTransaction", idTag="TAG") == {"status": "Rejected"}
    assert await ask("UnlockConnector", connectorId=1) == {"status": "UnlockFailed"}
    assert await ask("Reset", type="Hard") == {"status": "Rejected"}
    with pytest.raises(Exception, match="GenericError"):
        await ask("GetConfiguration")
    assert cp.connected
    assert cp.sent("StartTransaction") == []
    assert cp.faults.played == {"reject": 4}


@wired
async def test_malformed_answers_are_no_json_and_the_next_is_good(faulty, ask, host: Node) -> None:
    cp = await faulty("malformed:each-2")
    await ask("ClearCache")
    with pytest.raises(Exception, match=r"no answer|invalid answer"):
        await ask("GetConfiguration", 0.3)
    with pytest.raises(ValueError, match=r".+"):
        json.loads(cp.log[-1].text)
    assert "configurationKey" in cp.log[-1].text
    assert await ask("ClearCache") == {"status": "Accepted"}


@wired
async def test_malformed_meter_values_are_sent_again_and_stored_once(faulty, host: Node) -> None:
    cp = await faulty("malformed:each-2")
    session = await charge(cp)
    whole(await stored(host, session), session)
    broken = [frame for frame in cp.log if frame.direction == ">" and frame.message is None]
    assert len(broken) == 5
    assert all("MeterValues" in frame.text for frame in broken)


@wired
async def test_drop_cuts_the_socket_and_the_session_goes_on_on_the_next(faulty, host: Node) -> None:
    cp = await faulty()
    session = await charge(cp, halfway=cp.drop)
    whole(await stored(host, session), session)
    assert cp.reconnections == 1
    assert len(cp.sent("BootNotification")) == 1, "a station that was only offline does not boot (OCPP-J §5.4)"
    times = [told["meterValue"][0]["timestamp"] for told in cp.sent("MeterValues")]
    assert sorted(set(times)) == list(dict.fromkeys(times))


@wired
async def test_reboot_loses_the_socket_boots_and_then_delivers_the_stop(faulty, host: Node) -> None:
    cp = await faulty()

    async def power_cut() -> None:
        cp.connectors[1].session.stop("PowerLoss")
        cp.spawn(cp.reboot("PowerLoss"))

    session = await charge(cp, halfway=power_cut)
    shown = await stored(host, session)
    whole(shown, session, samples=len(cp.sent("MeterValues")))
    assert shown["stop_reason"] == "PowerLoss"
    order = [f.message[2] for f in cp.log if f.direction == ">" and f.message and f.message[0] == 2]
    assert order.index("BootNotification", 1) < order.index("StopTransaction")
