"""CancelReservation: free a connector that was kept for a tag (OCPP 1.6 §5.1)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Connection, Ended, Operation, hookimpl, reservations

UNKNOWN_THERE = "the station did not know it"


def finished(db: Connection, ended: Ended) -> None:
    """Accepted, or unknown to the station: it keeps nothing any more, and neither do we."""
    if ended.state in {"Accepted", "Rejected"}:
        said = UNKNOWN_THERE if ended.state == "Rejected" else None
        reservations.cancelled(db, ended.payload["reservationId"], ended.at, said)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer CancelReservation."""
    yield Operation(
        "CancelReservation",
        "Give a reservation up",
        help={"reservationId": "The reservation's id"},
        resend=True,
        finished=finished,
    )
