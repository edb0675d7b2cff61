"""BootNotification: a station introduces itself and learns whether it may talk (OCPP 1.6 §4.2)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Connection, Registration, Station, Unavailable, hookimpl, stations
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.messages import BootNotification, BootNotificationAnswer
from arthexis_ocpp16.reading import given

RETRY_S = 30


async def boot_notification(station: Station, call: Call[BootNotification]) -> BootNotificationAnswer:
    """Keep all nine fields and their history; answer what ``decide_boot`` says.

    While nothing can be stored the answer is Pending: nothing was accepted, and the station boots again soon.
    """
    registration = await call.host.decide_boot(station, call.payload)
    fields = _fields(call.payload)

    def store(db: Connection) -> BootNotificationAnswer:
        at = call.record.received_at
        if station.known:
            stations.boot(db, station.row, station.id, fields, registration.status, at)
            configuration.booted(db, station.row)
        else:
            stations.refuse(db, station.id, call.remote, "waits for approval", at, fields)
        return _answer(call, registration)

    try:
        answer = await call.write(store)
    except Unavailable:
        return _answer(call, Registration("Pending", RETRY_S))
    station.registration = registration.status
    return answer


def _answer(call: Call[BootNotification], registration: Registration) -> BootNotificationAnswer:
    interval_s = registration.interval_s if registration.interval_s is not None else 0
    return BootNotificationAnswer(registration.status, call.clock.now_text(), interval_s)


def _fields(boot: BootNotification) -> dict[str, str | None]:
    """The nine fields under the domain's names."""
    return {
        "vendor": boot.charge_point_vendor,
        "model": boot.charge_point_model,
        "serial_number": given(boot.charge_point_serial_number),
        "charge_box_serial_number": given(boot.charge_box_serial_number),
        "firmware_version": given(boot.firmware_version),
        "iccid": given(boot.iccid),
        "imsi": given(boot.imsi),
        "meter_type": given(boot.meter_type),
        "meter_serial_number": given(boot.meter_serial_number),
    }


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer BootNotification, also of a station that is not accepted yet; each boot is decided anew."""
    yield Action("BootNotification", boot_notification, before_acceptance=True, replay_s=5, asks=("decide_boot",))
