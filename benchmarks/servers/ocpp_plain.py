"""Rival (a): websockets and the ``ocpp`` package as its documentation shows them; nothing is stored.

python -m benchmarks.servers.ocpp_plain PORT
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus

transaction_ids = itertools.count(1)


def now() -> str:
    """The time as OCPP writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S") + "Z"


class Station(ChargePoint):  # type: ignore[misc]
    """The central system's side of one station."""

    @on(Action.boot_notification)
    def on_boot(self, charge_point_vendor: str, charge_point_model: str, **_: Any) -> call_result.BootNotification:
        """Accept everybody."""
        return call_result.BootNotification(current_time=now(), interval=300, status=RegistrationStatus.accepted)

    @on(Action.heartbeat)
    def on_heartbeat(self) -> call_result.Heartbeat:
        """Tell the time."""
        return call_result.Heartbeat(current_time=now())

    @on(Action.status_notification)
    def on_status(self, connector_id: int, error_code: str, status: str, **_: Any) -> call_result.StatusNotification:
        """Note nothing."""
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, id_tag: str) -> call_result.Authorize:
        """Accept every tag."""
        return call_result.Authorize(id_tag_info={"status": AuthorizationStatus.accepted})

    @on(Action.start_transaction)
    def on_start(
        self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **_: Any
    ) -> call_result.StartTransaction:
        """Number the transaction."""
        return call_result.StartTransaction(
            transaction_id=next(transaction_ids), id_tag_info={"status": AuthorizationStatus.accepted}
        )

    @on(Action.meter_values)
    def on_meter_values(self, connector_id: int, meter_value: list[Any], **_: Any) -> call_result.MeterValues:
        """Note nothing."""
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    def on_stop(self, transaction_id: int, meter_stop: int, timestamp: str, **_: Any) -> call_result.StopTransaction:
        """Note nothing."""
        return call_result.StopTransaction()


async def on_connect(socket: websockets.ServerConnection) -> None:
    """Serve one station until it leaves."""
    identity = socket.request.path.strip("/").rpartition("/")[2] if socket.request else ""
    try:
        await Station(identity, socket).start()
    except websockets.ConnectionClosed:
        return


async def main(port: int) -> None:
    """Listen until the process is ended."""
    server = await websockets.serve(on_connect, "127.0.0.1", port, subprotocols=["ocpp1.6"])  # type: ignore[list-item]
    await server.wait_closed()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(int(sys.argv[1])))
