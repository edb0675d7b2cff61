"""TriggerMessage: ask a station to say something now (OCPP 1.6 §5.17)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from arthexis import Asked, Connection, DomainError, Event, FollowUp, Operation, Seen, hookimpl, stations
from arthexis_ocpp16.asking import ACCEPTED, above_zero
from arthexis_ocpp16.messages import TriggerMessage

COME_WITHIN_S = 60.0


def came(payload: Mapping[str, Any], event: Event) -> Seen | None:
    """The message that was asked for."""
    return Seen(f"{event.data['action']} came") if event.data["action"] == payload["requestedMessage"] else None


def fill(db: Connection, asked: Asked) -> Mapping[str, Any]:
    """A station that was accepted is not asked for its boot again (errata 3.40); one that never booted may be."""
    if asked.payload.get("requestedMessage") == "BootNotification":
        found = stations.required(db, asked.station)
        if found.registration == "Accepted" and stations.has_booted(db, found.row):
            raise DomainError(
                f"{asked.station} has booted and was accepted",
                place="TriggerMessage requestedMessage",
                cure="Reset it, if it is to boot again (OCPP 1.6 errata 3.40)",
            )
    return {}


def check(request: TriggerMessage) -> None:
    """A message about the whole station names no connector."""
    if request.connector_id is not UNSET:
        above_zero(request.connector_id, "TriggerMessage")


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer TriggerMessage; after Accepted the message is awaited, and some stations never send it."""
    yield Operation(
        "TriggerMessage",
        "Ask the station to send a message now",
        help={"requestedMessage": "The message", "connectorId": "Connector, 1 or higher, where it is about one"},
        fill=fill,
        check=check,
        follow_up=FollowUp(ACCEPTED, frozenset({"message"}), COME_WITHIN_S, came, "accepted, but nothing came"),
    )
