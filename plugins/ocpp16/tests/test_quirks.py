"""What real stations send, as they send it, over the wire: acknowledged, understood where it can be, kept raw.

The tables are recorded or invented frames; the disturbed ones at the end stand for the next quirk that nobody knows.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from arthexis_ocpp16.testing import AT, LATER, meter, reading, start, stop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arthexis.charging import meter_values
from arthexis.testing import Node, Wire, node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def raw(cp: Wire, action: str, payload: str, message_id: str = "q") -> Any:
    """Send a payload exactly as it is written; the answer."""
    await cp.say(f'[2,"{message_id}","{action}",{payload}]')
    return await cp.hear()


async def latest(host: Node) -> dict[str, Any]:
    """The transaction that was begun last."""
    (row,) = await host.ask("transactions.list", limit=1)
    return dict(row)


async def readings_of(host: Node) -> list[dict[str, Any]]:
    return await host.host.database.read(lambda db: meter_values.of_connector(db, 1, 1000))


def without(payload: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in names}


STARTS: list[tuple[str, Any, dict[str, Any]]] = [
    ("register a float", start(meterStart=1234.9), {"meter_start_wh": 1234}),
    ("register a text", start(meterStart="1234"), {"meter_start_wh": 1234}),
    ("register with blanks", start(meterStart=" 1234 "), {"meter_start_wh": 1234}),
    ("register with its unit", start(meterStart="1234 Wh"), {"meter_start_wh": 1234}),
    ("register in kWh", start(meterStart="12.5 kWh"), {"meter_start_wh": 12500}),
    ("register in kWh, stuck together", start(meterStart="12.5kwh"), {"meter_start_wh": 12500}),
    ("register in MWh", start(meterStart="1,5 MWh"), {"meter_start_wh": 1_500_000}),
    ("register with a comma", start(meterStart="1234,9"), {"meter_start_wh": 1234}),
    ("register with groups", start(meterStart="1.234.567,8"), {"meter_start_wh": 1_234_567}),
    ("register with English groups", start(meterStart="1,234,567.8"), {"meter_start_wh": 1_234_567}),
    ("register with blanks between", start(meterStart="1 234 567"), {"meter_start_wh": 1_234_567}),
    ("register with an exponent", start(meterStart="1.2e3"), {"meter_start_wh": 1200}),
    ("register in an array", start(meterStart=[1234]), {"meter_start_wh": 1234}),
    ("register in arrays", start(meterStart=[["1234"]]), {"meter_start_wh": 1234}),
    ("register an object", start(meterStart={"value": 1234}), {"meter_start_wh": 1234}),
    ("register an object with a unit", start(meterStart={"value": "12.5", "unit": "kWh"}), {"meter_start_wh": 12500}),
    ("register null", start(meterStart=None), {"meter_start_wh": None}),
    ("register missing", without(start(), "meterStart"), {"meter_start_wh": None}),
    ("register empty", start(meterStart=""), {"meter_start_wh": None}),
    ("register true", start(meterStart=True), {"meter_start_wh": None}),
    ("register in another unit", start(meterStart="12 A"), {"meter_start_wh": None}),
    ("register words", start(meterStart="unknown"), {"meter_start_wh": None}),
    ("connector a text", start(connectorId="2"), {"connector": 2}),
    ("connector a float", start(connectorId=2.0), {"connector": 2}),
    ("connector below zero", start(connectorId=-3), {"connector": -3}),
    ("connector absurd", start(connectorId=2**40), {"connector": 2**31 - 1}),
    ("connector missing", without(start(), "connectorId"), {"connector": 0}),
    ("tag a number", start(idTag=4711), {"id_tag": "4711"}),
    ("tag an object of OCPP 2", start(idTag={"idToken": "ABC", "type": "ISO14443"}), {"id_tag": "ABC"}),
    ("tag under the name of OCPP 2", {**without(start(), "idTag"), "idToken": {"idToken": "ABC", "type": "Central"}},
     {"id_tag": "ABC"}),
    ("tag null", start(idTag=None), {"id_tag": None}),
    ("tag missing", without(start(), "idTag"), {"id_tag": None}),
    ("tag in an array", start(idTag=["ABC"]), {"id_tag": "ABC"}),
    ("tag over 20", start(idTag="1234567890123456789012"), {"id_tag": "12345678901234567890"}),
    ("no time", without(start(), "timestamp"), {"flags": ["station clock cannot be right"]}),
    ("time a number", start(timestamp=1795464317), {"started_at": datetime(2026, 11, 23, 20, 5, 17, tzinfo=UTC)}),
    ("time in milliseconds", start(timestamp="1795464317123"),
     {"started_at": datetime(2026, 11, 23, 20, 5, 17, 123000, UTC)}),
    ("reservation a text", start(reservationId="7"), {"reservation_id": 7}),
    ("reservation empty", start(reservationId=""), {"reservation_id": None}),
    ("reservation huge", start(reservationId=2**62), {"reservation_id": 2**62}),
    ("names in snake case", {"connector_id": 2, "id_tag": "ABC", "meter_start": 7, "timestamp": AT},
     {"connector": 2, "id_tag": "ABC", "meter_start_wh": 7}),
    ("names shouted", {"CONNECTORID": 2, "IDTAG": "ABC", "METERSTART": 7, "TIMESTAMP": AT},
     {"connector": 2, "id_tag": "ABC", "meter_start_wh": 7}),
    ("names of others", {"evseId": 2, "tagId": "ABC", "meterBegin": 7, "time": AT},
     {"connector": 2, "id_tag": "ABC", "meter_start_wh": 7}),
    ("a name misspelt", {**without(start(), "meterStart"), "meterStartWh": 77}, {"meter_start_wh": 77}),
    ("a name too long", {**without(start(), "meterStart"), "meterStartTime": "10:00", "meterStartValue": 77},
     {"meter_start_wh": 77}),
    ("payload in two wrappers", {"StartTransaction": {"request": start(meterStart=77)}}, {"meter_start_wh": 77}),
    ("payload beside others", {"action": "StartTransaction", "payload": start(meterStart=77)}, {"meter_start_wh": 77}),
    ("unit in brackets", start(meterStart="12.5 [kWh]"), {"meter_start_wh": 12500}),
    ("unit with a point", start(meterStart="77 W\u00b7h;"), {"meter_start_wh": 77}),
    ("time in an array", start(timestamp=[AT]), {"started_at": datetime(2026, 11, 24, 10, tzinfo=UTC)}),
    ("payload in an array", [start(meterStart=77)], {"meter_start_wh": 77}),
    ("payload in pieces", [{"connectorId": 2, "idTag": "ABC"}, {"meterStart": 77, "timestamp": AT}],
     {"connector": 2, "meter_start_wh": 77}),
    ("payload in a text", json.dumps(start(meterStart=77)), {"meter_start_wh": 77}),
    ("payload in a wrapper", {"startTransactionRequest": start(meterStart=77)}, {"meter_start_wh": 77}),
    ("members one level too deep", {"connectorId": 2, "meter": {"meterStart": 77, "unit": "Wh"}, "idTag": "A",
                                    "timestamp": AT}, {"meter_start_wh": 77, "connector": 2}),
    ("members of a vendor", start(meterStart=77, vendor={"a": [1, {"b": None}]}, x=1.5), {"meter_start_wh": 77}),
]  # fmt: skip

BROKEN_STARTS: list[tuple[str, str, dict[str, Any]]] = [
    ("a member twice", '{"connectorId":1,"idTag":"A","meterStart":5,"meterStart":77,"timestamp":"t"}',
     {"meter_start_wh": 77}),
    ("a value left out", '{"connectorId":,"idTag":"A","meterStart":77,"timestamp":"t"}',
     {"connector": 0, "meter_start_wh": 77}),
    ("a comma too many", '{"connectorId":1,"idTag":"A","meterStart":77,"timestamp":"t",}', {"meter_start_wh": 77}),
    ("leading zeros", '{"connectorId":01,"idTag":"A","meterStart":0077,"timestamp":"t"}', {"meter_start_wh": 77}),
    ("single quotes", "{'connectorId':1,'idTag':'A','meterStart':77,'timestamp':'t'}", {"meter_start_wh": 77}),
    ("NaN", '{"connectorId":1,"idTag":"A","meterStart":NaN,"timestamp":"t"}', {"meter_start_wh": None}),
    ("1e400", '{"connectorId":1,"idTag":"A","meterStart":1e400,"timestamp":"t"}', {"meter_start_wh": None}),
    ("a bracket missing", '{"connectorId":1,"idTag":"A","meterStart":77,"timestamp":"t"', {"meter_start_wh": 77}),
    ("half a character", '{"connectorId":1,"idTag":"A\\ud800","meterStart":77,"timestamp":"t"}',
     {"id_tag": "A\ufffd", "meter_start_wh": 77}),
    ("raw control characters", '{"connectorId":1,"idTag":"A\x10\x0e","meterStart":77,"timestamp":"t"}',
     {"meter_start_wh": 77}),
    ("many lines", '{\r\n  "connectorId": 1,\r\n\t"idTag": "A",\n  "meterStart": 77,\n  "timestamp": "t"\n}\n',
     {"meter_start_wh": 77}),
    ("nothing", "", {"meter_start_wh": None}),
    ("null", "null", {"meter_start_wh": None}),
    ("a number", "5", {"meter_start_wh": None}),
    ("true", "true", {"meter_start_wh": None}),
    ("a text", '"hello"', {"meter_start_wh": None}),
    ("an empty array", "[]", {"meter_start_wh": None}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "kept"),
    [(json.dumps(said), kept) for _, said, kept in STARTS] + [(said, kept) for _, said, kept in BROKEN_STARTS],
    ids=[name for name, _, _ in STARTS + BROKEN_STARTS],
)
async def test_a_start_is_answered_and_what_can_be_read_is_in_the_row(
    host: Node, cp: Wire, payload: str, kept: dict[str, Any]
) -> None:
    answer = await raw(cp, "StartTransaction", payload)
    assert answer[:2] == [3, "q"]
    assert answer[2]["transactionId"] > 0
    assert answer[2]["idTagInfo"]["status"]
    row = await latest(host)
    assert {name: row[name] for name in kept} == kept
    (logged,) = [m for m in await host.ask("messages.list") if m["action"] == "StartTransaction"]
    assert payload in logged["frame"]
    if logged["repairs"]:
        assert row["start_repairs"] == logged["repairs"]


STOPS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("number a text", {"transactionId": "N"}, {}),
    ("number a float", {"transactionId": 0.0}, {}),
    ("number null", {"transactionId": None}, {}),
    ("number empty", {"transactionId": ""}, {}),
    ("number missing", {}, {}),
    ("register with its unit", {"transactionId": -1, "meterStop": "8 kWh"}, {"energy_wh": 7000}),
    ("register a float", {"transactionId": -1, "meterStop": 8000.7}, {"energy_wh": 7000}),
    ("register a text with a comma", {"transactionId": -1, "meterStop": "8000,7"}, {"energy_wh": 7000}),
    ("register missing", {"transactionId": -1, "meterStop": None}, {"energy_wh": None}),
    ("reason unknown", {"transactionId": 0, "reason": "UserPressedStop"}, {"stop_reason": "Other"}),
    ("reason misspelt", {"transactionId": 0, "reason": "EV_DISCONNECTED"}, {"stop_reason": "EVDisconnected"}),
    ("reason null", {"transactionId": 0, "reason": None}, {"stop_reason": "Local"}),
    ("reason empty", {"transactionId": 0, "reason": ""}, {"stop_reason": "Local"}),
    ("tag null", {"transactionId": 0, "idTag": None}, {"stop_id_tag": None}),
    ("tag empty", {"transactionId": 0, "idTag": ""}, {"stop_id_tag": None}),
    ("data null", {"transactionId": 0, "transactionData": None}, {}),
    ("data an object", {"transactionId": 0, "transactionData": reading("8000", at=LATER)}, {"readings": 1}),
    ("data an empty array", {"transactionId": 0, "transactionData": []}, {"readings": 0}),
    ("data under another name", {"transactionId": 0, "meterValue": [reading("8000", at=LATER)]}, {"readings": 1}),
    ("data in arrays of arrays", {"transactionId": 0, "transactionData": [[reading("1"), reading("2")]]},
     {"readings": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("members", "kept"), [s[1:] for s in STOPS], ids=[s[0] for s in STOPS])
async def test_a_stop_is_answered_and_what_can_be_read_is_in_the_row(
    host: Node, cp: Wire, members: dict[str, Any], kept: dict[str, Any]
) -> None:
    number = (await cp.result("StartTransaction", start()))["transactionId"]
    said = {**without(stop(0), "transactionId"), **members}
    if said.get("transactionId") == "N":
        said["transactionId"] = f" {number} "
    assert (await raw(cp, "StopTransaction", json.dumps(said)))[0] == 3
    row = await host.ask("transactions.show", transaction=number)
    assert not row["open"]
    assert {name: row[name] for name in kept if name != "readings"} == {
        name: value for name, value in kept.items() if name != "readings"
    }
    assert len(row["meter_values"]) == kept.get("readings", 0)


ONE = [{"value": "100", "unit": "Wh"}]
METERS: list[tuple[str, Any, list[list[dict[str, str]]]]] = [
    ("value a number", meter({"value": 100, "unit": "Wh"}), [ONE]),
    ("value with its unit", meter({"value": "12.5 kWh"}), [[{"value": "12.5 kWh"}]]),
    ("value 230V", meter({"value": "230V", "measurand": "Voltage"}), [[{"value": "230V", "measurand": "Voltage"}]]),
    ("value with a comma", meter({"value": "12,5"}), [[{"value": "12,5"}]]),
    ("value null", meter({"value": None, "unit": "Wh"}), [[{"value": "", "unit": "Wh"}]]),
    ("value nested", meter({"value": {"value": 5}}), [[{"value": '{"value":5}'}]]),
    ("sample a text", {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": "100"}]},
     [[{"value": "100"}]]),
    ("sample an object", {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": ONE[0]}]}, [ONE]),
    ("all objects", {"connectorId": 1, "meterValue": {"timestamp": AT, "sampledValue": ONE[0]}}, [ONE]),
    ("arrays of arrays", {"connectorId": 1, "meterValue": [[reading(*ONE)], [reading("7", at=LATER)]]},
     [ONE, [{"value": "7"}]]),
    ("samples in arrays",
     {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [[*ONE, {"value": "7"}]]}]},
     [[*ONE, {"value": "7"}]]),
    ("numbered objects", {"connectorId": 1, "meterValue": {"0": reading(*ONE), "1": reading("7", at=LATER)}},
     [ONE, [{"value": "7"}]]),
    ("in a text", {"connectorId": 1, "meterValue": json.dumps([reading(*ONE)])}, [ONE]),
    ("no time", {"connectorId": 1, "meterValue": [{"sampledValue": ONE}]}, [ONE]),
    ("no transaction, no connector", {"meterValue": [reading(*ONE)]}, [ONE]),
    ("OCPP 1.5", {"connectorId": 1, "values": [{"timestamp": AT, "values": ONE}]}, [ONE]),
    ("OCPP 1.5 with value", {"connectorId": 1, "values": [{"timestamp": AT, "value": ONE}]}, [ONE]),
    ("OCPP 1.5 from XML", {"connectorId": 1, "values": {"timestamp": AT, "value": {"$": "100", "unit": "Wh"}}}, [ONE]),
    ("OCPP 2", {"evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [
        {"value": 100, "unitOfMeasure": {"unit": "Wh", "multiplier": 0}}]}]}, [ONE]),
    ("without the array", {"connectorId": 1, "timestamp": AT, "sampledValue": ONE}, [ONE]),
    ("flat", {"connectorId": 1, "timestamp": AT, "value": "100", "unit": "Wh"}, [ONE]),
    ("flat in the reading", {"connectorId": 1, "meterValue": [{"timestamp": AT, "value": 100, "unit": "Wh"}]}, [ONE]),
    ("the array alone", [reading(*ONE), reading("7", at=LATER)], [ONE, [{"value": "7"}]]),
    ("other letters", {"connector_id": "1", "MeterValue": [{"TimeStamp": AT, "sampled_value": [
        {"Value": 100, "UNIT": "wh"}]}]}, [ONE]),
    ("unit Hz, phase and context odd", meter({"value": "50", "unit": "Hz", "phase": "l1-n", "context": "periodic"}),
     [[{"value": "50", "unit": "Hertz", "phase": "L1-N", "context": "Sample.Periodic"}]]),
    ("measurand with a phase", meter({"value": "230", "measurand": "Voltage.L1"}),
     [[{"value": "230", "measurand": "Voltage"}]]),
    ("one sample hopeless", meter({"value": "1"}, None, [], {"value": "2"}), [[{"value": "1"}, {"value": "2"}]]),
    ("nothing", {"connectorId": 1, "meterValue": []}, []),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "kept"), [m[1:] for m in METERS], ids=[m[0] for m in METERS])
async def test_meter_values_are_answered_and_every_sample_that_can_be_read_is_kept(
    host: Node, cp: Wire, payload: Any, kept: list[list[dict[str, str]]]
) -> None:
    assert await raw(cp, "MeterValues", json.dumps(payload)) == [3, "q", {}]
    assert [r["samples"] for r in await readings_of(host)][::-1] == kept


@pytest.mark.parametrize("number", ["5", "5.0", 5.0, [5], {"value": 5}, " 5"])
async def test_a_transaction_s_number_is_understood_however_it_is_written(host: Node, cp: Wire, number: Any) -> None:
    for n in range(5):
        await cp.result("StartTransaction", start(timestamp=f"2026-11-24T10:00:0{n}Z"))
    await cp.result("MeterValues", meter("1", transactionId=number))
    assert (await readings_of(host))[0]["transaction_id"] == 5


@pytest.mark.parametrize("number", [True, "five", {}, [], "NaN", -7, 2**70])
async def test_a_number_that_is_none_touches_no_transaction_by_mistake(host: Node, cp: Wire, number: Any) -> None:
    """True is not transaction 1."""
    await cp.result("StartTransaction", start(connectorId=2))
    await cp.result("MeterValues", meter("1", transactionId=number))
    assert (await readings_of(host))[0]["transaction_id"] == 0


@pytest.mark.parametrize("action", ["StartTransaction", "StopTransaction", "MeterValues"])
@pytest.mark.parametrize(
    "frame",
    [
        '[2,"q","{}",{{}},5]',
        '[2,"q","{}"]',
        '[2,7,"{}",{{}}]',
        '[2,"q","{}",{{}}]]',
        '[2,"q","{}",{{}}',
        '\ufeff[2,"q","{}",{{}}]\0',
        "[2,'q','{}',{{}}]",
        '[2,"' + "q" * 60 + '","{}",{{}}]',
    ],
)
async def test_an_odd_frame_of_money_is_answered(cp: Wire, action: str, frame: str) -> None:
    await cp.say(frame.format(action).encode())
    assert (await cp.hear())[0] == 3


TIMES: list[tuple[str, str | None]] = [
    ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24T10:00:00.123456789Z", "2026-11-24T10:00:00.123456+00:00"),
    ("2026-11-24T10:00:00,5Z", "2026-11-24T10:00:00.500000+00:00"),
    ("2026-11-24T10:00:00.Z", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24t10:00:00z", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24 10:00:00", "2026-11-24T09:00:00+00:00"),
    ("2026-11-24T10:00:00", "2026-11-24T09:00:00+00:00"),
    ("2026-11-24T10:00", "2026-11-24T09:00:00+00:00"),
    ("2026-07-01T10:00:00", "2026-07-01T08:00:00+00:00"),
    ("2026-11-24T11:00:00+01:00", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24T11:00:00+0100", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24T11:00:00+01", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24T04:30:00-05:30", "2026-11-24T10:00:00+00:00"),
    ("2026-11-25T00:00:00+14:00", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24T10:00:00 UTC", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24T10:00:00+00:00Z", "2026-11-24T10:00:00+00:00"),
    ("2026-11-24T11:00:00+01:00[Europe/Berlin]", "2026-11-24T10:00:00+00:00"),
    ("20261124T100000Z", "2026-11-24T10:00:00+00:00"),
    ("20261124110000", "2026-11-24T10:00:00+00:00"),
    ("2026/11/24 11:00:00", "2026-11-24T10:00:00+00:00"),
    ("24.11.2026 11:00:00", "2026-11-24T10:00:00+00:00"),
    ("1795514400", "2026-11-24T10:00:00+00:00"),
    ("1795514400000", "2026-11-24T10:00:00+00:00"),
    ("1795514400.25", "2026-11-24T10:00:00.250000+00:00"),
    ("2026-11-24", "2026-11-23T23:00:00+00:00"),
    ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
    ("2026-12-31T24:00:00Z", "2027-01-01T00:00:00+00:00"),
    ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00+00:00"),
    ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
    ("1999-12-31T23:59:59Z", "1999-12-31T23:59:59+00:00"),
    ("2038-01-19T03:14:08Z", "2038-01-19T03:14:08+00:00"),
    ("2106-02-07T06:28:16Z", "2106-02-07T06:28:16+00:00"),
    ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
    ("0001-01-01T00:00:00+14:00", None),
    ("9999-12-31T23:59:59-14:00", None),
    ("2026-02-30T00:00:00Z", None),
    ("2026-13-01T00:00:00Z", None),
    ("2026-11-24T25:00:00Z", None),
    ("2026-11-24T10:00:00+99:99", None),
    ("10:00:00", None),
    ("now", None),
    ("", None),
    (" ", None),
    ("null", None),
    ("\u0662\u0660\u0662\u0666-11-24T10:00:00Z", None),
    ("2026-11-24T10:00:00Z" + "x" * 5000, None),
    ("\0", None),
]


async def test_times_of_every_kind_through_a_start(host: Node, cp: Wire) -> None:
    """Fault 11: what is no time is answered, kept and flagged; a time without zone is one of the station's."""
    await host.ask("stations.set", station="CP-1", zone="Europe/Berlin")
    for said, meant in TIMES:
        before = datetime.now(UTC)
        assert (await cp.result("StartTransaction", start(timestamp=said)))["transactionId"] > 0
        row = await latest(host)
        assert row["started_at_raw"] == said[:255]
        if meant is None:
            assert before - timedelta(seconds=1) <= row["started_at"] <= datetime.now(UTC)
        else:
            assert row["started_at"].isoformat() == meant, said
        wrong = meant is None or not 2010 <= row["started_at"].year < 2027
        assert ("station clock cannot be right" in row["flags"]) == wrong, said


# ---------------------------------------------------------------- the next quirk, that nobody knows

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
REGISTER = 123_456_789
FIRST = st.sampled_from(
    [
        ("StartTransaction", start(meterStart=REGISTER)),
        ("StopTransaction", stop(0, meterStop=REGISTER, transactionData=[reading({"value": str(REGISTER)})])),
        ("MeterValues", meter({"value": str(REGISTER), "unit": "Wh"})),
    ]
)
PATHS = {"StartTransaction": "meterStart", "StopTransaction": "meterStop", "MeterValues": "meterValue"}


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[str, Any]:
    """A good message of money with members replaced, renamed, wrapped or added, but for the register itself."""
    action, good = draw(FIRST)
    payload = json.loads(json.dumps(good))
    keep = PATHS[action]
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(sorted(set(payload) - {keep} or {"x"})))
        match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
            case "replace":
                payload[name] = draw(JUNK)
            case "remove":
                payload.pop(name, None)
            case "rename" if name in payload:
                payload[draw(st.sampled_from([name.upper(), name.lower(), f"_{name}_"]))] = payload.pop(name)
            case _:
                payload[f"x{draw(st.text(max_size=8))}"] = draw(JUNK)
    if action != "MeterValues":
        written = [REGISTER, float(REGISTER), str(REGISTER), f"{REGISTER} Wh", f"{REGISTER / 1000} kWh", [REGISTER]]
        payload[keep] = draw(st.sampled_from(written))
    return action, draw(st.sampled_from([payload, [payload], {"payload": payload}, json.dumps(payload)]))


def run_all(home: Path, frames: list[tuple[str, bytes]]) -> tuple[list[Any], list[Any], list[Any]]:
    """Send frames to a node of its own and return the answers, the transactions and the log."""

    async def all_of_them() -> tuple[list[Any], list[Any], list[Any]]:
        async with node(home, plugins=["arthexis-ocpp16:*"]) as host:
            async with wire(host.station_url("CP-1")) as cp:
                answers = []
                for _, frame in frames:
                    await cp.say(frame)
                    answers.append(await cp.hear())
                assert "currentTime" in await cp.result("Heartbeat")
            await host.settle()
            found = await host.ask("transactions.list"), await host.ask("messages.list", limit=1000)
            values = await readings_of(host)
            return answers, [*found[0], *({"samples": v["samples"]} for v in values)], found[1]

    return asyncio.run(all_of_them())


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(cases=st.lists(disturbed(), min_size=20, max_size=20))
def test_a_disturbed_message_of_money_is_answered_and_its_register_is_in_the_row(
    tmp_path: Path, cases: list[tuple[str, Any]]
) -> None:
    home = tmp_path / f"n{next(COUNT)}"
    frames = [
        (action, json.dumps([2, f"m{n}", action, payload]).encode("utf-8", "surrogatepass"))
        for n, (action, payload) in enumerate(cases)
    ]
    answers, rows, log = run_all(home, frames)
    assert [answer[:2] for answer in answers] == [[3, f"m{n}"] for n in range(len(frames))]
    by_id = {row["id"]: row for row in rows if "id" in row}
    for (action, _), answer in zip(cases, answers, strict=True):
        if action == "StartTransaction":
            assert by_id[answer[2]["transactionId"]]["meter_start_wh"] == REGISTER
    kept = json.dumps([row.get("meter_stop_wh") or row.get("samples") for row in rows])
    assert str(REGISTER) in kept or {action for action, _ in cases} == {"StartTransaction"}
    for row in rows:
        assert {row.get("meter_start_wh"), row.get("meter_stop_wh")} <= {None, REGISTER}
        assert (row.get("energy_wh") or 0) >= 0
    logged = {row["message_id"]: row["frame"] for row in log}
    assert all(logged[f"m{n}"] == frame.decode() for n, (_, frame) in enumerate(frames))


COUNT = itertools.count()


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(payloads=st.lists(JUNK, min_size=30, max_size=30))
@example(payloads=[None, [], {}, "", 0, [[]], [{}], {"": {}}, [[[[[]]]]], {"a": {"a": {"a": {"a": {}}}}}])
def test_money_is_answered_whatever_its_payload_is(tmp_path: Path, payloads: list[Any]) -> None:
    actions = itertools.cycle(sorted(PATHS))
    frames = [
        (action, json.dumps([2, f"m{n}", action, payload]).encode("utf-8", "surrogatepass"))
        for n, (action, payload) in enumerate(zip(actions, payloads, strict=False))
    ]
    answers, _, log = run_all(tmp_path / f"n{next(COUNT)}", frames)
    assert [answer[:2] for answer in answers] == [[3, f"m{n}"] for n in range(len(frames))]
    assert {f"m{n}" for n in range(len(frames))} <= {row["message_id"] for row in log}
