"""The ``ocpp`` package's client against a node of its own process: what it said is what is stored, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from arthexis_simulator import Disconnected, Frame, Station, station

from tests.node_process import NodeProcess, node_process
from tests.rendering import domain_rows, said, stored_log

BEGAN = datetime(2026, 11, 24, 10, tzinfo=UTC)
PHASES = ("L1", "L2", "L3")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with node_process(tmp_path / "node") as process:
        process.command("tags", "add", "TAG")
        yield process


def key(node: NodeProcess) -> bytes:
    """Add CP-1 to the closed node; its key."""
    return bytes.fromhex(node.ask("stations", "add", "CP-1")["key_hex"])


def texts(log: list[Frame]) -> list[tuple[str, str]]:
    return [(frame.direction, frame.text) for frame in log]


def at(minute: int) -> str:
    return (BEGAN + timedelta(minutes=minute)).isoformat().replace("+00:00", ".123Z")


def samples(number: int) -> list[dict[str, str]]:
    """Sampled values with every attribute that OCPP 1.6 has."""
    power = [
        {
            "value": f"{3600.5 + number}",
            "context": "Sample.Periodic",
            "format": "Raw",
            "measurand": "Power.Active.Import",
            "phase": phase,
            "location": "Outlet",
            "unit": "W",
        }
        for phase in PHASES
    ]
    signed = {"value": "AP;0;3;" + "A" * 900, "format": "SignedData", "context": "Transaction.Begin"}
    return [{"value": str(100 + 180 * number)}, *power, *([signed] if number == 1 else [])]


async def introduce(cp: Station) -> None:
    booted = await cp.boot(
        vendor="Acme",
        model="One",
        charge_box_serial_number="box 1",
        iccid="8944500102198304826",
        imsi="262011234567890",
        meter_serial_number="M-1",
    )
    assert booted.status == "Accepted"
    await cp.status(0, "Available", info="all is well", vendor_id="com.acme", vendor_error_code="0x00")
    await cp.status(1, "Preparing")


async def meter(cp: Station, minutes: range) -> None:
    for minute in minutes:
        await cp.meter(samples=samples(minute), timestamp=at(minute))


async def test_the_rows_rendered_back_are_the_clients_log(node: NodeProcess) -> None:
    async with station(node.url, "CP-1", key=key(node)) as cp:
        await introduce(cp)
        assert (await cp.authorize("TAG")).id_tag_info["status"] == "Accepted"
        started = await cp.start(id_tag="TAG", meter_start_wh=100, timestamp=at(0), reservation_id=7)
        await meter(cp, range(1, 11))
        data = [{"timestamp": at(11), "sampledValue": samples(11)}]
        await cp.stop(meter_stop_wh=2100, timestamp=at(11), reason="EVDisconnected", transaction_data=data)
        frames = texts(cp.log)
    assert started.transaction_id > 0
    assert stored_log(node, "CP-1") == frames
    assert domain_rows(node) == said(frames)
    assert [(row["energy_wh"], row["open"]) for row in node.rows("select * from charging_transaction")] == [(2000, 0)]


async def test_a_session_across_kill_minus_9_is_one_transaction(node: NodeProcess) -> None:
    async with station(node.url, "CP-1", key=key(node)) as cp:
        await introduce(cp)
        started = await cp.start(id_tag="TAG", meter_start_wh=100, timestamp=at(0))
        await meter(cp, range(1, 6))
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.restart)
        await cp.reconnect()
        await meter(cp, range(6, 11))
        await cp.stop(meter_stop_wh=1900, timestamp=at(11), reason="Local")
        frames = texts(cp.log)
    assert [row["id"] for row in node.rows("select id from charging_transaction")] == [started.transaction_id]
    assert stored_log(node, "CP-1") == frames
    assert domain_rows(node) == said(frames)


async def test_a_start_whose_answer_was_lost_is_sent_again_and_is_one_transaction(node: NodeProcess) -> None:
    async with station(node.url, "CP-1", key=key(node), answer_timeout_s=0.3) as cp:
        await introduce(cp)
        request, _ = cp.starting(1, "TAG", 100)
        payload = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": request.timestamp}
        await cp.say(json.dumps([2, "lost", "StartTransaction", payload]))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.restart)
        await cp.reconnect()
        again = await cp.send("StartTransaction", payload)
        await cp.stop(again["transactionId"], meter_stop_wh=300)
    rows = node.rows("select * from charging_transaction")
    assert [(row["id"], row["energy_wh"]) for row in rows] == [(again["transactionId"], 200)]


async def test_messages_queued_while_the_node_is_dead_arrive_in_order(node: NodeProcess) -> None:
    """OCPP 1.6 §3.7: what belongs to a transaction is kept and sent when the connection is back."""
    async with station(node.url, "CP-1", key=key(node), reconnects=True, speed=240, answer_timeout_s=5) as cp:
        await introduce(cp)
        cp.spawn(cp.begin_session(1, "TAG"))
        await cp.expect_sent("MeterValues", 2)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(2.5)
        await asyncio.to_thread(node.restart)
        before = len(cp.log)
        await cp.expect_sent("MeterValues", 6)
        await cp.end_session(1, "Local")
        sent = [frame.message[3] for frame in cp.log[before:] if frame.direction == ">" and "MeterValues" in frame.text]
    [row] = node.rows("select * from charging_transaction")
    assert (row["open"], row["stop_reason"]) == (0, "Local")
    times = [call["meterValue"][0]["timestamp"] for call in sent]
    assert times == sorted(times)
    stored = [r["sampled_at_raw"] for r in node.rows("select * from meter_value order by sampled_at")]
    assert len(stored) == len(set(stored)) >= 6


async def test_a_killed_node_is_noticed_at_once(node: NodeProcess) -> None:
    async with station(node.url, "CP-1", key=key(node), answer_timeout_s=30) as cp:
        await cp.boot()
        await asyncio.to_thread(node.kill)
        async with asyncio.timeout(5):
            with pytest.raises(Disconnected):
                await cp.heartbeat()
