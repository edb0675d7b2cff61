"""DataTransfer to a station: any vendor's message, kept with its answer (OCPP 1.6 §5.6)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from arthexis import Connection, Ended, Operation, hookimpl
from arthexis_ocpp16.tables import DATA_TRANSFER


def kept(db: Connection, ended: Ended) -> None:
    """Keep what was said both ways; a failed one with how it ended."""
    answer = ended.answer
    db.run(
        DATA_TRANSFER,
        station_id=ended.station_id,
        outbound=True,
        vendor_id=ended.payload["vendorId"],
        message_id=ended.payload.get("messageId"),
        data=ended.payload.get("data"),
        status=ended.state,
        answer=answer.data if answer is not None and answer.data is not UNSET else None,
        received_at=ended.at,
    )


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer DataTransfer."""
    yield Operation(
        "DataTransfer",
        "Send a vendor's own message",
        help={"vendorId": "The vendor, in reversed DNS", "messageId": "Which message", "data": "Text, often JSON"},
        finished=kept,
    )
