"""Reset: restart a station (OCPP 1.6 §5.14)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arthexis import Event, FollowUp, Operation, Seen, hookimpl

BOOT_WITHIN_S = 600.0


def booted(_payload: Mapping[str, Any], _event: Event) -> Seen:
    """The station came back and booted, which ends every Reset before it."""
    return Seen("booted again", shared=True)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer Reset; after Accepted a boot is awaited."""
    yield Operation(
        "Reset",
        "Restart the station: Soft ends its sessions properly first, Hard may lose what it has queued",
        help={"type": "Soft or Hard"},
        dangerous=True,
        follow_up=FollowUp(
            frozenset({"Accepted"}), frozenset({"station.booted"}), BOOT_WITHIN_S, booted, "did not boot in ten minutes"
        ),
    )
