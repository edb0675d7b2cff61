"""StatusNotification: how a connector, or the station as connector 0, is doing (OCPP 1.6 §4.9)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Connection, Station, connectors, hookimpl
from arthexis_ocpp16.messages import StatusNotification, StatusNotificationAnswer
from arthexis_ocpp16.reading import connector, given, time_text

ANSWER = StatusNotificationAnswer()


async def status_notification(station: Station, call: Call[StatusNotification]) -> StatusNotificationAnswer:
    """Keep the status in the connector's history, and as its current one unless a newer one is known."""
    told = call.payload
    at_raw = given(told.timestamp)
    status = connectors.Status(
        connector=connector(told.connector_id),
        status=told.status,
        error_code=told.error_code,
        at=call.time(at_raw) if at_raw is not None else None,
        at_raw=time_text(at_raw) if at_raw is not None else None,
        info=given(told.info),
        vendor_id=given(told.vendor_id),
        vendor_error_code=given(told.vendor_error_code),
    )

    def store(db: Connection) -> StatusNotificationAnswer:
        connectors.report(db, station, status, call.record)
        return ANSWER

    return await call.write(store)


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer StatusNotification."""
    yield Action("StatusNotification", status_notification)
