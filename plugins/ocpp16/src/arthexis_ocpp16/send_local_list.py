"""SendLocalList: tell a station whom it may serve by itself (OCPP 1.6 §5.15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from arthexis import Asked, Connection, DomainError, Ended, Operation, hookimpl
from arthexis_ocpp16 import local_list
from arthexis_ocpp16.messages import SendLocalList


def fill(db: Connection, asked: Asked) -> Mapping[str, Any]:
    """The next version; all tags that may charge in a Full list, what has changed in a Differential one."""
    found: dict[str, Any] = {}
    payload = asked.payload
    if "listVersion" not in payload:
        found["listVersion"] = local_list.next_version(db, asked.station_id)
    kind = payload.get("updateType", "Full")
    found["updateType"] = kind
    if "localAuthorizationList" not in payload:
        then = local_list.wanted(db, asked.host.clock.now())
        now = local_list.entries(db, asked.station_id) if kind == "Differential" else {}
        found["localAuthorizationList"] = local_list.difference(now, then)
    return found


def check(request: SendLocalList) -> None:
    """A version is above 0, and each entry of a Full list says what its tag may do."""
    if request.list_version <= 0:
        raise DomainError(
            "a list version is above 0 (errata 3.52)", place="SendLocalList listVersion", cure="Leave listVersion out"
        )
    entries = () if request.local_authorization_list is UNSET else request.local_authorization_list
    if request.update_type == "Full" and any(entry.id_tag_info is UNSET for entry in entries):
        raise DomainError(
            "an entry of a Full list has no idTagInfo",
            place="SendLocalList localAuthorizationList",
            cure="Add its status",
        )
    if len({entry.id_tag.casefold() for entry in entries}) < len(entries):
        raise DomainError(
            "a tag is in the list twice", place="SendLocalList localAuthorizationList", cure="Remove one of them"
        )


def finished(db: Connection, ended: Ended) -> None:
    """The version is raised only by Accepted."""
    if ended.state == "Accepted":
        local_list.accepted(db, ended.station_id, ended.payload, ended.at)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer SendLocalList."""
    yield Operation(
        "SendLocalList",
        "Tell the station whom it may serve while it is offline",
        help={
            "listVersion": "Above every version before; chosen by us if left out",
            "updateType": "Full (if left out) or Differential",
            "localAuthorizationList": "Entries; all tags that may charge, or what has changed, if left out",
        },
        filled=frozenset({"listVersion", "updateType"}),
        fill=fill,
        check=check,
        finished=finished,
    )
