"""Payloads of OCPP 1.6 as a good station sends them, for tests: each member can be replaced by name."""

from __future__ import annotations

from typing import Any

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
