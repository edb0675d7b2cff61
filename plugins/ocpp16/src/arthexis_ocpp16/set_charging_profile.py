"""SetChargingProfile: limit a station, a connector or a session (OCPP 1.6 §5.16)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arthexis import Asked, Connection, Ended, Operation, hookimpl
from arthexis_ocpp16 import profiles
from arthexis_ocpp16.asking import not_negative
from arthexis_ocpp16.messages import SetChargingProfile


def fill(db: Connection, asked: Asked) -> Mapping[str, Any]:
    """Put the profile in the place of its name."""
    given = asked.payload.get("csChargingProfiles")
    return {"csChargingProfiles": profiles.resolved(db, given)} if isinstance(given, str) else {}


def check(request: SetChargingProfile) -> None:
    """The profile must keep the rules of its purpose and kind."""
    not_negative(request.connector_id, "SetChargingProfile")
    profiles.check(request.cs_charging_profiles, request.connector_id)


def finished(db: Connection, ended: Ended) -> None:
    """Only a profile that the station accepted counts as installed."""
    if ended.state == "Accepted":
        profile = profiles.convert(ended.payload["csChargingProfiles"])
        profiles.install(db, ended.station_id, ended.payload["connectorId"], profile, ended.at)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer SetChargingProfile."""
    yield Operation(
        "SetChargingProfile",
        "Limit what a station, a connector or a session may draw",
        help={
            "connectorId": "Connector; 0 is the whole station",
            "csChargingProfiles": "The profile, or the name of one; limits in A per phase or W, one decimal",
        },
        fill=fill,
        check=check,
        finished=finished,
    )
