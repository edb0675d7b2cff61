"""The local authorization list: what each station should hold (OCPP 1.6 §3.5).

OCPP 1.6 cannot read entries back, so that this is what we sent and the station accepted, and its version is what it
last said. A version never is 0 or -1 (errata 3.52): 0 is an empty list, -1 a station without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from arthexis import Connection, format_utc, tags
from arthexis_ocpp16.tables import local_entry, local_list

NOT_SUPPORTED: Final = -1
EMPTY: Final = 0
LAST_VERSION: Final = 2**31 - 1
Info = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """What a station is thought to hold: the version that it accepted last, and the one that it told us last."""

    version: int
    told_version: int | None
    synced: str | None = None
    said: str | None = None
    synced_at: datetime | None = None

    @property
    def known(self) -> bool:
        """Whether it said that it holds the list that it accepted last, so that a difference can be sent to it."""
        return self.version > EMPTY and self.told_version == self.version


def held(db: Connection, station_id: int) -> Held:
    """What a station holds as far as we know; version 0 where it never accepted a list."""
    c = local_list.c
    mine = sa.select(c.version, c.told_version, c.synced, c.said, c.synced_at).where(c.station_id == station_id)
    row = db.core.execute(mine).first()
    return Held(*row) if row is not None else Held(EMPTY, None)


def next_version(db: Connection, station_id: int) -> int:
    """A version above all that the station has ever accepted or told; 1 where there is none above."""
    now = held(db, station_id)
    above = max(now.version, now.told_version or 0, 0) + 1
    return above if above <= LAST_VERSION else 1


def wanted(db: Connection, at: datetime) -> dict[str, Info]:
    """What every station should hold: each tag that may charge, with its expiry and parent."""
    found: dict[str, Info] = {}
    for row in tags.rows(db):
        if row["status"] == "Accepted" and (row["expires_at"] is None or row["expires_at"] > at):
            expiry = {"expiryDate": format_utc(row["expires_at"])} if row["expires_at"] else {}
            parent = {"parentIdTag": row["parent_id_tag"]} if row["parent_id_tag"] else {}
            found[row["id_tag"]] = {**expiry, **parent, "status": "Accepted"}
    return found


def entries(db: Connection, station_id: int) -> dict[str, Info]:
    """What the station should hold by now, by id tag."""
    rows = db.core.execute(
        sa.select(local_entry.c.id_tag, local_entry.c.info).where(local_entry.c.station_id == station_id)
    )
    return {row.id_tag: msgspec.json.decode(row.info) for row in rows}


def difference(now: Mapping[str, Info], then: Mapping[str, Info]) -> list[dict[str, Any]]:
    """The entries of a Differential list that makes ``then`` of ``now``; one without idTagInfo is deleted."""
    changed = [{"idTag": tag, "idTagInfo": info} for tag, info in then.items() if now.get(tag) != info]
    stays = {tag.casefold() for tag in then}
    return [*changed, *({"idTag": tag} for tag in now if tag.casefold() not in stays)]


def accepted(db: Connection, station_id: int, request: Mapping[str, Any], at: datetime) -> None:
    """A station accepted a list: only now its version and entries count."""
    if request["updateType"] == "Full":
        db.core.execute(sa.delete(local_entry).where(local_entry.c.station_id == station_id))
    for entry in request.get("localAuthorizationList", ()):
        same = sa.func.lower(local_entry.c.id_tag) == entry["idTag"].lower()
        own = (local_entry.c.station_id == station_id, same)
        db.core.execute(sa.delete(local_entry).where(*own))
        if "idTagInfo" in entry:
            info = msgspec.json.encode(entry["idTagInfo"]).decode()
            db.core.execute(sa.insert(local_entry).values(station_id=station_id, id_tag=entry["idTag"], info=info))
    _keep(db, station_id, {"version": request["listVersion"], "told_version": request["listVersion"], "changed_at": at})


def told(db: Connection, station_id: int, version: int, at: datetime) -> None:
    """A station said which version it holds."""
    _keep(db, station_id, {"told_version": version, "changed_at": at})


def synced(db: Connection, station_id: int, state: str, said: str | None, at: datetime) -> None:
    """How a synchronisation ended."""
    _keep(db, station_id, {"synced": state, "said": said, "synced_at": at, "changed_at": at})


def _keep(db: Connection, station_id: int, values: dict[str, Any]) -> None:
    if (
        db.core.execute(sa.update(local_list).where(local_list.c.station_id == station_id).values(**values)).rowcount
        == 0
    ):
        db.core.execute(sa.insert(local_list).values(station_id=station_id, **{"version": EMPTY, **values}))
