"""The plugin ``ocpp16.protocol``: what OCPP 1.6 is called, says, and how stations really spell it.

The tables are data about the field, not rules per brand: a text that a station sends and the member that it means.
They count only where the text is no member of the enumeration and the meaning is one, so that one table can serve
all enumerations of a wire name (``status``). Case and punctuation need no entry of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from arthexis import Connection, Fault, Protocol, Service, StationConfiguration, Tables, hookimpl
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.messages import MESSAGES
from arthexis_ocpp16.tables import metadata

ERRORS: Final[Mapping[Fault, str]] = {
    Fault.UNREADABLE: "FormationViolation",
    Fault.ENVELOPE: "ProtocolError",
    Fault.UNKNOWN_MEMBER: "FormationViolation",
    Fault.MISSING: "OccurenceConstraintViolation",
    Fault.TYPE: "TypeConstraintViolation",
    Fault.VALUE: "PropertyConstraintViolation",
    Fault.UNKNOWN_ACTION: "NotImplemented",
    Fault.ACTION_OFF: "NotSupported",
    Fault.NOT_ACCEPTED: "SecurityError",
    Fault.INTERNAL: "InternalError",
}
"""The error codes of OCPP-J 1.6 §4.2.3; the spelling of Occurence is that of the standard (errata 5.1)."""

UNREFUSABLE: Final = frozenset({"StartTransaction", "StopTransaction", "MeterValues"})
"""The messages that carry money: a station that gets a CALLERROR for one of them gives it up in the end (§3.7.1)."""

ERROR_CODES: Final[Mapping[str, str]] = {
    "": "NoError",
    "0": "NoError",
    "Error": "OtherError",
    "Fault": "OtherError",
    "Mode3Error": "EVCommunicationError",
    "No error": "NoError",
    "None": "NoError",
    "Ok": "NoError",
    "Other": "OtherError",
}

STATUSES: Final[Mapping[str, str]] = {
    "Charge": "Charging",
    "Connected": "Preparing",
    "DownloadPaused": "Downloading",
    "DownloadScheduled": "Idle",
    "Error": "Faulted",
    "Fault": "Faulted",
    "Finished": "Finishing",
    "Free": "Available",
    "Idle": "Available",
    "Inoperative": "Unavailable",
    "InstallRebooting": "Installing",
    "InstallScheduled": "Downloaded",
    "InstallVerificationFailed": "InstallationFailed",
    "InvalidSignature": "InstallationFailed",
    "Occupied": "Preparing",
    "Offline": "Unavailable",
    "Ok": "Accepted",
    "Operative": "Available",
    "Plugged": "Preparing",
    "Ready": "Available",
    "SignatureVerified": "Downloaded",
    "Success": "Accepted",
    "Suspended": "SuspendedEV",
}

UNITS: Final[Mapping[str, str]] = {
    "%": "Percent",
    "C": "Celsius",
    "F": "Fahrenheit",
    "Amp": "A",
    "Ampere": "A",
    "Amps": "A",
    "degC": "Celsius",
    "degF": "Fahrenheit",
    "Hz": "Hertz",
    "Kelvin": "K",
    "kWhr": "kWh",
    "Volt": "V",
    "Volts": "V",
    "Watt": "W",
    "Watts": "W",
    "Whr": "Wh",
}

MEASURANDS: Final[Mapping[str, str]] = {
    "Current": "Current.Import",
    "Energy": "Energy.Active.Import.Register",
    "Energy.Active.Export": "Energy.Active.Export.Register",
    "Energy.Active.Import": "Energy.Active.Import.Register",
    "Energy.Reactive.Export": "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import": "Energy.Reactive.Import.Register",
    "Power": "Power.Active.Import",
    "Power.Active": "Power.Active.Import",
    "StateOfCharge": "SoC",
    "Temp": "Temperature",
}

PHASES: Final[Mapping[str, str]] = {"1": "L1", "2": "L2", "3": "L3", "Neutral": "N"}

REASONS: Final[Mapping[str, str]] = {
    "Deauthenticated": "DeAuthorized",
    "EVUnplugged": "EVDisconnected",
    "ImmediateReset": "HardReset",
    "Invalid": "DeAuthorized",
    "PowerFailure": "PowerLoss",
    "Unplugged": "EVDisconnected",
}

ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "context": {"Begin": "Transaction.Begin", "End": "Transaction.End", "Periodic": "Sample.Periodic"},
    "errorCode": ERROR_CODES,
    "format": {"Signed": "SignedData", "SignedValue": "SignedData"},
    "location": {"Connector": "Outlet", "Grid": "Inlet", "Upstream": "Inlet", "Vehicle": "EV"},
    "measurand": MEASURANDS,
    "phase": PHASES,
    "reason": REASONS,
    "status": STATUSES,
    "unit": UNITS,
}
"""Per wire name, what stations send and the member that they mean."""

FALLBACKS: Final[Mapping[str, str]] = {
    "context": "Other",
    "errorCode": "OtherError",
    "reason": "Other",
    "status": "Unavailable",
}
"""Per wire name, the member for a text that means nothing at all."""

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "#text": ("value",),
    "$": ("value",),
    "_": ("value",),
    "chargepointid": ("chargePointSerialNumber",),
    "connector": ("connectorId",),
    "connectorstatus": ("status",),
    "datetime": ("timestamp",),
    "diagnosticsstatus": ("status",),
    "evseid": ("connectorId",),
    "firmware": ("firmwareVersion",),
    "firmwarestatus": ("status",),
    "idtoken": ("idTag",),
    "meterbegin": ("meterStart",),
    "meterend": ("meterStop",),
    "metervalue": ("transactionData",),
    "metervalues": ("meterValue", "transactionData"),
    "model": ("chargePointModel",),
    "rfid": ("idTag",),
    "serialnumber": ("chargePointSerialNumber",),
    "startmeter": ("meterStart",),
    "stopmeter": ("meterStop",),
    "stopreason": ("reason",),
    "tag": ("idTag",),
    "tagid": ("idTag",),
    "time": ("timestamp",),
    "txid": ("transactionId",),
    "unitofmeasure": ("unit",),
    "values": ("meterValue", "sampledValue", "transactionData"),
    "vendor": ("chargePointVendor",),
    "vendorname": ("chargePointVendor",),
}
"""What stations of other OCPP versions and habits call the members of 1.6."""

UNITS_OF_NUMBERS: Final[Mapping[str, str]] = {"meterStart": "Wh", "meterStop": "Wh"}

OCPP16: Final = Protocol(
    "ocpp1.6",
    MESSAGES,
    errors=ERRORS,
    unrefusable=UNREFUSABLE,
    aliases=ALIASES,
    fallbacks=FALLBACKS,
    names=NAMES,
    units=UNITS_OF_NUMBERS,
)


@hookimpl
def register_protocols() -> Iterable[Protocol]:
    """Add OCPP 1.6: its subprotocol, the messages of all its profiles and its error codes."""
    yield OCPP16


@hookimpl
def register_tables() -> Iterable[Tables]:
    """Bring the tables of this distribution."""
    yield Tables(metadata, "arthexis_ocpp16:migrations")


class ConfigurationSeen:
    """The keys of stations as this distribution keeps them (a ``StationConfiguration``)."""

    def value(self, db: Connection, station_id: int, key: str) -> str | None:
        """A key's value as last seen, or None."""
        return configuration.value(db, station_id, key)


@hookimpl
def register_services() -> Iterable[Service]:
    """Tell other plugins what stations said of their configuration."""
    yield Service(StationConfiguration, ConfigurationSeen())
