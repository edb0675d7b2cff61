"""Reading a station's configuration with GetConfiguration, whatever it understands of that (OCPP 1.6 §5.8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from arthexis import Host, stations
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.asking import answer_of

FEW: Final = 20
"""How many keys a station is asked for at once that has not told its GetConfigurationMaxKeys."""

MAX_KEYS: Final = "GetConfigurationMaxKeys"
GONE: Final = "station gone"
STANDARD: Final = (
    MAX_KEYS,
    "AllowOfflineTxForUnknownId",
    "AuthorizationCacheEnabled",
    "AuthorizeRemoteTxRequests",
    "BlinkRepeat",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "ConnectorPhaseRotationMaxLength",
    "ConnectorSwitch3to1PhaseSupported",
    "HeartbeatInterval",
    "LightIntensity",
    "LocalAuthListEnabled",
    "LocalAuthListMaxLength",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MaxChargingProfilesInstalled",
    "MaxEnergyOnInvalidId",
    "MeterValueSampleInterval",
    "MeterValuesAlignedData",
    "MeterValuesAlignedDataMaxLength",
    "MeterValuesSampledData",
    "MeterValuesSampledDataMaxLength",
    "MinimumStatusDuration",
    "NumberOfConnectors",
    "ReserveConnectorZeroSupported",
    "ResetRetries",
    "SendLocalListMaxLength",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnAlignedData",
    "StopTxnAlignedDataMaxLength",
    "StopTxnSampledData",
    "StopTxnSampledDataMaxLength",
    "SupportedFeatureProfiles",
    "SupportedFeatureProfilesMaxLength",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
    "WebSocketPingInterval",
)
"""The keys of OCPP 1.6 §9, for stations that tell nothing unless they are asked by name."""


@dataclass(slots=True)
class Told:
    """What came of reading: the names that the station told, those it does not know, and what went otherwise."""

    keys: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    gone: bool = False


async def read(host: Host, station: str, names: Sequence[str] = (), *, by: str = "node") -> Told:
    """Read these keys of a station, or all that it has; what it tells is stored answer by answer.

    All: it is asked without names. One that tells nothing then is asked for every name that may be there, and one
    that tells as many as it can at once is asked for the others. One that answers no names is asked without them.
    A station that does not answer is a warning, and so is one that is gone. Raises ``DomainError`` where it may not
    be asked at all.
    """
    reading = _Reading(host, station, by)
    if not names:
        if await reading.ask(()):
            await reading.rest()
        elif not reading.told.gone:
            reading.warn("it tells nothing when it is asked for all keys, so it was asked by name")
            await reading.by_name(await reading.names())
    elif not await reading.by_name(names) and not reading.told.gone:
        reading.warn("it tells nothing when it is asked by name, so it was asked for all keys")
        await reading.ask(())
    return reading.told


class _Reading:
    """One reading of one station."""

    def __init__(self, host: Host, station: str, by: str) -> None:
        self.host, self.station, self.by = host, station, by
        self.told = Told()

    def warn(self, said: str) -> None:
        self.told.warnings.append(said)

    async def ask(self, names: Sequence[str]) -> bool:
        """Ask once; whether the station told anything."""
        payload = {"key": list(names)} if names else {}
        record = await answer_of(self.host, self.station, "GetConfiguration", payload, self.by)
        self.told.operations.append(record["id"])
        if record["state"] != "answered":
            self.told.gone = record["state"] == GONE
            error = f" ({record['error_text']})" if record["error_text"] else ""
            self.warn(f"GetConfiguration ended: {record['state']}{error}")
            return False
        rows = [row for row in await self._rows() if row["seen_at"] == record["finished_at"]]
        new = {row["key"]: row["known"] for row in rows if not names or _among(row["key"], names)}
        self.told.keys += [name for name, known in new.items() if known and name not in self.told.keys]
        self.told.unknown += [name for name, known in new.items() if not known and name not in self.told.unknown]
        return bool(new)

    async def by_name(self, names: Iterable[str]) -> bool:
        """Ask for these names, as many at once as the station takes; whether it told anything."""
        told = False
        for chunk in chunks(list(dict.fromkeys(names)), await self._most() or FEW):
            told = await self.ask(chunk) or told
            if self.told.gone or not told:
                break
        return told

    async def rest(self) -> None:
        """A station that told as many keys as it tells at once may have more of them."""
        most = await self._most()
        if most is not None and len(self.told.keys) >= most:
            there = {name.casefold() for name in (*self.told.keys, *self.told.unknown)}
            await self.by_name(name for name in await self.names() if name.casefold() not in there)

    async def names(self) -> list[str]:
        """Every name that the station may have: the standard's, and what it was ever told or wished to have."""
        desired = await self.host.database.read(
            lambda db: configuration.desired(db, stations.required(db, self.station).row)
        )
        others = [row["key"] for row in await self._rows()] + list(desired)
        by_folded = {name.casefold(): name for name in (*others, *STANDARD)}
        first = MAX_KEYS.casefold()
        return sorted(by_folded.values(), key=lambda name: (name.casefold() != first, name.casefold()))

    async def _most(self) -> int | None:
        """GetConfigurationMaxKeys, where the station has told it and it is a number."""
        text = await self.host.database.read(
            lambda db: configuration.value(db, stations.required(db, self.station).row, MAX_KEYS)
        )
        return int(text) if text and text.isascii() and text.isdecimal() and int(text[:9]) > 0 else None

    async def _rows(self) -> list[dict[str, Any]]:
        return await self.host.database.read(lambda db: configuration.keys(db, stations.required(db, self.station).row))


def chunks(names: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """These names in pieces of at most so many."""
    return (names[start : start + most] for start in range(0, len(names), most))


def _among(name: str, names: Iterable[str]) -> bool:
    return name.casefold() in {wanted.casefold() for wanted in names}
