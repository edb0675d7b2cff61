"""UnlockConnector: free a cable (OCPP 1.6 §5.18)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Operation, hookimpl
from arthexis_ocpp16.asking import above_zero
from arthexis_ocpp16.messages import UnlockConnector


def check(request: UnlockConnector) -> None:
    """Only a real connector has a lock."""
    above_zero(request.connector_id, "UnlockConnector")


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer UnlockConnector; a session on the connector ends by it, so that it never waits for a station."""
    yield Operation(
        "UnlockConnector",
        "Unlock a connector; a session on it ends",
        help={"connectorId": "Connector, 1 or higher"},
        queues=False,
        check=check,
    )
