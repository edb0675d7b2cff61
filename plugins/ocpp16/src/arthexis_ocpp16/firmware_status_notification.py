"""FirmwareStatusNotification: how far a firmware update has come (OCPP 1.6 §4.5)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Connection, Station, hookimpl
from arthexis_ocpp16 import tables
from arthexis_ocpp16.messages import FirmwareStatusNotification, FirmwareStatusNotificationAnswer


async def firmware_status_notification(
    station: Station, call: Call[FirmwareStatusNotification]
) -> FirmwareStatusNotificationAnswer:
    """Keep the status; what it belongs to is for whoever asked for it."""

    def store(db: Connection) -> FirmwareStatusNotificationAnswer:
        tables.report_progress(db, station, "firmware", call.payload.status, call.record)
        return FirmwareStatusNotificationAnswer()

    return await call.write(store)


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer FirmwareStatusNotification."""
    yield Action("FirmwareStatusNotification", firmware_status_notification)
