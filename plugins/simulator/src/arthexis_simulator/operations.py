"""What a station does when the central system calls: the nineteen operations of OCPP 1.6 §5."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from ocpp.charge_point import remove_nones, snake_to_camel_case
from ocpp.routing import on as routed
from ocpp.v16 import call_result

from arthexis_simulator.profiles import DEFAULT, MAX, TX, read_time

if TYPE_CHECKING:
    from arthexis_simulator.station import Station

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
Handler = TypeVar("Handler", bound=Callable[..., Any])
AFTERWARDS: ContextVar[list[Work] | None] = ContextVar("AFTERWARDS", default=None)

TRIGGERS = frozenset(
    {
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "MeterValues",
        "StatusNotification",
    }
)


def on(action: str) -> Callable[[Handler], Handler]:
    """The package's own decorator, typed: the handler of an action."""
    return cast("Callable[[Handler], Handler]", routed(action))


def afterwards(work: Work) -> None:
    """Do something once the answer that is being made has left."""
    queue = AFTERWARDS.get()
    if queue is not None:
        queue.append(work)


def _wire(value: Any) -> Any:
    """A nested value that the package spelt like Python, as the wire spells it."""
    return remove_nones(snake_to_camel_case(value))


class Operations:
    """The handlers; the package finds them by their decorator. ``station`` is the station they act on."""

    station: Station

    # ------------------------------------------------------------------ core

    @on("ChangeAvailability")
    def on_change_availability(self, connector_id: int, type: str) -> Any:  # noqa: A002
        """Take connectors out of service or back: after a transaction that runs (§5.2)."""
        station = self.station
        if connector_id not in {0, *station.connectors}:
            return call_result.ChangeAvailability("Rejected")
        numbers = list(station.connectors) if connector_id == 0 else [connector_id]
        operative = type == "Operative"
        for number in numbers:
            station.connectors[number].operative = operative
        if connector_id == 0:
            station.operative = operative
            afterwards(partial(station.show_availability, 0))
        busy = [number for number in numbers if station.connectors[number].transaction is not None]
        for number in set(numbers) - set(busy):
            afterwards(partial(station.show_availability, number))
        return call_result.ChangeAvailability("Scheduled" if busy else "Accepted")

    @on("ChangeConfiguration")
    def on_change_configuration(self, key: str, value: str) -> Any:
        """Set a key; a new AuthorizationKey is used at once, on a new connection (§5.3, security profile 1)."""
        status = self.station.configuration.change(key, value)
        if status == "Accepted" and key.casefold() == "authorizationkey":
            self.station.key = bytes.fromhex(value)
            afterwards(self.station.renew)
        return call_result.ChangeConfiguration(status)

    @on("ClearCache")
    def on_clear_cache(self) -> Any:
        """Forget cached authorizations (§5.4)."""
        self.station.cache.clear()
        return call_result.ClearCache("Accepted")

    @on("DataTransfer")
    def on_data_transfer(self, vendor_id: str, message_id: str | None = None, data: str | None = None) -> Any:
        """No vendor is known (§5.5)."""
        del vendor_id, message_id, data
        return call_result.DataTransfer("UnknownVendorId")

    @on("GetConfiguration")
    def on_get_configuration(self, key: list[str] | None = None) -> Any:
        """Report keys (§5.8)."""
        known, unknown = self.station.configuration.report(key)
        return call_result.GetConfiguration(known, unknown or None)

    @on("RemoteStartTransaction")
    def on_remote_start_transaction(
        self, id_tag: str, connector_id: int | None = None, charging_profile: dict[str, Any] | None = None
    ) -> Any:
        """Start a session on the connector named, or on any that is free (§5.11)."""
        station = self.station
        number = station.free_connector(connector_id, id_tag)
        if number is None or (charging_profile or {}).get("charging_profile_purpose", TX) != TX:
            return call_result.RemoteStartTransaction("Rejected")
        station.reserve_start(number)
        if charging_profile is not None:
            station.profiles.set(number, _wire(charging_profile))
        afterwards(partial(station.begin_session, number, id_tag))
        return call_result.RemoteStartTransaction("Accepted")

    @on("RemoteStopTransaction")
    def on_remote_stop_transaction(self, transaction_id: int) -> Any:
        """End the transaction of this id (§5.12)."""
        number = self.station.connector_of(transaction_id)
        if number is None:
            return call_result.RemoteStopTransaction("Rejected")
        afterwards(partial(self.station.end_session, number, "Remote"))
        return call_result.RemoteStopTransaction("Accepted")

    @on("Reset")
    def on_reset(self, type: str) -> Any:  # noqa: A002
        """Stop every transaction, disconnect, boot again (§5.14)."""
        afterwards(partial(self.station.reset, type))
        return call_result.Reset("Accepted")

    @on("UnlockConnector")
    def on_unlock_connector(self, connector_id: int) -> Any:
        """Unlock, and end the transaction there first (§5.18)."""
        if connector_id not in self.station.connectors:
            return call_result.UnlockConnector("NotSupported")
        if self.station.connectors[connector_id].transaction is not None:
            afterwards(partial(self.station.end_session, connector_id, "UnlockCommand"))
        return call_result.UnlockConnector("Unlocked")

    # ------------------------------------------------------------------ firmware management

    @on("GetDiagnostics")
    def on_get_diagnostics(self, location: str, **_window: Any) -> Any:
        """Upload the station's log to ``location`` and tell how it goes (§5.9)."""
        name = f"{self.station.identity}-diagnostics.log"
        afterwards(partial(self.station.files.upload, location, name))
        return call_result.GetDiagnostics(name)

    @on("UpdateFirmware")
    def on_update_firmware(self, location: str, retrieve_date: str, **_retries: Any) -> Any:
        """Fetch firmware when its date has come, install it, boot again (§5.19)."""
        afterwards(partial(self.station.files.update, location, read_time(retrieve_date)))
        return call_result.UpdateFirmware()

    # ------------------------------------------------------------------ local list

    @on("GetLocalListVersion")
    def on_get_local_list_version(self) -> Any:
        """The version of the list; 0 where it is empty (§5.10)."""
        return call_result.GetLocalListVersion(self.station.local_list.version)

    @on("SendLocalList")
    def on_send_local_list(
        self, list_version: int, update_type: str, local_authorization_list: list[dict[str, Any]] | None = None
    ) -> Any:
        """Replace the list or change it (§5.15)."""
        entries = [_wire(entry) for entry in local_authorization_list or []]
        most = self.station.configuration.number("SendLocalListMaxLength")
        status = "Failed" if len(entries) > most else self.station.local_list.take(list_version, update_type, entries)
        return call_result.SendLocalList(status)

    # ------------------------------------------------------------------ reservation

    @on("ReserveNow")
    def on_reserve_now(
        self, connector_id: int, expiry_date: str, id_tag: str, reservation_id: int, parent_id_tag: str | None = None
    ) -> Any:
        """Keep a connector for a tag until a time (§5.13)."""
        del parent_id_tag
        station = self.station
        connector = station.connectors.get(connector_id)
        if connector is None:
            return call_result.ReserveNow("Rejected")
        reservation = connector.reservation
        if reservation is None or reservation.id != reservation_id:
            if connector.status in {"Faulted", "Unavailable"}:
                return call_result.ReserveNow(connector.status)
            if connector.status != "Available" or reservation is not None:
                return call_result.ReserveNow("Occupied")
        station.reserve(connector_id, reservation_id, id_tag, read_time(expiry_date))
        afterwards(partial(station.show_reservation, connector_id))
        return call_result.ReserveNow("Accepted")

    @on("CancelReservation")
    def on_cancel_reservation(self, reservation_id: int) -> Any:
        """Free a reserved connector (§5.1)."""
        number = self.station.cancel_reservation(reservation_id)
        if number is None:
            return call_result.CancelReservation("Rejected")
        afterwards(partial(self.station.show_availability, number))
        return call_result.CancelReservation("Accepted")

    # ------------------------------------------------------------------ remote trigger

    @on("TriggerMessage")
    def on_trigger_message(self, requested_message: str, connector_id: int | None = None) -> Any:
        """Send the message that is asked for (§5.17)."""
        if connector_id is not None and connector_id not in {0, *self.station.connectors}:
            return call_result.TriggerMessage("Rejected")
        if requested_message not in TRIGGERS:
            return call_result.TriggerMessage("NotImplemented")
        afterwards(partial(self.station.send_triggered, requested_message, connector_id))
        return call_result.TriggerMessage("Accepted")

    # ------------------------------------------------------------------ smart charging

    @on("SetChargingProfile")
    def on_set_charging_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        """Install a profile where its purpose allows it (§5.16)."""
        station, profile = self.station, _wire(cs_charging_profiles)
        if connector_id not in {0, *station.connectors}:
            return call_result.SetChargingProfile("Rejected")
        allowed = {MAX: connector_id == 0, DEFAULT: True, TX: station.charges(connector_id, profile)}
        fits = profile["stackLevel"] <= station.configuration.number("ChargeProfileMaxStackLevel")
        if not allowed[profile["chargingProfilePurpose"]] or not fits:
            return call_result.SetChargingProfile("Rejected")
        return call_result.SetChargingProfile("Accepted" if station.profiles.set(connector_id, profile) else "Rejected")

    @on("ClearChargingProfile")
    def on_clear_charging_profile(
        self,
        id: int | None = None,  # noqa: A002
        connector_id: int | None = None,
        charging_profile_purpose: str | None = None,
        stack_level: int | None = None,
    ) -> Any:
        """Remove profiles (§5.3)."""
        cleared = self.station.profiles.clear(
            profile_id=id, connector=connector_id, purpose=charging_profile_purpose, stack_level=stack_level
        )
        return call_result.ClearChargingProfile("Accepted" if cleared else "Unknown")

    @on("GetCompositeSchedule")
    def on_get_composite_schedule(self, connector_id: int, duration: int, charging_rate_unit: str | None = None) -> Any:
        """What the profiles come to (§5.7)."""
        if connector_id not in {0, *self.station.connectors}:
            return call_result.GetCompositeSchedule("Rejected")
        start, schedule = self.station.composite(connector_id, duration, charging_rate_unit or "A")
        return call_result.GetCompositeSchedule("Accepted", connector_id, start, schedule)
