"""ChangeConfiguration: set a station's key (OCPP 1.6 §5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arthexis import Connection, DomainError, Ended, Operation, hookimpl
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.configuration import MASK, SECRET
from arthexis_ocpp16.messages import ChangeConfiguration


def check(request: ChangeConfiguration) -> None:
    """A key has a name."""
    if not request.key.strip():
        raise DomainError("the key has no name", place="ChangeConfiguration key", cure="Name one")


def shown(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """A secret is never kept."""
    return {**payload, "value": MASK} if payload["key"].casefold() in SECRET else payload


def finished(db: Connection, ended: Ended) -> None:
    """Only a value that the station took counts."""
    if ended.state in {"Accepted", "RebootRequired"}:
        name, value = ended.payload["key"], ended.payload["value"]
        reboot = ended.state == "RebootRequired"
        configuration.applied(db, ended.station_id, name, value, ended.at, reboot=reboot)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer ChangeConfiguration."""
    yield Operation(
        "ChangeConfiguration",
        "Set a configuration key",
        help={"key": "The key's name", "value": "Its value, as text"},
        check=check,
        shown=shown,
        finished=finished,
    )
