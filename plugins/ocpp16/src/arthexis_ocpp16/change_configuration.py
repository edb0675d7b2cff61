"""ChangeConfiguration: set a station's key (OCPP 1.6 §5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from arthexis import Asked, Connection, DomainError, Ended, Operation, hookimpl, stations
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.configuration import MASK
from arthexis_ocpp16.messages import ChangeConfiguration

REFUSALS: Final = frozenset({"Rejected", "NotSupported"})


def check(request: ChangeConfiguration) -> None:
    """A key has a name."""
    if not request.key.strip():
        raise DomainError("the key has no name", place="ChangeConfiguration key", cure="Name one")


def fill(db: Connection, asked: Asked) -> Mapping[str, Any]:
    """A new AuthorizationKey is known to the gate before its frame leaves, by nothing but its hash."""
    key, value = asked.payload.get("key"), asked.payload.get("value")
    if isinstance(key, str) and isinstance(value, str) and configuration.is_secret(key):
        stations.offer_key(db, asked.station_id, value, asked.host.pepper, asked.host.clock.now())
    return {}


def key_payload(digits: str) -> Mapping[str, Any]:
    """The request that gives a station a key (security whitepaper, profile 1)."""
    return {"key": "AuthorizationKey", "value": digits}


def shown(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """A secret is never kept."""
    return {**payload, "value": MASK} if configuration.is_secret(payload["key"]) else payload


def finished(db: Connection, ended: Ended) -> None:
    """Only a value that the station took counts; a key also where nobody knows whether it took it."""
    if configuration.is_secret(ended.payload["key"]):
        took = ended.left and ended.state not in REFUSALS
        (stations.key_told if took else stations.key_refused)(db, ended.station_id)
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
        fill=fill,
        shown=shown,
        key_payload=key_payload,
        finished=finished,
    )
