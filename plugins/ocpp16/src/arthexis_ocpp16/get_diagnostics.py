"""GetDiagnostics: let a station upload its logs (OCPP 1.6 §5.9)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Operation, hookimpl
from arthexis_ocpp16.asking import progress, reachable, without_secrets
from arthexis_ocpp16.messages import GetDiagnostics

LAST = {"Uploaded": "uploaded", "UploadFailed": "the upload failed"}
UPLOAD_WITHIN_S = 3_600.0


def check(request: GetDiagnostics) -> None:
    """The station must be able to reach the location."""
    reachable(request.location, "GetDiagnostics")


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer GetDiagnostics; its notifications are followed."""
    yield Operation(
        "GetDiagnostics",
        "Let the station upload its diagnostics; an answer without fileName means that there are none",
        help={
            "location": "URL of the folder to upload to",
            "retries": "How often it tries",
            "retryInterval": "Seconds between tries",
            "startTime": "From when, UTC",
            "stopTime": "Until when, UTC",
        },
        check=check,
        shown=without_secrets,
        follow_up=progress("diagnostics.status", LAST, UPLOAD_WITHIN_S),
    )
