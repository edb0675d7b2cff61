"""The configuration keys of a simulated station (OCPP 1.6 §9) and what ChangeConfiguration does to them."""

from __future__ import annotations

from dataclasses import dataclass

MEASURANDS = (
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "SoC",
    "Voltage",
)
HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
WRITE_ONLY = "AuthorizationKey"


@dataclass(slots=True)
class Key:
    """One key: its text, whether it is read-only, and what its value has to be."""

    value: str
    kind: str = "text"
    readonly: bool = False


def usual(connectors: int) -> dict[str, Key]:
    """The keys of a station with so many connectors, at their usual values."""
    yes, no = "true", "false"
    return {
        "AllowOfflineTxForUnknownId": Key(no, "bool"),
        "AuthorizationCacheEnabled": Key(yes, "bool"),
        "AuthorizationKey": Key("", "key"),
        "AuthorizeRemoteTxRequests": Key(no, "bool"),
        "ClockAlignedDataInterval": Key("0", "count"),
        "ConnectionTimeOut": Key("60", "count"),
        "ConnectorPhaseRotation": Key("0.RST,1.RST"),
        "GetConfigurationMaxKeys": Key("50", "count", readonly=True),
        "HeartbeatInterval": Key("300", "count"),
        "LocalAuthListEnabled": Key(yes, "bool"),
        "LocalAuthListMaxLength": Key("200", "count", readonly=True),
        "LocalAuthorizeOffline": Key(yes, "bool"),
        "LocalPreAuthorize": Key(no, "bool"),
        "MeterValuesAlignedData": Key("Energy.Active.Import.Register", "measurands"),
        "MeterValuesSampledData": Key(",".join(MEASURANDS), "measurands"),
        "MeterValueSampleInterval": Key("60", "count"),
        "NumberOfConnectors": Key(str(connectors), "count", readonly=True),
        "ReserveConnectorZeroSupported": Key(no, "bool", readonly=True),
        "ResetRetries": Key("1", "count"),
        "SecurityProfile": Key("1", "count", readonly=True),
        "SendLocalListMaxLength": Key("100", "count", readonly=True),
        "StopTransactionOnEVSideDisconnect": Key(yes, "bool"),
        "StopTransactionOnInvalidId": Key(yes, "bool"),
        "StopTxnAlignedData": Key("", "measurands"),
        "StopTxnSampledData": Key("", "measurands"),
        "SupportedFeatureProfiles": Key(
            "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger", readonly=True
        ),
        "TransactionMessageAttempts": Key("3", "count"),
        "TransactionMessageRetryInterval": Key("5", "count"),
        "UnlockConnectorOnEVSideDisconnect": Key(yes, "bool"),
        "WebSocketPingInterval": Key("0", "count"),
        "ChargeProfileMaxStackLevel": Key("10", "count", readonly=True),
        "ChargingScheduleAllowedChargingRateUnit": Key("Current,Power", readonly=True),
        "ChargingScheduleMaxPeriods": Key("24", "count", readonly=True),
        "MaxChargingProfilesInstalled": Key("20", "count", readonly=True),
    }


class Configuration:
    """A station's keys; names are found whatever their case, as stations do."""

    def __init__(self, connectors: int) -> None:
        """Begin with the usual values."""
        self.keys = usual(connectors)

    def find(self, name: str) -> tuple[str, Key] | None:
        """A key under its own spelling, or None."""
        folded = name.casefold()
        return next(((own, key) for own, key in self.keys.items() if own.casefold() == folded), None)

    def number(self, name: str) -> int:
        """The value of a key that counts something."""
        return int(self.keys[name].value)

    def on(self, name: str) -> bool:
        """The value of a key that is true or false."""
        return self.keys[name].value.lower() == "true"

    def __getitem__(self, name: str) -> str:
        return self.keys[name].value

    def __setitem__(self, name: str, value: str) -> None:
        """Set a key from within, read-only or not, known or new."""
        self.keys.setdefault(name, Key("")).value = value

    def report(self, names: list[str] | None) -> tuple[list[dict[str, object]], list[str]]:
        """Known keys as GetConfiguration answers them (at most ``GetConfigurationMaxKeys``), and unknown names.

        The key that authorizes the station is never shown.
        """
        wanted = names or list(self.keys)
        found = [(name, self.find(name)) for name in wanted]
        known = [
            {"key": own[0], "readonly": own[1].readonly, "value": own[1].value}
            for _, own in found
            if own is not None and own[0] != WRITE_ONLY
        ]
        unknown = [name for name, own in found if own is None]
        return known[: self.number("GetConfigurationMaxKeys")], unknown

    def change(self, name: str, value: str) -> str:
        """Set a key as ChangeConfiguration does: Accepted, Rejected or NotSupported (OCPP 1.6 §5.4)."""
        found = self.find(name)
        if found is None:
            return "NotSupported"
        key = found[1]
        if key.readonly or not _fits(key.kind, value):
            return "Rejected"
        key.value = value
        return "Accepted"


def _fits(kind: str, value: str) -> bool:
    if kind == "bool":
        return value.lower() in {"true", "false"}
    if kind == "count":
        return value.isdecimal() and value.isascii() and len(value) < 10
    if kind == "measurands":
        return all(name.partition(".L")[0].strip() in MEASURANDS for name in value.split(",") if name.strip())
    if kind == "key":
        return 32 <= len(value) <= 40 and len(value) % 2 == 0 and set(value) <= HEX_DIGITS
    return True
