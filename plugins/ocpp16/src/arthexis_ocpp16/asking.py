"""What several operations of this package need: limits that the schemas do not say, and follow-ups they share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from arthexis import DomainError, Event, FollowUp, Host, Seen, Wish

ACCEPTED: Final = frozenset({"Accepted"})
MASK: Final = "***"
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*:)[^@/\s]+@")
_SECRET_SEGMENT = re.compile(r"(?<=/)[A-Za-z0-9_-]{32,}(?=/)")
SCHEMES: Final = frozenset({"http", "https", "ftp", "ftps", "sftp"})


def above_zero(connector: int, action: str) -> None:
    """Refuse connector 0 where the operation is about one real connector; raises ``DomainError``."""
    if connector <= 0:
        raise DomainError(
            f"connector {connector} is no connector of its own", place=f"{action} connectorId", cure="Use 1 or higher"
        )


def not_negative(connector: int, action: str) -> None:
    """Refuse connectors below 0, which is the station itself; raises ``DomainError``."""
    if connector < 0:
        raise DomainError(f"there is no connector {connector}", place=f"{action} connectorId", cure="Use 0 or higher")


def reachable(location: str, action: str) -> None:
    """Refuse locations that no station can use; raises ``DomainError``."""
    parts = urlsplit(location)
    if parts.scheme.lower() not in SCHEMES or not parts.hostname:
        raise DomainError(
            f"{location[:80]!r} is no URL that a station can reach",
            place=f"{action} location",
            cure=f"Use one of {', '.join(sorted(SCHEMES))}",
        )


async def answer_of(
    host: Host, station: str, action: str, payload: Mapping[str, Any], requested_by: str
) -> dict[str, Any]:
    """The record of an operation that has ended; raises ``DomainError`` where it can never be sent."""
    uid = await host.operations.send(station, action, payload, Wish(requested_by=requested_by))
    while True:
        record = await host.operations.wait(uid, 600.0)
        if record["final"]:
            return record


def without_secrets(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request with its location as it may be kept: without a password, and without what opens it in its path."""
    location = str(payload.get("location", ""))
    shown = _SECRET_SEGMENT.sub(MASK, _PASSWORD.sub(rf"\1{MASK}@", location))
    return payload if shown == location else {**payload, "location": shown}


def progress(kind: str, last: Mapping[str, str], within_s: float) -> FollowUp:
    """Await the station's notifications of ``kind``; ``last`` are the statuses after which no other comes."""

    def fits(_payload: Mapping[str, Any], event: Event) -> Seen | None:
        status = event.data["status"]
        return None if status == "Idle" else Seen(last.get(status, status), done=status in last)

    return FollowUp(frozenset({"answered"}), frozenset({kind}), within_s, fits, "nothing more was heard")
