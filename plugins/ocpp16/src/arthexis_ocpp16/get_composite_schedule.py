"""GetCompositeSchedule: what a station says that it will allow, beside what we computed (OCPP 1.6 §5.7)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from arthexis import Connection, DomainError, Ended, Operation, hookimpl
from arthexis_ocpp16.asking import not_negative
from arthexis_ocpp16.messages import GetCompositeSchedule
from arthexis_ocpp16.tables import composite_schedule


def check(request: GetCompositeSchedule) -> None:
    """A duration is a positive number of seconds."""
    not_negative(request.connector_id, "GetCompositeSchedule")
    if request.duration <= 0:
        raise DomainError("duration is not positive", place="GetCompositeSchedule duration", cure="Use seconds above 0")


def finished(db: Connection, ended: Ended) -> None:
    """Keep the answer."""
    if ended.answer is not None:
        answer = msgspec.json.encode(ended.answer).decode()
        values = {"connector": ended.payload["connectorId"], "answer": answer, "received_at": ended.at}
        db.core.execute(sa.insert(composite_schedule).values(station_id=ended.station_id, **values))


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer GetCompositeSchedule."""
    yield Operation(
        "GetCompositeSchedule",
        "Ask what the station will allow for a while",
        help={
            "connectorId": "Connector; 0 is the whole station",
            "duration": "Seconds",
            "chargingRateUnit": "A per phase, or W in all",
        },
        resend=True,
        check=check,
        finished=finished,
    )
