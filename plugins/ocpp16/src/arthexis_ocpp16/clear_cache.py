"""ClearCache: let a station forget which tags it has seen (OCPP 1.6 §5.4)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Operation, hookimpl


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer ClearCache."""
    yield Operation("ClearCache", "Empty the station's authorization cache", resend=True)
