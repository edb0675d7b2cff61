"""UpdateFirmware: let a station fetch and install firmware (OCPP 1.6 §5.19)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arthexis import Asked, Connection, Operation, format_utc, hookimpl
from arthexis_ocpp16.asking import progress, reachable, without_secrets
from arthexis_ocpp16.messages import UpdateFirmware

LAST = {
    "Installed": "installed",
    "DownloadFailed": "the download failed",
    "InstallationFailed": "the installation failed",
}
INSTALL_WITHIN_S = 86_400.0


def fill(_db: Connection, asked: Asked) -> Mapping[str, Any]:
    """Without a date the station may fetch the file at once."""
    if "retrieveDate" in asked.payload:
        return {}
    return {"retrieveDate": format_utc(asked.host.clock.now())}


def check(request: UpdateFirmware) -> None:
    """The station must be able to reach the location."""
    reachable(request.location, "UpdateFirmware")


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer UpdateFirmware; its notifications are followed to the end."""
    yield Operation(
        "UpdateFirmware",
        "Let the station fetch and install firmware",
        help={
            "location": "URL of the file",
            "retrieveDate": "Not before then, UTC; now, if left out",
            "retries": "How often it tries",
            "retryInterval": "Seconds between tries",
        },
        filled=frozenset({"retrieveDate"}),
        dangerous=True,
        fill=fill,
        check=check,
        shown=without_secrets,
        follow_up=progress("firmware.status", LAST, INSTALL_WITHIN_S),
    )
