"""ClearChargingProfile: take limits away (OCPP 1.6 §5.5)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Connection, Ended, Operation, hookimpl
from arthexis_ocpp16 import profiles


def finished(db: Connection, ended: Ended) -> None:
    """Forget what the station cleared; Unknown means that it holds none of them either."""
    if ended.state in {"Accepted", "Unknown"}:
        profiles.clear(db, ended.station_id, ended.payload)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer ClearChargingProfile."""
    yield Operation(
        "ClearChargingProfile",
        "Take limits away: an id alone decides, else all members that are given must fit; none clears all",
        help={
            "id": "The profile's id; the other members then count for nothing",
            "connectorId": "Connector; 0 is the whole station",
            "chargingProfilePurpose": "Only of this purpose",
            "stackLevel": "Only of this level",
        },
        resend=True,
        finished=finished,
    )
