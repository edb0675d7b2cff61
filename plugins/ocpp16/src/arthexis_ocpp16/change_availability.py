"""ChangeAvailability: take a connector, or the whole station, in or out of service (OCPP 1.6 §5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arthexis import Event, FollowUp, Operation, Seen, hookimpl
from arthexis_ocpp16.asking import not_negative
from arthexis_ocpp16.messages import ChangeAvailability

WEEK_S = 7 * 86_400.0


def resolved(payload: Mapping[str, Any], event: Event) -> Seen | None:
    """The status by which the scheduled change shows: Unavailable, or no longer so."""
    number, wanted = payload["connectorId"], payload["type"] == "Inoperative"
    if number not in {0, event.data["connector"]} or (event.data["status"] == "Unavailable") is not wanted:
        return None
    return Seen(f"connector {event.data['connector']} is {event.data['status']}")


def check(request: ChangeAvailability) -> None:
    """Connector 0 is the station and all of its connectors."""
    not_negative(request.connector_id, "ChangeAvailability")


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer ChangeAvailability; Scheduled is resolved by a later status."""
    yield Operation(
        "ChangeAvailability",
        "Take a connector, or the whole station, in or out of service",
        help={"connectorId": "Connector; 0 is the whole station", "type": "Operative or Inoperative"},
        check=check,
        follow_up=FollowUp(
            frozenset({"Scheduled"}), frozenset({"status.changed"}), WEEK_S, resolved, "did not change in a week"
        ),
    )
