"""The rules of OCPP 1.6 that concern the ten actions and are not the matter of one action's own tests.

Rules 5 and 6: test_start_transaction, test_authorize. 8 and 9: test_boot_notification. 13: test_meter_values. 20:
test_data_transfer. 21: test_progress.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from arthexis_ocpp16.protocol import ERRORS, UNREFUSABLE
from arthexis_ocpp16.testing import AT, meter, reading, start, status, stop

from arthexis.contributions import Fault
from arthexis.testing import Node, Wire, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
Run = Callable[..., AbstractAsyncContextManager[Node]]

LISTENER = """
import json
from pathlib import Path
from arthexis import hookimpl

OUT = Path({out!r})


def keep(kind, event):
    with OUT.open("a") as file:
        file.write(json.dumps([kind, event.data.get("transaction_id") or event.data.get("status")]) + "\\n")


@hookimpl
async def on_transaction_started(event):
    keep("started", event)


@hookimpl
async def on_transaction_metered(event):
    keep("metered", event)


@hookimpl
async def on_transaction_stopped(event):
    keep("stopped", event)
"""


async def test_1_calls_of_both_sides_may_cross(host: Node, cp: Wire) -> None:
    """Reading never waits for an answer: the station's CALL is answered while ours is open (OCPP-J §4.1.1)."""
    asked = asyncio.ensure_future(host.host.links["cp-1"].ask("Reset", {"type": "Soft"}))
    call = await cp.hear()
    assert call[2] == "Reset"
    assert "currentTime" in await cp.result("Heartbeat")
    assert await cp.result("StatusNotification", status("Unavailable")) == {}
    await cp.say([3, call[1], {"status": "Accepted"}])
    assert await asked == {"status": "Accepted"}


@pytest.mark.parametrize("message_id", ["1", "a" * 36, "{äöü}-😀", "00000000-0000-4000-8000-000000000000", ""])
async def test_2_the_answer_has_the_id_of_the_call(cp: Wire, message_id: str) -> None:
    assert (await cp.call("Heartbeat", {}, message_id))[:2] == [3, message_id]


async def test_2_other_message_types_are_ignored(cp: Wire) -> None:
    for kind in (0, 1, 5, 6, 99, -2, "x", None, [2], 2.5):
        await cp.say([kind, "i", "Heartbeat", {}])
    assert await cp.silent(0.1)
    assert (await cp.call("Heartbeat"))[0] == 3


async def test_2_an_error_has_five_elements_and_empty_details(cp: Wire) -> None:
    frame = await cp.call("Nonsense")
    assert len(frame) == 5
    assert isinstance(frame[3], str)
    assert frame[4] == {}


def test_3_the_codes_are_those_of_the_standard() -> None:
    """With its spelling (errata 5.1)."""
    codes = {
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    }
    assert set(ERRORS) == set(Fault)
    assert set(ERRORS.values()) < codes
    assert {"StartTransaction", "StopTransaction", "MeterValues"} == UNREFUSABLE


@pytest.mark.parametrize(
    "fails", ["raise KeyError('x')", "await asyncio.sleep(60)", "return 'Accepted'", "raise SystemExit"]
)
async def test_4_a_plugin_that_cannot_decide_refuses_the_tag_and_stores_the_transaction(
    run: Run, install: Callable[[str], str], fails: str
) -> None:
    """Sanity checks never keep the answer back; deciding fails closed."""
    source = f"""
import asyncio
from arthexis import hookimpl

@hookimpl
async def decide_authorization(station, id_tag, starting):
    {fails}
"""
    async with run(plugins=[install(source)]) as host, wire(host.station_url("CP-1")) as cp:
        told = await cp.result("StartTransaction", start())
        assert told["idTagInfo"] == {"status": "Invalid"}
        assert await cp.result("StopTransaction", stop(told["transactionId"])) == {}
        assert (await host.ask("transactions.list"))[0]["energy_wh"] == 7000
        assert host.faults()


async def test_5_a_plugin_decides_and_its_word_is_what_a_retry_gets(run: Run, install: Callable[[str], str]) -> None:
    source = """
from arthexis import Authorization, hookimpl

asked = []

@hookimpl
async def decide_authorization(station, id_tag, starting):
    asked.append(starting)
    return Authorization("Blocked" if len(asked) == 1 else "Accepted", parent_id_tag=id_tag[::-1])
"""
    async with run(plugins=[install(source)]) as host, wire(host.station_url("CP-1")) as cp:
        first = await cp.result("StartTransaction", start())
        assert first["idTagInfo"] == {"status": "Blocked", "parentIdTag": "GAT"}
        assert await cp.result("StartTransaction", start()) == first
        assert (await cp.result("Authorize", {"idTag": "TAG"}))["idTagInfo"]["status"] == "Accepted"


async def test_7_the_whole_tag_reaches_the_plugin_that_decides(run: Run, install: Callable[[str], str]) -> None:
    """Also where the column keeps 20 characters: nobody may be known by how his tag begins."""
    source = """
from arthexis import Authorization, hookimpl

@hookimpl
async def decide_authorization(station, id_tag, starting):
    return Authorization("Accepted" if id_tag == "12345678901234567890" else "Invalid")
"""
    async with run(plugins=[install(source)]) as host, wire(host.station_url("CP-1")) as cp:
        for tag, said in (("12345678901234567890", "Accepted"), ("1234567890123456789012", "Invalid")):
            assert (await cp.result("Authorize", {"idTag": tag}))["idTagInfo"]["status"] == said
            assert (await cp.result("StartTransaction", start(idTag=tag)))["idTagInfo"]["status"] == said


async def test_11_a_queue_is_taken_like_any_other_message_and_others_may_overtake_it(host: Node, cp: Wire) -> None:
    """The status of now comes first, then the session of the night; the connector shows now."""
    await cp.result("StatusNotification", status("Available", timestamp="2026-11-24T10:00:00Z"))
    await cp.result("StatusNotification", status("Charging", timestamp="2026-11-24T02:00:00Z"))
    told = await cp.result("StartTransaction", start(timestamp="2026-11-24T02:00:00Z"))
    number = told["transactionId"]
    await cp.result("MeterValues", meter("1500", at="2026-11-24T03:00:00Z", transactionId=number))
    await cp.result("StopTransaction", stop(number, timestamp="2026-11-24T04:00:00Z"))
    row = await host.ask("transactions.show", transaction=number)
    assert (row["started_at"].hour, row["stopped_at"].hour, row["meter_values"][0]["sampled_at"].hour) == (2, 4, 3)
    assert row["stop_received_at"] > row["stopped_at"]
    (connector,) = (await host.ask("stations.show", station="CP-1"))["connectors"]
    assert connector["status"] == "Available"


async def test_12_fractions_and_offsets_are_understood(host: Node, cp: Wire) -> None:
    first = await cp.result("StartTransaction", start(timestamp="2026-11-24T11:00:00.5+01:00"))
    await cp.result("StopTransaction", stop(first["transactionId"], timestamp="2026-11-24T10:00:01.25Z"))
    row = await host.ask("transactions.show", transaction=first["transactionId"])
    assert (row["stopped_at"] - row["started_at"]).total_seconds() == 0.75


async def test_what_was_sent_can_be_rendered_back_from_the_rows(host: Node, cp: Wire) -> None:
    """Samples in their order, also where a reading says the same thing twice."""
    twice = [{"value": "230", "measurand": "Voltage"}, {"value": "230", "measurand": "Voltage"}]
    number = (await cp.result("StartTransaction", start()))["transactionId"]
    said = [reading(*twice), reading("1", "2", at="2026-11-24T10:01:00Z")]
    await cp.result("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": said})
    kept = (await host.ask("transactions.show", transaction=number))["meter_values"]
    assert [{"timestamp": r["sampled_at_raw"], "sampledValue": r["samples"]} for r in kept] == said


async def test_hooks_are_told_exactly_once_whatever_is_sent_again(
    tmp_path: Path, run: Run, install: Callable[[str], str]
) -> None:
    """Each message three times, with new ids, over two sockets and a restart."""
    out = tmp_path / "told"
    probe = install(LISTENER.format(out=str(out)))
    number: Any = None
    for _ in range(2):
        async with run(plugins=[probe]) as host:
            async with wire(host.station_url("CP-1")) as cp:
                if number is None:
                    for _ in range(3):
                        number = (await cp.result("StartTransaction", start()))["transactionId"]
                for _ in range(3):
                    await cp.result("MeterValues", meter("1500", at=AT, transactionId=number))
            async with wire(host.station_url("CP-1")) as cp:
                for _ in range(3):
                    await cp.result("StopTransaction", stop(number, transactionData=[reading("1500", at=AT)]))
            await host.settle()
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert told == [["started", number], ["metered", number], ["stopped", number]]


async def test_a_call_whose_type_is_a_text_is_a_call_in_repair_mode_only(host: Node, cp: Wire) -> None:
    await cp.say(["2", "i", "StartTransaction", start()])
    assert (await cp.hear())[:2] == [3, "i"]
    await host.ask("stations.set", station="CP-1", mode="strict")
    await cp.say(["2", "j", "StartTransaction", start()])
    assert await cp.silent(0.1)
