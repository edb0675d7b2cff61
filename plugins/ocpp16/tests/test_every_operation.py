"""All nineteen operations over a real socket: valid frames, every answer there is, an error, and what we keep of it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from arthexis_ocpp16.messages import MESSAGES

from arthexis.errors import DomainError
from arthexis.testing import Node, Wire, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "CancelReservation": {"reservationId": 5},
    "ChangeAvailability": {"connectorId": 1, "type": "Inoperative"},
    "ChangeConfiguration": {"key": "HeartbeatInterval", "value": "60"},
    "ClearCache": {},
    "ClearChargingProfile": {"id": 1},
    "DataTransfer": {"vendorId": "com.acme", "data": "x"},
    "GetCompositeSchedule": {"connectorId": 1, "duration": 60},
    "GetConfiguration": {"key": ["HeartbeatInterval"]},
    "GetDiagnostics": {"location": "ftp://192.0.2.1/up"},
    "GetLocalListVersion": {},
    "RemoteStartTransaction": {"idTag": "TAG", "connectorId": 1},
    "RemoteStopTransaction": {"transactionId": 77},
    "ReserveNow": {"connectorId": 1, "expiryDate": "2126-11-24T10:00:00Z", "idTag": "TAG"},
    "Reset": {"type": "Hard"},
    "SendLocalList": {},
    "SetChargingProfile": {"connectorId": 1, "csChargingProfiles": PROFILE},
    "TriggerMessage": {"requestedMessage": "Heartbeat"},
    "UnlockConnector": {"connectorId": 1},
    "UpdateFirmware": {"location": "https://192.0.2.1/fw.bin"},
}
SOON = "2126-11-24T10:00:00Z"
ANSWERS: dict[str, Any] = {
    "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]},
    "GetDiagnostics": {"fileName": "log.zip"},
    "GetLocalListVersion": {"listVersion": 3},
    "UpdateFirmware": {},
}
STRUCTS = {message.action: message for message in MESSAGES}


def schema(action: str) -> Any:
    """The OCA schema of a request."""
    origin = importlib.util.find_spec("ocpp").origin
    return json.loads((Path(origin).parent / "v16" / "schemas" / f"{action}.json").read_text("utf-8-sig"))


def statuses(action: str) -> list[str]:
    """Every status that the answer of an action may have."""
    hints = {field.name: field.type for field in msgspec.structs.fields(STRUCTS[action].response)}
    return list(get_args(hints["status"])) if "status" in hints else []


def payload(action: str, host: Node) -> dict[str, Any]:
    """A request that may be sent now: a reservation ends within a week."""
    if action != "ReserveNow":
        return REQUESTS[action]
    from datetime import timedelta

    from arthexis import format_utc

    return {**REQUESTS[action], "expiryDate": format_utc(host.host.clock.now() + timedelta(hours=1))}


async def told(host: Node, cp: Wire, action: str, *answer: Any) -> tuple[list[Any], dict[str, Any]]:
    """Send an operation and answer it; its frame and its record."""
    asked = host.ask("operations.send", station="CP-1", action=action, payload=payload(action, host), wait=5)
    sending = asyncio.create_task(asked)
    frame = await cp.hear()
    await cp.say([answer[0], frame[1], *answer[1:]])
    return frame, await sending


CASES = [(action, {"status": status}) for action in REQUESTS for status in statuses(action)]
CASES += list(ANSWERS.items())


def test_these_are_all_nineteen() -> None:
    assert len(REQUESTS) == 19
    assert {action for action, _ in CASES} == set(REQUESTS)


@pytest.mark.parametrize(("action", "answer"), CASES, ids=lambda value: value if isinstance(value, str) else str(value))
async def test_each_answer_is_how_it_ends(host: Node, action: str, answer: dict[str, Any]) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        frame, record = await told(host, cp, action, 3, answer)
    assert frame[0] == 2
    assert frame[2] == action
    jsonschema.Draft4Validator(schema(action)).validate(frame[3])
    order = list(schema(action)["properties"])
    assert sorted(frame[3], key=order.index) == list(frame[3])
    assert record["state"] == answer.get("status", "answered")
    assert record["answer"] == answer


@pytest.mark.parametrize("action", REQUESTS)
async def test_an_error_and_nonsense_end_it_too(host: Node, action: str) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        _, failed = await told(host, cp, action, 4, "NotSupported", "no", {})
        assert (failed["state"], failed["error_code"], failed["error_text"]) == ("error", "NotSupported", "no")
        assert await cp.result("Heartbeat")


async def test_every_operation_is_declared_once(host: Node) -> None:
    described = await host.ask("operations.describe")
    assert [one["action"] for one in described] == sorted(REQUESTS)
    for one in described:
        assert one["summary"]
        assert set(one["schema"].get("properties", {})) == set(schema(one["action"])["properties"])
        assert all("description" in member for member in one["schema"].get("properties", {}).values())


async def test_what_a_station_told_is_kept(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        answer = {
            "configurationKey": [
                {"key": "NumberOfConnectors", "readonly": True, "value": "2"},
                {"key": "Odd", "readonly": False, "value": 7},
            ],
            "unknownKey": ["Nope"],
        }
        _, record = await told(host, cp, "GetConfiguration", 3, answer)
    assert record["repairs"]


@pytest.mark.parametrize(
    ("action", "change"),
    [
        ("UnlockConnector", {"connectorId": 0}),
        ("ChangeAvailability", {"connectorId": -1}),
        ("GetDiagnostics", {"location": "file:///etc/passwd"}),
        ("UpdateFirmware", {"location": "nowhere"}),
        ("GetCompositeSchedule", {"duration": 0}),
        ("SendLocalList", {"listVersion": 0}),
        ("TriggerMessage", {"requestedMessage": "BootNotification"}),
        ("SetChargingProfile", {"csChargingProfiles": "no such name"}),
        ("SetChargingProfile", {"csChargingProfiles": {**PROFILE, "chargingProfilePurpose": "TxProfile"}}),
        ("SetChargingProfile", {"csChargingProfiles": {**PROFILE, "chargingProfilePurpose": "ChargePointMaxProfile"}}),
        ("SetChargingProfile", {"csChargingProfiles": {**PROFILE, "recurrencyKind": "Daily"}}),
        ("RemoteStartTransaction", {"chargingProfile": PROFILE}),
        ("ReserveNow", {"expiryDate": "soon"}),
        ("ReserveNow", {"expiryDate": "2020-01-01T00:00:00Z"}),
        ("ChangeConfiguration", {"value": 5}),
        ("Reset", {"type": "soft"}),
    ],
)
async def test_what_no_station_should_get_is_refused(host: Node, action: str, change: dict[str, Any]) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        asked = {"station": "CP-1", "action": action, "payload": {**payload(action, host), **change}}
        with pytest.raises(DomainError):
            await host.ask("operations.send", **asked)
        assert await cp.silent(0.05)
    assert await host.ask("operations.list") == []
