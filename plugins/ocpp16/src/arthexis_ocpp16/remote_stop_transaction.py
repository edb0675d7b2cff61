"""RemoteStopTransaction: ask a station to end a session (OCPP 1.6 §5.12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arthexis import Asked, Connection, DomainError, Event, FollowUp, Operation, Seen, hookimpl, transactions
from arthexis_ocpp16.asking import ACCEPTED

STOP_WITHIN_S = 300.0


def stopped(payload: Mapping[str, Any], event: Event) -> Seen | None:
    """The stop of that very transaction."""
    if event.data["transaction_id"] != payload["transactionId"]:
        return None
    return Seen(f"stopped: {event.data['reason']}")


def fill(db: Connection, asked: Asked) -> Mapping[str, Any]:
    """Refuse a transaction that belongs to another station; one that nobody knows may still be the station's."""
    number = asked.payload.get("transactionId")
    found = transactions.get(db, number) if isinstance(number, int) and 0 < number < 2**31 else None
    if found is not None and found["station"] != asked.station:
        raise DomainError(
            f"transaction {number} belongs to {found['station']}",
            place="RemoteStopTransaction transactionId",
            cure=f"Send it to {found['station']}",
        )
    return {}


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer RemoteStopTransaction; it never waits for a station."""
    yield Operation(
        "RemoteStopTransaction",
        "Ask the station to end a session",
        help={"transactionId": "The transaction's id"},
        queues=False,
        while_pending=False,
        fill=fill,
        follow_up=FollowUp(ACCEPTED, frozenset({"transaction.stopped"}), STOP_WITHIN_S, stopped, "no stop was seen"),
    )
