"""A station as test authors use it, against a real node."""

from __future__ import annotations

import asyncio
import json

import pytest
from arthexis_simulator import (
    CallError,
    ConnectionRefused,
    Disconnected,
    InvalidAnswer,
    Late,
    Refusal,
    Silence,
    Station,
    Unanswered,
    station,
)

from arthexis import CallFailed
from arthexis.testing import Node

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def test_it_is_connected_and_not_yet_booted(station: Station, host: Node) -> None:
    assert station.connected
    assert not station.accepted
    assert (await host.ask("stations.list"))[0]["vendor"] is None
    assert (await station.boot()).status == "Accepted"
    assert station.accepted


async def test_the_log_holds_every_frame_both_ways_in_order(station: Station) -> None:
    await station.boot()
    await station.heartbeat()
    frames = [(frame.direction, frame.message[0]) for frame in station.log]
    assert frames == [(">", 2), ("<", 3), (">", 2), ("<", 3)]
    assert station.log[2].message[2:] == ["Heartbeat", {}]


async def test_a_session_needs_no_more_than_its_words(station: Station, host: Node) -> None:
    await station.boot()
    started = await station.start(meter_start_wh=1000)
    await station.meter(energy_wh=1500.5, power_w=7400, current_a=10.7, voltage_v=230, soc=51)
    await station.stop(meter_stop_wh=2000)
    shown = await host.ask("transactions.show", transaction=started.transaction_id)
    assert (shown["energy_wh"], shown["stop_reason"]) == (1000, "Local")
    samples = shown["meter_values"][0]["samples"]
    assert [(s["measurand"], s["value"]) for s in samples] == [
        ("Energy.Active.Import.Register", "1500.5"),
        ("Power.Active.Import", "7400"),
        ("Current.Import", "10.7"),
        ("Voltage", "230"),
        ("SoC", "51"),
    ]


async def test_any_payload_leaves_as_it_is_and_a_callerror_is_raised_with_its_code(stations, host: Node) -> None:
    cp = await stations("CP-1")
    await cp.boot()
    await host.ask("stations.set", station="CP-1", mode="strict")
    with pytest.raises(CallError) as caught:
        await cp.send("StatusNotification", {"connectorId": "one"})
    assert caught.value.code in {"TypeConstraintViolation", "OccurenceConstraintViolation"}
    with pytest.raises(CallError, match="NotImplemented"):
        await cp.send("MakeCoffee", {"cups": 2})
    assert json.loads(cp.log[-2].text)[2:] == ["MakeCoffee", {"cups": 2}]


async def test_a_request_that_breaks_its_schema_is_the_author_s_mistake(station: Station) -> None:
    with pytest.raises(InvalidAnswer):
        await station.status(1, "Sleeping")
    assert not station.log


async def test_a_message_that_is_never_answered_times_out(stations) -> None:
    cp = await stations("CP-1", answer_timeout_s=0.1)
    await cp.boot()
    cp.client._connection.send = _nowhere
    with pytest.raises(Unanswered):
        await cp.heartbeat()


async def _nowhere(_text: str) -> None:
    """A frame that is lost."""


async def test_a_wrong_key_is_told_with_its_status(host: Node) -> None:
    await host.ask("stations.add", station="CP-9")
    with pytest.raises(ConnectionRefused) as caught:
        async with station(host.url, "CP-9", key=b"wrong"):
            pass
    assert caught.value.status == 401


async def test_nobody_there_is_told_too(unused_tcp_port: int) -> None:
    with pytest.raises(ConnectionRefused) as caught:
        async with station(f"ws://127.0.0.1:{unused_tcp_port}", "CP-1"):
            pass
    assert caught.value.status is None


async def test_any_bytes_can_be_a_key(host: Node) -> None:
    added = await host.ask("stations.add", station="CP-9", key=bytes(range(0, 240, 12)).hex())
    async with station(host.url, "CP-9", key=bytes.fromhex(added["key_hex"])) as cp:
        assert (await cp.boot()).status == "Accepted"


@pytest.mark.node(open_mode=False)
async def test_the_fixture_adds_its_station_to_a_closed_node(station: Station) -> None:
    assert (await station.boot()).status == "Accepted"
    assert isinstance(station.key, bytes)


async def test_a_cut_connection_ends_what_waits_at_once_and_reconnecting_needs_no_boot(station: Station) -> None:
    await station.boot()
    await station.drop()
    with pytest.raises(Disconnected):
        await station.heartbeat()
    await station.reconnect()
    assert (await station.heartbeat()).current_time


async def test_a_payload_is_answered_instead_of_the_usual(station: Station, ask) -> None:
    station.answer("Reset", {"status": "Rejected"}, times=1)
    assert await ask("Reset", type="Soft") == {"status": "Rejected"}
    assert await station.expect("Reset") == {"type": "Soft"}
    assert station.connected
    await station.boot()
    assert await ask("Reset", type="Soft") == {"status": "Accepted"}
    await station.expect_sent("BootNotification", 2)


async def test_a_callable_sees_the_payload_and_may_leave_it_to_the_usual(station: Station, ask) -> None:
    async def only_hard(payload):
        await asyncio.sleep(0)
        return {"status": "Rejected"} if payload["type"] == "Hard" else None

    await station.boot()
    station.answer("Reset", only_hard)
    assert await ask("Reset", type="Hard") == {"status": "Rejected"}
    assert await ask("Reset", type="Soft") == {"status": "Accepted"}


async def test_an_error_silence_and_a_late_answer(station: Station, ask) -> None:
    station.answer("ClearCache", Refusal("SecurityError", "not you"))
    with pytest.raises(CallFailed, match="not you") as refused:
        await ask("ClearCache")
    assert refused.value.error_code == "SecurityError"
    station.answer("ClearCache", Silence())
    with pytest.raises(Exception, match="no answer"):
        await ask("ClearCache", 0.2)
    station.answer("ClearCache", Late(0.3))
    with pytest.raises(Exception, match="no answer"):
        await ask("ClearCache", 0.1)
    station.answer("ClearCache", Late(0.1, {"status": "Rejected"}))
    assert await ask("ClearCache") == {"status": "Rejected"}
    station.answer_as_usual("ClearCache")
    assert await ask("ClearCache") == {"status": "Accepted"}


async def test_a_handler_of_an_author_that_fails_fails_the_test(host: Node) -> None:
    def faulty(payload):
        raise LookupError(payload)

    async def play() -> None:
        async with station(host.url, "CP-1") as cp:
            cp.answer("ClearCache", faulty)
            with pytest.raises(Exception, match="no answer"):
                await host.host.links["cp-1"].ask("ClearCache", {}, 0.2)

    with pytest.raises(LookupError):
        await play()


async def test_an_unknown_action_and_a_broken_payload_get_the_codes_of_ocpp_1_6(station: Station, ask) -> None:
    with pytest.raises(CallFailed) as unknown:
        await ask("MakeCoffee")
    assert unknown.value.error_code == "NotImplemented"
    with pytest.raises(CallFailed) as broken:
        await ask("Reset", type="Medium")
    assert broken.value.error_code in {"FormationViolation", "PropertyConstraintViolation"}


async def test_a_message_is_tried_again_as_often_as_the_station_is_configured_and_then_discarded(
    stations, host: Node
) -> None:
    """OCPP 1.6 §3.7.1."""
    cp = await stations("CP-1", speed=1000, answer_timeout_s=0.2)
    await cp.boot()
    cp.configuration["TransactionMessageAttempts"] = "2"
    await host.ask("stations.reject", station="CP-1")
    request, _ = cp.starting(1, "TAG")
    answer = await cp.outbox.post(lambda: request)
    with pytest.raises(CallError, match="SecurityError"):
        await answer
    assert len(cp.sent("StartTransaction")) == 2
