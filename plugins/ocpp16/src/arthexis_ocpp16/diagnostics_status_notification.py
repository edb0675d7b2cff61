"""DiagnosticsStatusNotification: how far an upload of diagnostics has come (OCPP 1.6 §4.4)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Connection, Station, hookimpl
from arthexis_ocpp16 import tables
from arthexis_ocpp16.messages import DiagnosticsStatusNotification, DiagnosticsStatusNotificationAnswer


async def diagnostics_status_notification(
    station: Station, call: Call[DiagnosticsStatusNotification]
) -> DiagnosticsStatusNotificationAnswer:
    """Keep the status; what it belongs to is for whoever asked for it."""

    def store(db: Connection) -> DiagnosticsStatusNotificationAnswer:
        tables.report_progress(db, station, "diagnostics", call.payload.status, call.record)
        return DiagnosticsStatusNotificationAnswer()

    return await call.write(store)


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer DiagnosticsStatusNotification."""
    yield Action("DiagnosticsStatusNotification", diagnostics_status_notification)
