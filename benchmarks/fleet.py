"""The fleet mix: what a station says during one session, and what may be answered to it.

A session has 17 messages: three StatusNotifications, Authorize, StartTransaction, ten MeterValues of eight
samples each, Heartbeat, StopTransaction.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

METERS: Final = 10
SAMPLES: Final = (
    ("Energy.Active.Import.Register", "Wh", None, "@wh@"),
    ("Power.Active.Import", "W", None, "7360.5"),
    ("Current.Import", "A", "L1", "16.02"),
    ("Current.Import", "A", "L2", "15.98"),
    ("Current.Import", "A", "L3", "16.00"),
    ("Voltage", "V", "L1-N", "230.1"),
    ("SoC", "Percent", None, "57"),
    ("Temperature", "Celsius", None, "31.5"),
)
AUTHORIZATION: Final = frozenset({"Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"})

Check = Callable[[dict[str, Any]], bool]


def samples() -> list[dict[str, str]]:
    """Eight sampled values as a three-phase station sends them (OCPP 1.6 §7.44)."""
    found = []
    for measurand, unit, phase, value in SAMPLES:
        sample = {"value": value, "context": "Sample.Periodic", "format": "Raw", "measurand": measurand}
        found.append({**sample, **({"phase": phase} if phase else {}), "location": "Outlet", "unit": unit})
    return found


def _status(status: str) -> tuple[str, dict[str, Any]]:
    said = {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": "@at@"}
    return "StatusNotification", said


BOOT: Final = (
    "BootNotification",
    {
        "chargePointVendor": "Bench",
        "chargePointModel": "B-1",
        "chargePointSerialNumber": "B0001",
        "firmwareVersion": "1.0.0",
    },
)
METER: Final[tuple[str, dict[str, Any]]] = (
    "MeterValues",
    {"connectorId": 1, "transactionId": "@tx@", "meterValue": [{"timestamp": "@at@", "sampledValue": samples()}]},
)
START: Final = ("StartTransaction", {"connectorId": 1, "idTag": "@tag@", "meterStart": "@wh@", "timestamp": "@at@"})
STOP: Final = (
    "StopTransaction",
    {"transactionId": "@tx@", "meterStop": "@wh@", "timestamp": "@at@", "idTag": "@tag@", "reason": "Local"},
)
SESSION: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    _status("Preparing"),
    ("Authorize", {"idTag": "@tag@"}),
    START,
    _status("Charging"),
    *[METER] * METERS,
    ("Heartbeat", {}),
    STOP,
    _status("Available"),
)


class Template:
    """A CALL that is encoded but for what differs from message to message."""

    __slots__ = ("_form", "action")

    def __init__(self, action: str, payload: dict[str, Any]) -> None:
        """Encode ``payload``; ``@tx@`` (a number), ``@wh@``, ``@at@`` and ``@tag@`` are filled in later."""
        self.action = action
        body = json.dumps(payload, separators=(",", ":")).replace("%", "%%").replace('"@tx@"', "%(tx)d")
        for name in ("meterStart", "meterStop"):
            body = body.replace(f'"{name}":"@wh@"', f'"{name}":%(wh)d')
        body = body.replace("@wh@", "%(wh)d").replace("@at@", "%(at)s").replace("@tag@", "%(tag)s")
        self._form = f'[2,"%(id)s","{action}",{body}]'.encode()

    def call(self, message_id: bytes, tag: bytes, transaction: int, energy_wh: int) -> bytes:
        """The bytes of one CALL, said now."""
        return self._form % {b"id": message_id, b"tag": tag, b"tx": transaction, b"wh": energy_wh, b"at": now()}


def now() -> bytes:
    """The time in UTC with microseconds, so that no two messages of a station carry the same."""
    second, rest = divmod(time.time_ns() // 1000, 1_000_000)
    return _second(second) + b".%06dZ" % rest


@lru_cache(2)
def _second(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


def identity(number: int) -> str:
    """A station's identity."""
    return f"BENCH{number:05d}"


def tag(number: int) -> str:
    """The id tag that charges at that station."""
    return f"BENCHTAG{number:05d}"


def key(number: int) -> bytes:
    """The station's key: 20 bytes, the same on both sides without being passed."""
    return hashlib.sha256(identity(number).encode()).digest()[:20]


def _is_time(answer: dict[str, Any]) -> bool:
    text = answer["currentTime"]
    return isinstance(text, str) and len(text) >= 19 and text[4] == "-" and text[10] == "T"


def _is_authorized(answer: dict[str, Any]) -> bool:
    return answer["idTagInfo"]["status"] in AUTHORIZATION


def _is_empty(answer: dict[str, Any]) -> bool:
    return answer == {}


ANSWERS: Final[dict[str, Check]] = {
    "BootNotification": lambda a: (
        _is_time(a) and type(a["interval"]) is int and a["status"] == "Accepted" and len(a) == 3
    ),
    "Heartbeat": lambda a: _is_time(a) and len(a) == 1,
    "Authorize": lambda a: _is_authorized(a) and len(a) == 1,
    "StatusNotification": _is_empty,
    "MeterValues": _is_empty,
    "StartTransaction": lambda a: (
        type(a["transactionId"]) is int and a["idTagInfo"]["status"] == "Accepted" and len(a) == 2
    ),
    "StopTransaction": lambda a: a == {} or (_is_authorized(a) and len(a) == 1),
}
"""Per action, whether the payload of a CALLRESULT is right; KeyError and TypeError mean no as well."""
