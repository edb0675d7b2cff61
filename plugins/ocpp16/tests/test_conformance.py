"""The station's side of the OCA cases that need no CALL of ours, and the negative set, table by table.

A case is green only if every request was answered by a CALLRESULT that its schema allows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from arthexis_ocpp16.messages import MESSAGES
from arthexis_ocpp16.testing import boot, meter, start, status, stop

from arthexis.testing import Node, Wire

pytestmark = [pytest.mark.plugins("arthexis-ocpp16:*"), pytest.mark.node(open_mode=False)]
Play = Callable[..., AbstractAsyncContextManager[Wire]]
Step = tuple[str, dict[str, Any], dict[str, Any]]
TX = "the transactionId of the start"


def plug(said: str, **members: Any) -> Step:
    """A StatusNotification of connector 1."""
    return ("StatusNotification", status(said, **members), {})


def authorize(tag: str, said: str) -> Step:
    return ("Authorize", {"idTag": tag}, {"idTagInfo.status": said})


def begin(tag: str = "GOOD", said: str = "Accepted", **members: Any) -> Step:
    return ("StartTransaction", start(idTag=tag, **members), {"idTagInfo.status": said})


def end(reason: str, **members: Any) -> Step:
    return ("StopTransaction", stop(TX, reason=reason, **members), {})


BOOT: Step = ("BootNotification", boot(), {"status": "Accepted"})
BEAT: Step = ("Heartbeat", {}, {})
PAST = {"timestamp": "2026-11-24T06:00:00Z"}
LONG_PAST = {"timestamp": "2025-10-20T06:00:00Z"}
FIRMWARE = "FirmwareStatusNotification"
DIAGNOSTICS = "DiagnosticsStatusNotification"


def told(action: str, *steps: str) -> list[Step]:
    return [(action, {"status": step}, {}) for step in steps]


# Per case: its steps as (action, payload, members of the answer), and what must be stored of the session, if any.
CASES: dict[str, tuple[list[Step], dict[str, Any] | None]] = {
    "001 cold boot": ([BOOT, plug("Available", connector=0), plug("Available"), BEAT, BEAT], None),
    "003 plug-in first": (
        [plug("Preparing"), authorize("GOOD", "Accepted"), begin(), plug("Charging")],
        {"open": True, "authorization": "Accepted"},
    ),
    "004_1 identification first": (
        [authorize("GOOD", "Accepted"), plug("Preparing"), begin(), plug("Charging")],
        {"open": True},
    ),
    "004_2 ConnectionTimeOut": ([authorize("GOOD", "Accepted"), plug("Preparing"), plug("Available")], None),
    "005_1 EV side disconnected": (
        [begin(), plug("SuspendedEV"), end("EVDisconnected"), plug("Finishing"), plug("Available")],
        {"open": False, "stop_reason": "EVDisconnected", "energy_wh": 7000},
    ),
    "007 cached id": ([begin(), plug("Charging")], {"open": True, "authorization": "Accepted"}),
    "023_1 invalid": ([authorize("STRANGER", "Invalid")], None),
    "023_2 expired": ([authorize("OLD", "Expired")], None),
    "023_3 blocked": ([authorize("THIEF", "Blocked")], None),
    "024 lock failure": (
        [authorize("GOOD", "Accepted"), plug("Preparing"), plug("Faulted", errorCode="ConnectorLockFailure")],
        None,
    ),
    "032_1 power failure": (
        [begin(), plug("Charging"), BOOT, plug("Available", connector=0), plug("Available"), end("PowerLoss")],
        {"open": False, "stop_reason": "PowerLoss"},
    ),
    "037_1 offline start, valid": (
        [begin(**PAST), plug("Charging")],
        {"open": True, "authorization": "Accepted", "started_at_raw": PAST["timestamp"], "flags": []},
    ),
    "037_3 offline start, invalid": (
        [begin("STRANGER", "Invalid", **PAST), plug("Charging"), end("DeAuthorized"), plug("Finishing")],
        {"open": False, "authorization": "Invalid", "stop_reason": "DeAuthorized"},
    ),
    "039 offline transaction": (
        [begin(**PAST), end("Local", timestamp="2026-11-24T07:00:00Z")],
        {"open": False, "started_at_raw": PAST["timestamp"], "stopped_at_raw": "2026-11-24T07:00:00Z", "flags": []},
    ),
    "039 offline transaction, a year old": (
        [begin(**LONG_PAST), end("Local", timestamp="2025-10-20T07:00:00Z")],
        {"open": False, "started_at_raw": LONG_PAST["timestamp"], "energy_wh": 7000, "flags": []},
    ),
    "044_1 firmware installed": (
        [*told(FIRMWARE, "Downloading", "Downloaded", "Installing"), BOOT, *told(FIRMWARE, "Installed")],
        None,
    ),
    "044_2 download failed": (told(FIRMWARE, "Downloading", "DownloadFailed"), None),
    "044_3 installation failed": (
        [*told(FIRMWARE, "Downloading", "Downloaded", "Installing"), BOOT, *told(FIRMWARE, "InstallationFailed")],
        None,
    ),
    "045_1 diagnostics uploaded": (told(DIAGNOSTICS, "Uploading", "Uploaded"), None),
    "045_2 upload failed": (told(DIAGNOSTICS, "Uploading", "UploadFailed"), None),
    "053 same parent": (
        [
            ("Authorize", {"idTag": "MATE"}, {"idTagInfo.status": "Accepted", "idTagInfo.parentIdTag": "FAMILY"}),
            begin("MATE", reservationId=5),
        ],
        {"open": True, "reservation_id": 5, "id_tag": "MATE"},
    ),
    "064 unknown vendor": (
        [("DataTransfer", {"vendorId": "com.nobody", "messageId": "m", "data": "d"}, {"status": "UnknownVendorId"})],
        None,
    ),
}


@pytest_asyncio.fixture(autouse=True)
async def known(host: Node) -> None:
    """The station and the tags that the cases go by."""
    await host.ask("stations.add", station="CP-1", no_key=True)
    await host.ask("stations.add", station="CP-2", no_key=True)
    await host.ask("tags.add", id_tag="GOOD", parent_id_tag="FAMILY")
    await host.ask("tags.add", id_tag="MATE", parent_id_tag="FAMILY")
    await host.ask("tags.add", id_tag="THIEF", status="Blocked")
    at = host.host.clock.now() - timedelta(days=1)
    await host.ask("tags.add", id_tag="OLD", expires_at=at)


def member(answer: dict[str, Any], path: str) -> Any:
    value: Any = answer
    for name in path.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize("mode", ["repair", "strict"])
@pytest.mark.parametrize("case", CASES)
async def test_case(host: Node, cp: Wire, case: str, mode: str) -> None:
    await host.ask("stations.set", station="CP-1", mode=mode)
    steps, session = CASES[case]
    number = None
    for action, payload, wanted in steps:
        sent = {name: number if value is TX else value for name, value in payload.items()}
        answer = await cp.result(action, sent)
        assert {path: member(answer, path) for path in wanted} == wanted
        number = answer.get("transactionId", number)
        assert "transactionId" not in answer or answer["transactionId"] > 0
    found = await host.ask("transactions.list")
    if session is None:
        assert found == []
    else:
        assert [{name: row[name] for name in session} for row in found] == [session]


# ---------------------------------------------------------------- the negative set

GOOD: dict[str, dict[str, Any]] = {
    "Authorize": {"idTag": "GOOD"},
    "BootNotification": boot(iccid="1"),
    "DataTransfer": {"vendorId": "com.nobody", "messageId": "m", "data": "d"},
    "DiagnosticsStatusNotification": {"status": "Uploaded"},
    "FirmwareStatusNotification": {"status": "Installed"},
    "Heartbeat": {},
    "MeterValues": meter("1"),
    "StartTransaction": start(idTag="GOOD"),
    "StatusNotification": status(info="i"),
    "StopTransaction": stop(5, reason="Local"),
}
MONEY = {"StartTransaction", "StopTransaction", "MeterValues"}
REQUIRED = [
    (action, wire)
    for action, payload in GOOD.items()
    for wire in payload
    if wire not in {"iccid", "messageId", "data", "info", "reason"}
]
# Over the length, or no member of the enumeration: as strict stations are told.
OUT_OF_RANGE = [
    ("Authorize", "idTag", "x" * 21),
    ("BootNotification", "chargePointModel", "x" * 21),
    ("BootNotification", "iccid", "x" * 21),
    ("DataTransfer", "vendorId", "x" * 256),
    ("DataTransfer", "messageId", "x" * 51),
    ("DiagnosticsStatusNotification", "status", "Exploded"),
    ("FirmwareStatusNotification", "status", "Exploded"),
    ("StartTransaction", "idTag", "x" * 21),
    ("StatusNotification", "status", "Exploded"),
    ("StatusNotification", "errorCode", "Exploded"),
    ("StatusNotification", "info", "x" * 51),
    ("StopTransaction", "reason", "Exploded"),
]


async def refused(host: Node, cp: Wire, action: str, payload: Any) -> str:
    """The code of the CALLERROR, after making sure that the raw frame of money is on record before it arrives."""
    code = await cp.error(action, payload, "n")
    if action in MONEY:
        logged = [row for row in await host.ask("messages.list") if row["message_id"] == "n"]
        assert [row["frame"] is not None and code in row["answer"] for row in logged] == [True]
    assert await host.ask("transactions.list") == []
    return code


@pytest.mark.parametrize(("action", "wire"), REQUIRED)
async def test_n4_a_missing_member_is_an_occurence_violation(host: Node, cp: Wire, action: str, wire: str) -> None:
    """With the spelling of the standard (errata 5.1); in repair mode money is acknowledged all the same."""
    payload = {name: value for name, value in GOOD[action].items() if name != wire}
    if action in MONEY:
        assert (await cp.call(action, payload))[0] == 3
    else:
        assert await cp.error(action, payload) == "OccurenceConstraintViolation"


@pytest.mark.parametrize(("action", "wire"), REQUIRED)
async def test_n4_and_n5_in_strict_mode(host: Node, cp: Wire, action: str, wire: str) -> None:
    await host.ask("stations.set", station="CP-1", mode="strict")
    payload = {name: value for name, value in GOOD[action].items() if name != wire}
    assert await refused(host, cp, action, payload) == "OccurenceConstraintViolation"
    for wrong in ({"a": 1}, None, True):
        assert await cp.error(action, {**GOOD[action], wire: wrong}) == "TypeConstraintViolation"
    assert await cp.error(action, {**GOOD[action], "extra": 1}) == "FormationViolation"
    assert (await cp.call(action, GOOD[action]))[0] == 3


@pytest.mark.parametrize(("action", "wire", "value"), OUT_OF_RANGE)
async def test_n6_a_value_out_of_range_is_a_property_violation(
    host: Node, cp: Wire, action: str, wire: str, value: str
) -> None:
    payload = {**GOOD[action], wire: value}
    if action not in {"DiagnosticsStatusNotification", "FirmwareStatusNotification"}:
        assert (await cp.call(action, payload))[0] == 3
    await host.ask("stations.set", station="CP-2", mode="strict")
    from arthexis.testing import wire as opened

    async with opened(host.station_url("CP-2")) as strict:
        await strict.boot()
        assert await strict.error(action, payload) == "PropertyConstraintViolation"


@pytest.mark.parametrize("mode", ["repair", "strict"])
async def test_n7_an_unknown_action_and_one_that_is_off(host: Node, cp: Wire, mode: str) -> None:
    """Rules 2 and 3: NotImplemented is unknown, NotSupported is known; an action's letters matter."""
    await host.ask("stations.set", station="CP-1", mode=mode)
    for unknown in ("Foo", "heartbeat", "", "../Heartbeat", "Heartbeat ", "x" * 5000):
        assert await cp.error(unknown) == "NotImplemented"
    for other in sorted({m.action for m in MESSAGES} - set(GOOD)):
        assert await cp.error(other) == "NotSupported"


@pytest.mark.parametrize("action", GOOD)
async def test_n8_a_frame_that_is_none_closes_nothing(host: Node, cp: Wire, action: str) -> None:
    """In strict mode it is dropped and counted, because no id can be read; the socket goes on."""
    await host.ask("stations.set", station="CP-1", mode="strict")
    for broken in (f'[2,"1","{action}",', f'{{2,"1","{action}"}}', "", "[]", "hello", f'[2,"1","{action}",nope]'):
        await cp.say(broken)
    assert (await cp.call(action, GOOD[action], "good"))[1] == "good"
    assert host.host.unreadable == 6


@pytest.mark.parametrize("mode", ["repair", "strict"])
@pytest.mark.parametrize("action", GOOD)
async def test_n9_the_same_id_again_is_the_same_answer_and_one_row(
    host: Node, cp: Wire, action: str, mode: str
) -> None:
    await host.ask("stations.set", station="CP-1", mode=mode)
    first = await cp.call(action, GOOD[action], "same")
    assert await cp.call(action, GOOD[action], "same") == first
    assert first[0] == 3
    assert len(await host.ask("transactions.list")) == (action in {"StartTransaction", "StopTransaction"})


async def test_n9_the_same_id_with_another_payload_is_another_call(host: Node, cp: Wire) -> None:
    """Q16: some stations use one id for everything."""
    for said in ("Available", "Preparing", "Available"):
        await cp.result("StatusNotification", status(said), "1")
    assert [s["status"] for s in (await host.ask("stations.show", station="CP-1"))["statuses"]] == [
        "Available",
        "Preparing",
        "Available",
    ]


async def test_n10_an_answer_to_no_call_of_ours_is_dropped(cp: Wire) -> None:
    for stray in ('[3,"x",{}]', '[4,"x","GenericError","",{}]', '[3,"x"]', "[5,1]", '[9,"x",{}]'):
        await cp.say(stray)
    assert "currentTime" in await cp.result("Heartbeat")


@pytest.mark.parametrize("mode", ["repair", "strict"])
async def test_n15_any_transaction_id_is_acknowledged(host: Node, play: Play, mode: str) -> None:
    for station in ("CP-1", "CP-2"):
        await host.ask("stations.set", station=station, mode=mode)
    async with play("CP-1") as one, play("CP-2") as two:
        foreign = (await two.result("StartTransaction", start(idTag="MATE")))["transactionId"]
        closed = (await one.result("StartTransaction", start(idTag="GOOD")))["transactionId"]
        await one.result("StopTransaction", stop(closed))
        for number in (0, -1, foreign, closed, 2**31, 2**62, -(2**63), 2**63 - 1):
            assert await one.result("MeterValues", meter("1", transactionId=number)) == {}
            assert await one.result("StopTransaction", stop(number)) == {}
        kept = await host.ask("transactions.show", transaction=foreign)
        assert (kept["open"], kept["meter_values"]) == (True, [])


async def test_n16_a_tag_in_other_letters_is_the_same_tag(cp: Wire) -> None:
    assert (await cp.result("Authorize", {"idTag": "good"}))["idTagInfo"]["status"] == "Accepted"
    first = await cp.result("StartTransaction", start(idTag="Good"))
    assert await cp.result("StartTransaction", start(idTag="gOOD")) == first
    told = await cp.result("StopTransaction", stop(first["transactionId"], idTag="GOOd"))
    assert told["idTagInfo"]["status"] == "Accepted"


@pytest.mark.node(open_mode=False, strict=True, config={"messages": {"log": False}})
@pytest.mark.parametrize("action", sorted(MONEY))
@pytest.mark.parametrize("shape", ["payload", "frame"])
async def test_money_that_strict_mode_refuses_is_stored_though_the_log_is_off(
    host: Node, cp: Wire, action: str, shape: str
) -> None:
    """Invariant 4: the raw frame is on record before its CALLERROR leaves."""
    frame = [2, "lost", action, {"meterStop": "12.5 kWh"}] + ([5] if shape == "frame" else [])
    await cp.say(frame)
    assert (await cp.hear())[0] == 4
    (logged,) = await host.ask("messages.list")
    assert '"12.5 kWh"' in logged["frame"]
    assert logged["answer"].startswith('[4,"lost"')
