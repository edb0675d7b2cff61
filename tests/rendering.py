"""Stored rows back into the JSON that stations sent: what equals the client's own log was kept whole."""

from __future__ import annotations

import json
from typing import Any

from tests.node_process import NodeProcess

Message = tuple[str, dict[str, Any]]

BOOT = {
    "chargePointVendor": "vendor",
    "chargePointModel": "model",
    "chargePointSerialNumber": "serial_number",
    "chargeBoxSerialNumber": "charge_box_serial_number",
    "firmwareVersion": "firmware_version",
    "iccid": "iccid",
    "imsi": "imsi",
    "meterType": "meter_type",
    "meterSerialNumber": "meter_serial_number",
}
STATUS = {
    "connectorId": "connector",
    "errorCode": "error_code",
    "status": "status",
    "info": "info",
    "vendorId": "vendor_id",
    "vendorErrorCode": "vendor_error_code",
    "timestamp": "at_raw",
}


def _named(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {wire: row[column] for wire, column in names.items() if row[column] is not None}


def stored_log(node: NodeProcess, station: str) -> list[tuple[str, str]]:
    """The message log as frames in their order: (direction as the station sees it, text)."""
    frames: list[tuple[str, str]] = []
    for row in node.rows("select * from message where station = ? order by id", station):
        called, answered = (">", "<") if row["inbound"] else ("<", ">")
        frames += [(called, bytes(row["frame"]).decode())] if row["frame"] is not None else []
        frames += [(answered, bytes(row["answer"]).decode())] if row["answer"] is not None else []
    return frames


def boots(node: NodeProcess) -> list[Message]:
    """Every BootNotification."""
    stored = [json.loads(row["boot"]) for row in node.rows("select boot from station_boot order by id")]
    return [("BootNotification", _named(row, BOOT)) for row in stored]


def statuses(node: NodeProcess) -> list[Message]:
    """Every StatusNotification."""
    rows = node.rows("select * from connector_status order by id")
    return [("StatusNotification", _named(row, STATUS)) for row in rows]


def starts(node: NodeProcess) -> list[Message]:
    """Every StartTransaction."""
    return [
        (
            "StartTransaction",
            {
                "connectorId": row["connector"],
                "idTag": row["id_tag"],
                "meterStart": row["meter_start_wh"],
                "timestamp": row["started_at_raw"],
                **({"reservationId": row["reservation_id"]} if row["reservation_id"] is not None else {}),
            },
        )
        for row in node.rows("select * from charging_transaction order by id")
    ]


def stops(node: NodeProcess) -> list[Message]:
    """Every StopTransaction, with the transactionData that came with it."""
    return [
        ("StopTransaction", _stop(node, row)) for row in node.rows("select * from charging_transaction order by id")
    ]


def _stop(node: NodeProcess, row: dict[str, Any]) -> dict[str, Any]:
    data = _meter_values(node, row["id"], with_stop=True)
    told = {
        "transactionId": row["claimed_id"] or row["id"],
        "meterStop": row["meter_stop_wh"],
        "timestamp": row["stopped_at_raw"],
        "reason": row["stop_reason"],
        "idTag": row["stop_id_tag"],
        "transactionData": data or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def meter_values(node: NodeProcess) -> list[Message]:
    """Every MeterValues (each of one meter value)."""
    rows = node.rows("select * from meter_value where not with_stop order by id")
    return [
        (
            "MeterValues",
            {
                "connectorId": row["connector"],
                "transactionId": row["claimed_id"] or row["transaction_id"],
                "meterValue": [_meter_value(row)],
            },
        )
        for row in rows
    ]


def _meter_values(node: NodeProcess, transaction: int, *, with_stop: bool) -> list[dict[str, Any]]:
    query = "select * from meter_value where transaction_id = ? and with_stop = ? order by id"
    return [_meter_value(row) for row in node.rows(query, transaction, with_stop)]


def _meter_value(row: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": row["sampled_at_raw"], "sampledValue": json.loads(row["samples"])}


def domain_rows(node: NodeProcess) -> list[Message]:
    """All of them, by kind."""
    return [*boots(node), *statuses(node), *starts(node), *meter_values(node), *stops(node)]


KINDS = ("BootNotification", "StatusNotification", "StartTransaction", "MeterValues", "StopTransaction")


def said(frames: list[tuple[str, str]]) -> list[Message]:
    """What a client's log says that the domain keeps, by kind and each kind in its order."""
    calls = [json.loads(text) for direction, text in frames if direction == ">"]
    return [(call[2], call[3]) for kind in KINDS for call in calls if call[0] == 2 and call[2] == kind]
