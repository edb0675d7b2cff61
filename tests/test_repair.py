"""Broken frames and payloads of real stations are read by general rules, and nothing that arrives can raise."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from arthexis_ocpp16 import messages
from arthexis_ocpp16.protocol import OCPP16
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from arthexis.contributions import Fault, Protocol
from arthexis.ocppj.repair import Broken, Mended, Unmendable, classify, mend, read_broken

REQUESTS = {message.action: message.request for message in OCPP16.messages}
ANSWERS = {f"{message.action}Answer": message.response for message in OCPP16.messages}
STRUCTS = REQUESTS | ANSWERS
HUGE = 50 * "1234567890"
TAG = "BA86I250X5G6MOD5DLKD"


def mended(name: str, payload: Any) -> Mended:
    """A payload mended as the link does it; bytes are taken as they are."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return mend(raw, STRUCTS[name], OCPP16, unrefusable=name in OCPP16.unrefusable)


def wire(value: Any) -> Any:
    """A Struct as the JSON that it is."""
    return json.loads(msgspec.json.encode(value))


def boot(**members: Any) -> dict[str, Any]:
    return {"chargePointVendor": "Acme", "chargePointModel": "One", **members}


def status(**members: Any) -> dict[str, Any]:
    return {"connectorId": 1, "errorCode": "NoError", "status": "Available", **members}


def start(**members: Any) -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "A1", "meterStart": 0, "timestamp": "2026-11-23T20:05:17Z", **members}


def stop(**members: Any) -> dict[str, Any]:
    return {"transactionId": 5, "meterStop": 900, "timestamp": "2026-11-23T20:05:17Z", **members}


def meter(*samples: Any, **members: Any) -> dict[str, Any]:
    values = [{"timestamp": "2026-11-23T20:05:17Z", "sampledValue": list(samples)}]
    return {"connectorId": 1, "meterValue": values, **members}


# What public threads and a measurement of the ocpp package say that real stations send: the frame, what it must be
# read as, and the wire paths that the receipt must name. "Q" are the numbers of the collection of quirks.
RECORDED: list[tuple[str, str, Any, Any, set[str]]] = [
    ("Q14 bytes after the tag", "Authorize", {"idTag": f"{TAG}\x10\x0e"}, {"idTag": TAG}, {"idTag"}),
    ("Q14 backslashes in the tag", "Authorize", {"idTag": '336699\\\\\\"'}, {"idTag": '336699\\\\\\"'}, set()),
    ("Q16 id used again, frame good", "StartTransaction", start(), start(), set()),
    ("Q22 value is a number", "GetConfigurationAnswer",
     {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": 1}]},
     {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "1"}]},
     {"configurationKey.0.value"}),
    ("Q22 value over 500", "GetConfigurationAnswer",
     {"configurationKey": [{"key": "k", "readonly": False, "value": "v" * 800}]},
     {"configurationKey": [{"key": "k", "readonly": False, "value": "v" * 500}]},
     {"configurationKey.0.value"}),
    ("Q22 no list at all", "GetConfigurationAnswer", {"unknownKey": None}, {}, {"unknownKey"}),
    ("Q22 readonly in other letters and words", "GetConfigurationAnswer",
     {"configurationKey": [{"key": "k", "readOnly": "False", "value": True}]},
     {"configurationKey": [{"key": "k", "readonly": False, "value": "true"}]},
     {"configurationKey.0.readOnly", "configurationKey.0.readonly", "configurationKey.0.value"}),
    ("Q29 errorCode Error", "StatusNotification", status(errorCode="Error"), status(errorCode="OtherError"),
     {"errorCode"}),
    ("Q29 status Occupied", "StatusNotification", status(status="Occupied"), status(status="Preparing"), {"status"}),
    ("Q34 transactionId null", "MeterValues", meter({"value": "1"}, transactionId=None), meter({"value": "1"}),
     {"transactionId"}),
    ("Q34 transactionId text", "MeterValues", meter({"value": "1"}, transactionId="5"),
     meter({"value": "1"}, transactionId=5), {"transactionId"}),
    ("Q34 transactionId 0", "StopTransaction", stop(transactionId=0), stop(transactionId=0), set()),
    ("Q34 transactionId -1", "StopTransaction", stop(transactionId=-1), stop(transactionId=-1), set()),
    ("Q37 start without timestamp", "StartTransaction", {"connectorId": 1, "idTag": "A1", "meterStart": 0},
     start(timestamp=""), {"timestamp"}),
    ("Q45 phases to neutral", "MeterValues", meter({"value": "230", "phase": "L1-N"}, {"value": "1", "phase": "N"}),
     meter({"value": "230", "phase": "L1-N"}, {"value": "1", "phase": "N"}), set()),
    ("Q45 phase empty", "MeterValues", meter({"value": "1", "phase": ""}), meter({"value": "1"}),
     {"meterValue.0.sampledValue.0.phase"}),
    ("Q46 two contexts in one bucket", "MeterValues",
     meter({"value": "111", "context": "Sample.Periodic"}, {"value": "0", "context": "Transaction.Begin"}),
     meter({"value": "111", "context": "Sample.Periodic"}, {"value": "0", "context": "Transaction.Begin"}), set()),
    ("unit Hz", "MeterValues", meter({"value": "50", "measurand": "Frequency", "unit": "Hz"}),
     meter({"value": "50", "measurand": "Frequency", "unit": "Hertz"}), {"meterValue.0.sampledValue.0.unit"}),
    ("unit Hz at the end", "StopTransaction",
     stop(transactionData=[{"timestamp": "t", "sampledValue": [{"value": "50", "unit": "Hz"}]}]),
     stop(transactionData=[{"timestamp": "t", "sampledValue": [{"value": "50"}]}]),
     {"transactionData.0.sampledValue.0.unit"}),
    ("both spellings of Celsius", "MeterValues",
     meter({"value": "20", "unit": "Celcius"}, {"value": "20", "unit": "Celsius"}),
     meter({"value": "20", "unit": "Celcius"}, {"value": "20", "unit": "Celsius"}), set()),
    ("info over 50", "StatusNotification", status(info="i" * 73), status(info="i" * 50), {"info"}),
    ("iccid null", "BootNotification", boot(iccid=None), boot(), {"iccid"}),
    ("vendor over 20", "BootNotification", boot(chargePointVendor="v" * 33), boot(chargePointVendor="v" * 20),
     {"chargePointVendor"}),
    ("firmwareVersion over 50", "BootNotification", boot(firmwareVersion="f" * 51), boot(firmwareVersion="f" * 50),
     {"firmwareVersion"}),
    ("meterValue an object", "MeterValues",
     {"connectorId": 1, "meterValue": {"timestamp": "t", "sampledValue": [{"value": "1"}]}},
     {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1"}]}]}, {"meterValue"}),
    ("meterValue an empty object", "MeterValues", {"connectorId": 1, "meterValue": {}},
     {"connectorId": 1, "meterValue": []}, {"meterValue"}),
    ("value a number", "MeterValues", meter({"value": 12.5}), meter({"value": "12.5"}),
     {"meterValue.0.sampledValue.0.value"}),
    ("value a number, verbatim", "MeterValues",
     b'{"connectorId":1,"meterValue":[{"timestamp":"t","sampledValue":[{"value":1234567890.12345678900}]}]}',
     {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1234567890.12345678900"}]}]},
     {"meterValue.0.sampledValue.0.value"}),
    ("float meterStart", "StartTransaction", start(meterStart=12.7), start(meterStart=12), {"meterStart"}),
    ("float meterStop", "StopTransaction", stop(meterStop=900.0), stop(), {"meterStop"}),
    ("bad context", "MeterValues", meter({"value": "1", "context": "Sample.Something"}),
     meter({"value": "1", "context": "Other"}), {"meterValue.0.sampledValue.0.context"}),
    ("extra connectorId", "Authorize", {"idTag": "A1", "connectorId": 1}, {"idTag": "A1"}, {"connectorId"}),
    ("22-character idTag", "StartTransaction", start(idTag="1234567890123456789012"),
     start(idTag="12345678901234567890"), {"idTag"}),
    ("unknown reason", "StopTransaction", stop(reason="UserPressedStop"), stop(reason="Other"), {"reason"}),
    ("transactionData null", "StopTransaction", stop(transactionData=None), stop(), {"transactionData"}),
    ("DataTransfer data an object", "DataTransfer", {"vendorId": "x", "data": {"a": [1, None, "ü"]}},
     {"vendorId": "x", "data": '{"a":[1,null,"ü"]}'}, {"data"}),
    ("DataTransfer data a number", "DataTransfer", {"vendorId": "x", "data": 5}, {"vendorId": "x", "data": "5"},
     {"data"}),
    ("payload null", "Heartbeat", None, {}, {"payload"}),
    ("signed value of any length", "MeterValues",
     meter({"value": "OCMF|" + HUGE * 4, "format": "SignedData", "vendorExtra": 1}),
     meter({"value": "OCMF|" + HUGE * 4, "format": "SignedData"}), {"meterValue.0.sampledValue.0.vendorExtra"}),
]  # fmt: skip

# Frames that are no JSON at all, or no CALL: what they must be read as.
FRAMES: list[tuple[str, str, tuple[int, Any, str | None, Any] | None]] = [
    ("Q11 cut off", '[3,"id",{"configurationKey":[]', (3, "id", None, {"configurationKey": []})),
    ("Q11 bracket missing", '[3,"id",{"configurationKey":],"unknownKey":["a"]}]',
     (3, "id", None, {"configurationKey": [], "unknownKey": ["a"]})),
    ("Q13 empty value", '[2,"7","StopTransaction",{"transactionId":,"meterStop":5}]',
     (2, "7", "StopTransaction", {"transactionId": None, "meterStop": 5})),
    ("Q13 empty value at the end", '[2,"7","MeterValues",{"connectorId":1,"transactionId":}]',
     (2, "7", "MeterValues", {"connectorId": 1, "transactionId": None})),
    ("Q14 half a character", '[2,"7","Authorize",{"idTag":"A\\ud800B"}]', (2, "7", "Authorize", {"idTag": "A\ufffdB"})),
    ("Q14 raw control characters", '[2,"7","Authorize",{"idTag":"A\x10\x0e"}]',
     (2, "7", "Authorize", {"idTag": "A\x10\x0e"})),
    ("Q17 many lines, NUL", '[\n  2,\r\n  "7",\n  "Heartbeat",\n  {}\n]\0', (2, "7", "Heartbeat", {})),
    ("Q17 byte order mark", '\ufeff[2,"7","Heartbeat",{}]', (2, "7", "Heartbeat", {})),
    ("trailing commas", '[2,"7","Authorize",{"idTag":"A",},]', (2, "7", "Authorize", {"idTag": "A"})),
    ("garbage after", '[2,"7","Heartbeat",{}]\x7f]}', (2, "7", "Heartbeat", {})),
    ("cut in a number", '[2,"7","StopTransaction",{"transactionId":5,"meterStop":123',
     (2, "7", "StopTransaction", {"transactionId": 5, "meterStop": None})),
    ("cut in a text", '[2,"7","Authorize",{"idTag":"04A2', (2, "7", "Authorize", {"idTag": None})),
    ("cut in a name", '[2,"7","StopTransaction",{"transactionId":5,"mete',
     (2, "7", "StopTransaction", {"transactionId": 5})),
    ("cut before the payload", '[2,"7","Heartbeat"', (2, "7", "Heartbeat", {})),
    ("error cut off", '[4,"7","NotSupported","no such key",{}', (4, "7", "NotSupported", {})),
    ("no frame", "hello", None),
    ("nothing", "", None),
    ("too deep", '[2,"7","DataTransfer",' + "[" * 5000,
     (2, "7", "DataTransfer", json.loads("[" * 63 + "null" + "]" * 63))),
]  # fmt: skip


# Frames of nobody: written after the rules above were done, to see whether they are general. No rule was added for
# one of them.
INVENTED: list[tuple[str, str, Any, Any, set[str]]] = [
    ("boot full of wrong types", "BootNotification",
     boot(imsi=901700012345678, meterType=["AM"], iccid=True, chargePointType="AC", meterSerialNumber=""),
     boot(imsi="901700012345678", meterType="AM", iccid="true", meterSerialNumber=""),
     {"imsi", "meterType", "iccid", "chargePointType"}),
    ("names in another style", "StatusNotification",
     {"connector_id": 2, "error_code": "NOERROR", "STATUS": "charging", "Info": None},
     status(connectorId=2, status="Charging"), {"connector_id", "error_code", "errorCode", "STATUS", "status", "Info",
                                                "info"}),
    ("statuses in other letters", "StatusNotification", status(status="SUSPENDED_EVSE", errorCode="Ground-Failure"),
     status(status="SuspendedEVSE", errorCode="GroundFailure"), {"status", "errorCode"}),
    ("time in seconds, code a number", "StatusNotification", status(timestamp=1795464317, vendorErrorCode=0),
     status(timestamp="1795464317", vendorErrorCode="0"), {"timestamp", "vendorErrorCode"}),
    ("one sample, all in wrong letters", "MeterValues",
     {"connectorId": 1, "meterValue": {"timestamp": "t", "sampledValue": {
         "value": 7, "unit": "KWH", "phase": "l1-n", "location": "OUTLET", "context": "sample.periodic",
         "measurand": "energy.active.import.register", "format": "raw"}}},
     {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{
         "value": "7", "unit": "kWh", "phase": "L1-N", "location": "Outlet", "context": "Sample.Periodic",
         "measurand": "Energy.Active.Import.Register", "format": "Raw"}]}]},
     {"meterValue", "meterValue.0.sampledValue"} | {f"meterValue.0.sampledValue.0.{name}" for name in (
         "value", "unit", "phase", "location", "context", "measurand", "format")}),
    ("samples that are bare texts", "MeterValues",
     {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": ["1", 2.50]}]},
     {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1"}, {"value": "2.5"}]}]},
     {"meterValue.0.sampledValue.0", "meterValue.0.sampledValue.1", "meterValue.0.sampledValue.1.value"}),
    ("a list with holes", "MeterValues",
     {"connectorId": 1, "meterValue": [None, 5, {"timestamp": "t", "sampledValue": [None, {"value": "1"}]}]},
     {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1"}]}]},
     {"meterValue.0", "meterValue.1", "meterValue.2.sampledValue.0"}),
    ("text null for an id", "MeterValues", meter({"value": "1"}, transactionId="null"), meter({"value": "1"}),
     {"transactionId"}),
    ("degrees", "MeterValues", meter({"value": "21", "unit": "°C"}, {"value": "80", "unit": "%"}),
     meter({"value": "21", "unit": "Celsius"}, {"value": "80", "unit": "Percent"}),
     {"meterValue.0.sampledValue.0.unit", "meterValue.0.sampledValue.1.unit"}),
    ("the shape of OCPP 1.5", "MeterValues",
     {"connectorId": 1, "values": [{"timestamp": "t", "values": [{"value": "1", "unit": "Wh"}]}]},
     {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1", "unit": "Wh"}]}]},
     {"values", "meterValue.0.values"}),
    ("exponent and blanks", "StopTransaction", stop(transactionId=" 5 ", meterStop="9e2", reason="remote", idTag=None),
     stop(reason="Remote"), {"transactionId", "meterStop", "reason", "idTag"}),
    ("signed zero and a comma", "StopTransaction", stop(meterStop="12,7"), stop(meterStop=12), {"meterStop"}),
    ("connector in a list", "StartTransaction", start(connectorId=[1], reservationId="", idTag=4711),
     start(idTag="4711"), {"connectorId", "reservationId", "idTag"}),
    ("wrapped in a list", "StartTransaction", [start(idTag=4711)], start(idTag="4711"), {"payload", "idTag"}),
    ("JSON in a text", "StartTransaction", json.dumps(start()), start(), {"payload"}),
    ("the tag alone", "Authorize", "04A2", {"idTag": "04A2"}, {"payload"}),
    ("a tag with blanks", "Authorize", {"idTag": "   04A224FF0011223344  "}, {"idTag": "04A224FF0011223344"},
     {"idTag"}),
    ("data true", "DataTransfer", {"vendorId": "x", "messageId": 7, "data": True},
     {"vendorId": "x", "messageId": "7", "data": "true"}, {"messageId", "data"}),
    ("data null", "DataTransfer", {"vendorId": "x", "data": None}, {"vendorId": "x"}, {"data"}),
    ("firmware status shouted", "FirmwareStatusNotification", {"status": "DOWNLOAD_FAILED", "requestId": 1},
     {"status": "DownloadFailed"}, {"status", "requestId"}),
    ("diagnostics status misspelt", "DiagnosticsStatusNotification", {"status": "UploadFailure"},
     {"status": "UploadFailed"}, {"status"}),
    ("heartbeat that talks", "Heartbeat", {"currentTime": "t", "": 1}, {}, {"currentTime", "payload"}),
    ("answer in capitals", "SetChargingProfileAnswer", {"status": "ACCEPTED"}, {"status": "Accepted"}, {"status"}),
    ("schedule with texts", "GetCompositeScheduleAnswer",
     {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": "a", "duration": 60.0, "chargingSchedulePeriod": {
         "startPeriod": "0", "limit": "16.1", "numberPhases": None}}},
     {"status": "Accepted", "chargingSchedule": {"duration": 60, "chargingRateUnit": "A", "chargingSchedulePeriod": [
         {"startPeriod": 0, "limit": 16.1}]}},
     {"chargingSchedule.chargingRateUnit", "chargingSchedule.duration", "chargingSchedule.chargingSchedulePeriod"} | {
         f"chargingSchedule.chargingSchedulePeriod.0.{name}" for name in ("startPeriod", "limit", "numberPhases")}),
]  # fmt: skip

INVENTED_FRAMES: list[tuple[str, str, tuple[int, Any, str | None, Any] | None]] = [
    ("single quotes", "[2, '7', 'Authorize', {'idTag': 'A', 'x': None, 'y': True}]",
     (2, "7", "Authorize", {"idTag": "A", "x": None, "y": True})),
    ("names without quotes", '[2,"7","Authorize",{idTag:"A"}]', (2, "7", "Authorize", {"idTag": "A"})),
    ("leading zeros and plus", '[2,"7","StartTransaction",{"connectorId":01,"meterStart":+12,"x":.5,"y":5.}]',
     (2, "7", "StartTransaction", {"connectorId": 1, "meterStart": 12, "x": 0.5, "y": 5.0})),
    ("no number", '[2,"7","StopTransaction",{"meterStop":NaN,"transactionId":5}]',
     (2, "7", "StopTransaction", {"meterStop": None, "transactionId": 5})),
    ("comma missing", '[2,"7","StopTransaction",{"meterStop":1 "transactionId":5}]',
     (2, "7", "StopTransaction", {"meterStop": 1, "transactionId": 5})),
    ("colon missing", '[2,"7","StopTransaction",{"meterStop" 1,"transactionId":5}]',
     (2, "7", "StopTransaction", {"meterStop": 1, "transactionId": 5})),
    ("two commas", '[2,"7","StopTransaction",{"meterStop":1,,"transactionId":5,}]',
     (2, "7", "StopTransaction", {"meterStop": 1, "transactionId": 5})),
    ("wrong bracket", '[2,"7","Heartbeat",{]', (2, "7", "Heartbeat", {})),
    ("bracket of the array missing",
     '[2,"7","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"t","sampledValue":[{"value":"1"}]}}]',
     (2, "7", "MeterValues",
      {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1"}]}]})),
    ("two frames", '[2,"7","Heartbeat",{}][2,"8","Heartbeat",{}]', (2, "7", "Heartbeat", {})),
    ("something before", 'OCPP: [2,"7","Heartbeat",{}', (2, "7", "Heartbeat", {})),
    ("escapes that do not exist", '[2,"7","DataTransfer",{"vendorId":"C:\\dir\\xyz\\q\\u12"}]',
     (2, "7", "DataTransfer", {"vendorId": "C:\\dir\\xyz\\q\\u12"})),
    ("line in a text", '[2,"7","Authorize",{"idTag":"A\nB\tC"}]', (2, "7", "Authorize", {"idTag": "A\nB\tC"})),
    ("type as text, id a number", '["2",7,"Heartbeat",{},', (2, 7, "Heartbeat", {})),
    ("id no scalar", '[2,{},"Heartbeat",{},', (2, None, "Heartbeat", {})),
    ("answer without payload", '[3,"7",', (3, "7", None, {})),
    ("foreign type", '[9,"7",{}', None),
    ("an object", '{"messageTypeId":2,', None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "payload", "meant", "paths"), [r[1:] for r in RECORDED + INVENTED], ids=[r[0] for r in RECORDED + INVENTED]
)
def test_recorded_payload(name: str, payload: Any, meant: Any, paths: set[str]) -> None:
    found = mended(name, payload)
    assert wire(found.value) == meant
    assert {repair.split(":")[0] for repair in found.repairs} == paths


@pytest.mark.parametrize(
    ("text", "meant"), [f[1:] for f in FRAMES + INVENTED_FRAMES], ids=[f[0] for f in FRAMES + INVENTED_FRAMES]
)
def test_recorded_frame(text: str, meant: tuple[int, Any, str | None, Any] | None) -> None:
    found = read_broken(text)
    if meant is None:
        assert found is None
        return
    assert found is not None
    assert (found.message_type, found.message_id, found.action, json.loads(found.payload)) == meant
    assert found.repairs


def test_what_decodes_needs_no_repair_and_what_is_recorded_does() -> None:
    """The table would prove little if its frames were good ones; the few that are have no receipt."""
    for label, name, payload, _, paths in RECORDED:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        try:
            msgspec.json.decode(raw, type=STRUCTS[name])
        except msgspec.ValidationError:
            assert paths, label
        else:
            assert not paths, label


# ---------------------------------------------------------------- what the receipt says


@pytest.mark.parametrize(
    ("name", "payload", "text"),
    [
        ("StatusNotification", status(status="Occupied"), "status: 'Occupied' read as 'Preparing'"),
        ("StatusNotification", status(info="i" * 73), "info: clipped to 50 of 73"),
        ("StatusNotification", status(vendorFoo=1), "vendorFoo: unknown member dropped"),
        ("MeterValues", {"connectorId": 1, "meterValue": meter({"value": "1"})["meterValue"][0]},
         "meterValue: object read as array of one"),
        ("StartTransaction", start(meterStart="12.7"), "meterStart: '12.7' read as 12"),
        ("StopTransaction", stop(meterStop=None), "meterStop: null"),
        ("MeterValues", meter({"value": "1", "unit": "mA"}),
         "meterValue.0.sampledValue.0.unit: 'mA' means none of the members allowed, read as absent"),
    ],
)  # fmt: skip
def test_a_receipt_names_the_path_and_what_was_done(name: str, payload: Any, text: str) -> None:
    assert mended(name, payload).repairs == (text,)


def test_receipts_are_bounded() -> None:
    found = mended("Authorize", {"idTag": "A", **{f"vendor{n}": n for n in range(500)}})
    assert len(found.repairs) == 33
    assert found.repairs[-1] == "and 468 more"


def test_receipts_hold_little_of_the_wire_and_no_control_characters() -> None:
    long = "A" * 300
    payload = status(**{long: 1, "a\n\x00\x1b[31m": 2}, status=long, errorCode="\x1b[31mbad\n" * 9)
    found = mended("StatusNotification", payload)
    assert len(found.repairs) == 4
    for repair in found.repairs:
        assert repair.isprintable()
        assert not re.search("A{41}", repair)


# ---------------------------------------------------------------- what is not there


def test_absent_names_what_stands_there_only_because_it_must() -> None:
    found = mended("StopTransaction", {"idTag": "A", "transactionData": [{"sampledValue": [{}]}]})
    assert found.value == messages.StopTransaction(
        id_tag="A",
        meter_stop=0,
        timestamp="",
        transaction_id=0,
        transaction_data=(messages.TransactionData("", (messages.TransactionSample(""),)),),
    )
    assert found.absent == {
        "meterStop",
        "timestamp",
        "transactionId",
        "transactionData.0.timestamp",
        "transactionData.0.sampledValue.0.value",
    }


@pytest.mark.parametrize("value", ["abc", {}, [], [1, 2], "", " ", "12.7.1", "0x10", "1e999"])
def test_a_hopeless_register_is_absent_not_zero(value: Any) -> None:
    found = mended("StopTransaction", stop(meterStop=value))
    assert found.value.meter_stop == 0
    assert found.absent == {"meterStop"}


def test_a_unit_that_means_nothing_is_absent_so_that_nobody_takes_the_default() -> None:
    found = mended("MeterValues", meter({"value": "1", "unit": "MWh"}))
    assert found.value.meter_value[0].sampled_value[0].unit is UNSET
    assert found.absent == {"meterValue.0.sampledValue.0.unit"}


@pytest.mark.parametrize("payload", [None, [], {}, 5, "x", True, [[1]], b"", b"\xff\xfe", b"{", b"[" * 9999, b'{"a'])
@pytest.mark.parametrize("name", sorted(OCPP16.unrefusable))
def test_money_is_never_refused(name: str, payload: Any) -> None:
    found = mended(name, payload)
    assert type(found.value) is STRUCTS[name]
    assert {"connectorId", "meterStop"} & found.absent
    assert found.repairs


@pytest.mark.parametrize(
    ("name", "payload", "fault"),
    [
        ("Authorize", {}, Fault.MISSING),
        ("Authorize", {"idTag": None}, Fault.MISSING),
        ("Authorize", [1, 2], Fault.TYPE),
        ("Authorize", {"idTag": {"a": "0123456789012345", "b": 1}}, Fault.TYPE),
        ("StatusNotification", status(connectorId="one"), Fault.TYPE),
        ("FirmwareStatusNotification", {"status": "Exploded"}, Fault.VALUE),
        ("BootNotification", b"", Fault.UNREADABLE),
        ("BootNotification", b"\xff", Fault.UNREADABLE),
        ("GetLocalListVersionAnswer", {"listVersion": "1e999"}, Fault.VALUE),
    ],
)
def test_others_are_refused_where_nothing_usable_is_there(name: str, payload: Any, fault: Fault) -> None:
    with pytest.raises(Unmendable) as refusal:
        mended(name, payload)
    assert refusal.value.fault is fault
    assert str(refusal.value) == refusal.value.detail


# ---------------------------------------------------------------- rules for any protocol


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Lamp(Struct, rename="camel", forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=4, min_length=1)]
    watts: Annotated[float, Meta(ge=0, le=100)] = 1.0
    colour: Colour | UnsetType = UNSET
    level: Literal[1, 2, 3] | UnsetType = UNSET
    code: Annotated[str, Meta(pattern="^[a-z]+$")] | UnsetType = UNSET
    note: str | None = None
    any_thing: Any = None
    lamps: list[Lamp] | UnsetType = UNSET


class House(Struct, rename="camel", forbid_unknown_fields=True):
    rooms: Annotated[list[str], Meta(max_length=2)]
    open: bool | UnsetType = UNSET
    floor: Annotated[int, Meta(ge=-1, le=9)] | UnsetType = UNSET
    seen: frozenset[int] | UnsetType = UNSET


TOY = Protocol("toy1.0", (), {}, fallbacks={"colour": "red"})


@pytest.mark.parametrize(
    ("payload", "meant"),
    [
        ({"rooms": "hall"}, {"rooms": ["hall"]}),
        ({"rooms": ["a", "b", "c"]}, {"rooms": ["a", "b"]}),
        ({"rooms": '["a", "b"]'}, {"rooms": ["a", "b"]}),
        ({"rooms": [1, None, "b"]}, {"rooms": ["1", "b"]}),
        ({"rooms": "", "open": "ON"}, {"rooms": [], "open": True}),
        ({"rooms": [], "open": 0, "floor": 17}, {"rooms": [], "open": False, "floor": 9}),
        ({"rooms": [], "open": "maybe", "floor": -3.9}, {"rooms": [], "floor": -1}),
        ({"rooms": [], "floor": [2]}, {"rooms": [], "floor": 2}),
        ({"rooms": [], "floor": True, "seen": ["4"]}, {"rooms": [], "seen": [4]}),
        ([{"rooms": []}], {"rooms": []}),
        ('{"rooms": []}', {"rooms": []}),
        ("hall", {"rooms": ["hall"]}),
    ],
)
def test_general_rules(payload: Any, meant: Any) -> None:
    found = mend(json.dumps(payload).encode(), House, TOY, unrefusable=False)
    assert wire(found.value) == meant
    assert found.repairs


@pytest.mark.parametrize(
    ("payload", "meant"),
    [
        ({"name": "abcdef", "watts": "12.5"}, {"name": "abcd", "watts": 12.5}),
        ({"name": "a", "watts": 1e300, "colour": "GREEN"}, {"name": "a", "watts": 100.0, "colour": "green"}),
        ({"name": "a", "colour": "mauve", "level": "2"}, {"name": "a", "colour": "red", "level": 2}),
        ({"name": "a", "level": 7, "code": "A1", "note": None}, {"name": "a"}),
        ({"name": 5, "anyThing": {"deep": [1]}}, {"name": "5", "anyThing": {"deep": [1]}}),
        ({"name": ["a"], "ANY_THING": None, "x": 1}, {"name": "a"}),
    ],
)
def test_general_rules_for_other_kinds_of_members(payload: Any, meant: Any) -> None:
    found = mend(json.dumps(payload).encode(), Lamp, TOY, unrefusable=False)
    told = {wire_name: value for wire_name, value in wire(found.value).items() if value is not None}
    assert {"watts": 1.0, **meant} == told


def test_a_text_that_breaks_a_rule_of_its_own_is_hopeless() -> None:
    with pytest.raises(Unmendable, match="name"):
        mend(b'{"name":"","x":1}', Lamp, TOY, unrefusable=False)


def test_a_number_of_any_size_is_kept_within_the_limits() -> None:
    for number in (b"1" * 300, b"1" * 4000, b"1" * 5000, b"1e400", b"-" + b"9" * 300):
        found = mend(b'{"rooms":[],"floor":' + number + b"}", House, TOY, unrefusable=True)
        assert found.value.floor in (9, -1, UNSET)
        assert found.repairs


@pytest.mark.parametrize(
    ("wire_name", "said", "meant"),
    [
        ("status", "Occ", "Unavailable"),
        ("unit", "mA", None),
        ("unit", "MWh", None),
        ("unit", "kw h", "kWh"),
        ("measurand", "Energy.Active.Inport.Register", "Energy.Active.Import.Register"),
        ("measurand", "Energy.Active", None),
        ("errorCode", "OverCurrent", "OverCurrentFailure"),
        ("errorCode", "over_current_failure", "OverCurrentFailure"),
        ("reason", "EVDisconect", "EVDisconnected"),
    ],
)
def test_likeness_is_careful(wire_name: str, said: str, meant: str | None) -> None:
    if wire_name in ("unit", "measurand"):
        found = mended("MeterValues", meter({"value": "1", wire_name: said}))
        told = wire(found.value)["meterValue"][0]["sampledValue"][0].get(wire_name)
    elif wire_name == "reason":
        told = wire(mended("StopTransaction", stop(reason=said)).value)[wire_name]
    else:
        told = wire(mended("StatusNotification", status(**{wire_name: said})).value)[wire_name]
    assert told == meant


def test_a_denial_is_not_like_what_it_denies() -> None:
    with pytest.raises(Unmendable, match="NotAccepted"):
        mended("ResetAnswer", {"status": "NotAccepted"})


def test_only_so_many_texts_of_a_payload_are_compared_with_all_members() -> None:
    samples = [{"value": "1", "measurand": f"Energy.Active.Import.Regis{n}ter"} for n in range(150)]
    found = mended("MeterValues", meter(*samples)).value.meter_value[0].sampled_value
    assert [sample.measurand for sample in found].count("Energy.Active.Import.Register") == 100


def test_what_cannot_be_mended_in_reasonable_time_is_dropped_and_told() -> None:
    found = mended("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [5] * 200_000}]})
    assert len(found.value.meter_value[0].sampled_value) < 30_000
    assert "items dropped: too much to mend" in found.repairs[-2]
    assert found.repairs[-1].startswith("and ")


def test_a_struct_that_holds_its_like_is_mended_to_a_sane_depth() -> None:
    inner: dict[str, Any] = {"name": 1}
    for depth in range(200):
        inner = {"name": "n", "lamps": inner, "x": depth}
    found = mend(json.dumps(inner).encode(), Lamp, TOY, unrefusable=False)
    depth, lamp = 0, found.value
    while lamp.lamps:
        depth, lamp = depth + 1, lamp.lamps[0]
    assert 16 < depth < 70


# ---------------------------------------------------------------- strict: which fault it is


@pytest.mark.parametrize(
    ("name", "payload", "fault"),
    [
        ("Authorize", b"{}", Fault.MISSING),
        ("Authorize", b'{"idTag":"a","x":1}', Fault.UNKNOWN_MEMBER),
        ("Authorize", b'{"idTag":"a","Expected `int`, got `str`":1}', Fault.UNKNOWN_MEMBER),
        ("Authorize", b'{"idTag":5}', Fault.TYPE),
        ("Authorize", b'{"idTag":null}', Fault.TYPE),
        ("Authorize", b"[]", Fault.TYPE),
        ("Authorize", b'{"idTag":"123456789012345678901"}', Fault.VALUE),
        ("Reset", b'{"type":"Expected `int`, got `str`"}', Fault.VALUE),
        ("Reset", b'{"type":5}', Fault.TYPE),
        ("RemoteStopTransaction", b'{"transactionId":1.0}', Fault.TYPE),
        ("RemoteStopTransaction", b'{"transactionId":9999999999999999999}', Fault.VALUE),
        ("RemoteStopTransaction", b'{"transactionId":1e999}', Fault.VALUE),
        ("MeterValues", b'{"connectorId":1,"meterValue":[]}', Fault.MISSING),
        ("Authorize", b'{"idTag":"a"', Fault.UNREADABLE),
        ("Authorize", b'{"idTag":"\xff"}', Fault.UNREADABLE),
        ("Authorize", b'{"idTag":"\\ud800"}', Fault.UNREADABLE),
    ],
)
def test_classify(name: str, payload: bytes, fault: Fault) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)) as failure:
        msgspec.json.decode(payload, type=STRUCTS[name])
    assert classify(failure.value) is fault


def test_classify_knows_other_failures() -> None:
    assert classify(RecursionError()) is Fault.UNREADABLE
    assert classify(ValueError()) is Fault.UNREADABLE


# ---------------------------------------------------------------- nothing raises

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
GOOD = [(r[1], r[3]) for r in RECORDED]


def holders(value: Any) -> list[Any]:
    """All objects and arrays in a value, itself the first."""
    found = [value]
    for one in found:
        parts: list[Any] = list(one.values()) if isinstance(one, dict) else one
        found.extend(part for part in parts if isinstance(part, (dict, list)))
    return found


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[str, bytes]:
    """A message of a station with some of its members replaced, added or renamed."""
    name, good = draw(st.sampled_from(GOOD))
    frame = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 4))):
        all_holders = holders(frame)
        holder = all_holders[draw(st.integers(0, len(all_holders) - 1))]
        keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        replaces: bool = draw(st.booleans())
        if keys and replaces:
            holder[draw(st.sampled_from(keys))] = draw(VALUES)
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=50) | st.sampled_from(["idtag", "STATUS", "connector_id"]))] = draw(VALUES)
    return name, json.dumps(frame).encode("utf-8", "surrogatepass")


def check(name: str, raw: bytes) -> None:
    """What holds for whatever arrives."""
    struct = STRUCTS[name]
    unrefusable = name in OCPP16.unrefusable
    try:
        found = mend(raw, struct, OCPP16, unrefusable=unrefusable)
    except Unmendable as refusal:
        assert not unrefusable
        assert refusal.detail.isprintable()
        return
    assert type(found.value) is struct
    assert len(found.repairs) <= 33
    assert all(repair.isprintable() and len(repair) < 200 for repair in found.repairs)
    encoded = msgspec.json.encode(found.value)
    if not found.absent:
        assert msgspec.json.decode(encoded, type=struct) == found.value


@settings(max_examples=400, deadline=None)
@given(disturbed())
def test_disturbed_messages_are_mended_to_what_decodes_or_refused(case: tuple[str, bytes]) -> None:
    check(*case)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(STRUCTS)), VALUES)
def test_any_json_is_mended_or_refused(name: str, value: Any) -> None:
    check(name, json.dumps(value).encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(STRUCTS)), st.binary(max_size=200))
@example("MeterValues", b'{"meterValue":' * 3000)
@example("DataTransfer", b'{"vendorId":"x","data":' + b"[" * 900 + b"]" * 900 + b"}")
@example("DataTransfer", b'{"vendorId":"x","data":' + b"9" * 4299 + b"}")
def test_any_bytes_are_mended_or_refused(name: str, raw: bytes) -> None:
    check(name, raw)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(GOOD))
def test_a_good_payload_is_left_alone(case: tuple[str, Any]) -> None:
    name, good = case
    raw = json.dumps(good).encode()
    try:
        value = msgspec.json.decode(raw, type=STRUCTS[name])
    except msgspec.ValidationError:
        return
    assert mended(name, raw) == Mended(value, (), frozenset())


JSONISH = st.text("[]{}:,\"\\'0123456789.eE+-aulntrf \n\0\ufeff\ud800", max_size=80)


@settings(max_examples=500, deadline=None)
@given(st.text() | JSONISH | JSONISH.map(lambda text: f'[2,"7","Authorize",{text}'))
def test_read_broken_never_raises(text: str) -> None:
    found = read_broken(text)
    assert found is None or isinstance(found, Broken)
    if found is not None:
        msgspec.json.decode(found.payload)
        assert all(repair.isprintable() for repair in found.repairs)


def leaves(value: Any) -> set[str]:
    """All scalars in a value, with their JSON spelling; null does not count."""
    if isinstance(value, dict):
        return {leaf for part in value.values() for leaf in leaves(part)}
    if isinstance(value, list):
        return {leaf for part in value for leaf in leaves(part)}
    return {json.dumps(value)} - {"null"}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GOOD), st.floats(0, 1), st.sampled_from([None, 1]))
def test_a_frame_that_was_cut_off_says_nothing_that_the_whole_one_did_not(
    case: tuple[str, Any], where: float, indent: int | None
) -> None:
    whole = json.dumps([2, "7", case[0], case[1]], indent=indent)
    found = read_broken(whole[: int(len(whole) * where)])
    if found is not None:
        assert found.message_id in ("7", None)
        assert found.action in (case[0], None)
        assert leaves(json.loads(found.payload)) <= leaves(case[1])


@settings(max_examples=200, deadline=None)
@given(VALUES.filter(lambda value: isinstance(value, (dict, list))))
def test_read_broken_reads_good_json_as_it_is(value: Any) -> None:
    text = json.dumps([2, "7", "DataTransfer", {"data": value}], allow_nan=False, default=str) if finite(value) else ""
    found = read_broken(text) if "\\u0000" not in text and "\\ufeff" not in text and "\\ud" not in text else None
    if found is not None:
        assert json.loads(found.payload) == {"data": value}
        assert found.repairs == ()


def finite(value: Any) -> bool:
    return not any(leaf in ("NaN", "Infinity", "-Infinity") or len(leaf) > 300 for leaf in leaves(value))
