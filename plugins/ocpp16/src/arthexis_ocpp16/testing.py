"""Payloads of OCPP 1.6 as a good station sends them, for tests: each member can be replaced by name.

And the nineteen operations, each with payloads to ask for it and with every answer that a station may give.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, get_args

from msgspec import structs

from arthexis_ocpp16.messages import MESSAGES

AT = "2026-11-24T10:00:00Z"
LATER = "2026-11-24T11:00:00Z"


def boot(**members: Any) -> dict[str, Any]:
    """A BootNotification with the two members that it must have."""
    return {"chargePointVendor": "Acme", "chargePointModel": "One", **members}


def status(status: str = "Available", connector: int = 1, **members: Any) -> dict[str, Any]:
    """A StatusNotification without a fault."""
    return {"connectorId": connector, "errorCode": "NoError", "status": status, **members}


def start(**members: Any) -> dict[str, Any]:
    """A StartTransaction on connector 1 at a register of 1,000 Wh."""
    return {"connectorId": 1, "idTag": "TAG", "meterStart": 1000, "timestamp": AT, **members}


def stop(transaction_id: Any, **members: Any) -> dict[str, Any]:
    """A StopTransaction an hour later, at a register of 8,000 Wh."""
    return {"transactionId": transaction_id, "meterStop": 8000, "timestamp": LATER, **members}


def reading(*samples: Any, at: Any = AT) -> dict[str, Any]:
    """What a meter said at one time; a text is a sample with nothing but its value."""
    told = [{"value": sample} if isinstance(sample, str) else sample for sample in samples]
    return {"timestamp": at, "sampledValue": told}


def meter(*samples: Any, at: Any = AT, **members: Any) -> dict[str, Any]:
    """A MeterValues of connector 1 with one reading."""
    return {"connectorId": 1, "meterValue": [reading(*samples, at=at)], **members}


def profile(**members: Any) -> dict[str, Any]:
    """A charging profile of 16.1 A for every session."""
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]}
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
        **members,
    }


def requests(now: datetime, connector: int = 1) -> dict[str, list[dict[str, Any]]]:
    """The nineteen operations, each with the least that can be asked for and with every member it may have.

    A reservation is for an hour from ``now`` on ``connector``, of which there can be only one.
    """
    soon = (now + timedelta(hours=1)).isoformat(timespec="seconds").replace("+00:00", "Z")
    places = {"location": "ftp://192.0.2.1/up", "retries": 3, "retryInterval": 60}
    reservation = {"connectorId": connector, "expiryDate": soon, "idTag": "TAG"}
    entries = [
        {"idTag": "0A1B", "idTagInfo": {"status": "Accepted", "expiryDate": soon, "parentIdTag": "P"}},
        {"idTag": "FF"},
    ]
    whole = profile(transactionId=7, chargingProfilePurpose="TxProfile", validFrom=AT, validTo=soon)
    return {
        "CancelReservation": [{"reservationId": 5}],
        "ChangeAvailability": [{"connectorId": 0, "type": "Operative"}, {"connectorId": 1, "type": "Inoperative"}],
        "ChangeConfiguration": [{"key": "HeartbeatInterval", "value": "60"}],
        "ClearCache": [{}],
        "ClearChargingProfile": [
            {},
            {"id": 1, "connectorId": 1, "chargingProfilePurpose": "TxProfile", "stackLevel": 0},
        ],
        "DataTransfer": [{"vendorId": "com.acme"}, {"vendorId": "com.acme", "messageId": "M", "data": "{}"}],
        "GetCompositeSchedule": [
            {"connectorId": 1, "duration": 60},
            {"connectorId": 0, "duration": 60, "chargingRateUnit": "W"},
        ],
        "GetConfiguration": [{}, {"key": ["HeartbeatInterval"]}],
        "GetDiagnostics": [{"location": "ftp://192.0.2.1/up"}, {**places, "startTime": AT, "stopTime": LATER}],
        "GetLocalListVersion": [{}],
        "RemoteStartTransaction": [
            {"idTag": "TAG"},
            {"idTag": "TAG", "connectorId": 1, "chargingProfile": profile(chargingProfilePurpose="TxProfile")},
        ],
        "RemoteStopTransaction": [{"transactionId": 77}],
        "ReserveNow": [reservation, {**reservation, "parentIdTag": "P", "connectorId": connector + 1}],
        "Reset": [{"type": "Soft"}, {"type": "Hard"}],
        "SendLocalList": [{}, {"listVersion": 1000, "updateType": "Differential", "localAuthorizationList": entries}],
        "SetChargingProfile": [
            {"connectorId": 0, "csChargingProfiles": profile()},
            {"connectorId": 1, "csChargingProfiles": whole},
        ],
        "TriggerMessage": [{"requestedMessage": "Heartbeat"}, {"requestedMessage": "MeterValues", "connectorId": 1}],
        "UnlockConnector": [{"connectorId": 1}],
        "UpdateFirmware": [
            {"location": "https://192.0.2.1/fw.bin"},
            {**places, "retrieveDate": soon},
        ],
    }


def answers(action: str) -> list[dict[str, Any]]:
    """Every answer of a station to an operation: one for each status there is, or the one that it can give."""
    told = {field.name: field.type for field in structs.fields(_RESPONSES[action])}
    if "status" not in told:
        return [_WITHOUT_STATUS[action]]
    return [{"status": status} for status in get_args(told["status"])]


_RESPONSES = {message.action: message.response for message in MESSAGES}
_WITHOUT_STATUS: dict[str, dict[str, Any]] = {
    "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]},
    "GetDiagnostics": {"fileName": "log.zip"},
    "GetLocalListVersion": {"listVersion": 3},
    "UpdateFirmware": {},
}
