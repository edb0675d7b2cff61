"""RemoteStartTransaction: ask a station to start a session (OCPP 1.6 §5.11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from arthexis import Asked, Connection, Event, FollowUp, Operation, Seen, hookimpl
from arthexis_ocpp16 import profiles
from arthexis_ocpp16.asking import ACCEPTED, above_zero
from arthexis_ocpp16.messages import RemoteStartTransaction

START_WITHIN_S = 180.0


def started(payload: Mapping[str, Any], event: Event) -> Seen | None:
    """The transaction that this start led to: the same tag, on the connector that was named; surely, if one was."""
    same_tag = str(event.data["id_tag"]).casefold() == payload["idTag"].casefold()
    if not same_tag or payload.get("connectorId", event.data["connector"]) != event.data["connector"]:
        return None
    return Seen(f"transaction {event.data['transaction_id']}", sure="connectorId" in payload)


def check(request: RemoteStartTransaction) -> None:
    """The connector is a real one, the profile one of a session that does not exist yet (errata 3.41)."""
    if request.connector_id is not UNSET:
        above_zero(request.connector_id, "RemoteStartTransaction")
    if request.charging_profile is not UNSET:
        connector = None if request.connector_id is UNSET else request.connector_id
        profiles.check(request.charging_profile, connector, remote_start=True)


def fill(db: Connection, asked: Asked) -> Mapping[str, Any]:
    """Put the profile in the place of its name."""
    given = asked.payload.get("chargingProfile")
    return {"chargingProfile": profiles.resolved(db, given)} if isinstance(given, str) else {}


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer RemoteStartTransaction: never queued, because a start that is late by hours starts a charge."""
    yield Operation(
        "RemoteStartTransaction",
        "Ask the station to start a session; Accepted only means that it will try",
        help={
            "connectorId": "Connector; without one the station chooses",
            "idTag": "Who charges",
            "chargingProfile": "A TxProfile without transactionId, or the name of one; limits in A or W",
        },
        queues=False,
        while_pending=False,
        named=frozenset({"chargingProfile"}),
        fill=fill,
        check=check,
        follow_up=FollowUp(ACCEPTED, frozenset({"transaction.started"}), START_WITHIN_S, started, "never started"),
    )
