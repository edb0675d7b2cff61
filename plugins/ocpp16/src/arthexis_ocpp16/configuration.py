"""Configuration of stations: what their keys were last seen to be, what they should be, and the difference.

A key is compared without case. A value counts only once the station has told it or has accepted it. What a station
should hold comes from the template that it follows and, above it, from what was wished for it alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from arthexis import Connection, DomainError, NotFound, Prepared
from arthexis_ocpp16.tables import configuration, configuration_change, desired_value, follows, template

SECRET: Final = frozenset({"authorizationkey"})
MASK: Final = "***"

_c = configuration.c
BOOTED = Prepared(
    sa.update(configuration)
    .where(_c.station_id == sa.bindparam("station_id"), _c.reboot_required.is_(True))
    .values(reboot_required=False)
)


@dataclass(frozen=True, slots=True)
class Key:
    """A configuration key as a station told it; ``value`` None: it has none, or does not show it."""

    name: str
    value: str | None
    readonly: bool


def is_secret(name: str) -> bool:
    """Whether a key's value must never be kept."""
    return name.strip().casefold() in SECRET


def without_secrets(raw: bytes) -> bytes:
    """An answer to GetConfiguration, or its frame, as it may be kept: some stations tell what they must not."""
    if not any(name.encode() in raw.lower() for name in SECRET):
        return raw
    try:
        return msgspec.json.encode(_masked(msgspec.json.decode(raw)))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return msgspec.json.encode(MASK)


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(part) for part in value]
    if not isinstance(value, dict):
        return value
    folded = {name.casefold(): text for name, text in value.items()}
    secret = isinstance(folded.get("key"), str) and is_secret(folded["key"])
    return {
        name: MASK if secret and name.casefold() == "value" and part else _masked(part) for name, part in value.items()
    }


def read(db: Connection, station_id: int, keys: Iterable[Key], unknown: Iterable[str], at: datetime) -> None:
    """A station told these keys, and does not know those."""
    for key in keys:
        shown = MASK if key.value and is_secret(key.name) else key.value
        _keep(db, station_id, key.name, shown, "read", at, readonly=key.readonly, known=True)
    for name in unknown:
        _keep(db, station_id, name, None, "read", at, readonly=None, known=False)


def applied(db: Connection, station_id: int, name: str, value: str, at: datetime, *, reboot: bool) -> None:
    """A station accepted a value; ``reboot``: it holds only after its next boot."""
    shown = MASK if is_secret(name) else value
    _keep(db, station_id, name, shown, "set", at, readonly=False, known=True, reboot=reboot)


def booted(db: Connection, station_id: int) -> None:
    """A station booted: what waited for that holds now."""
    db.run(BOOTED, station_id=station_id)


def _keep(
    db: Connection,
    station_id: int,
    name: str,
    value: str | None,
    source: str,
    at: datetime,
    *,
    readonly: bool | None,
    known: bool,
    reboot: bool = False,
) -> None:
    row = db.core.execute(
        sa.select(_c.value, _c.known, _c.reboot_required).where(
            _c.station_id == station_id, _c.key_folded == name.casefold()
        )
    ).first()
    values = {"key": name, "value": value, "readonly": readonly, "known": known, "seen_at": at}
    if row is None or source == "set":
        values["reboot_required"] = reboot
    elif row.reboot_required:
        values["value"] = value = row.value  # what it accepted holds after its next boot, whatever it tells until then
    if row is None:
        db.core.execute(sa.insert(configuration).values(station_id=station_id, key_folded=name.casefold(), **values))
    else:
        own = sa.update(configuration).where(_c.station_id == station_id, _c.key_folded == name.casefold())
        db.core.execute(own.values(**values))
    if row is None or row.value != value or row.known != known:
        db.core.execute(
            sa.insert(configuration_change).values(
                station_id=station_id, key=name, before=row.value if row else None, value=value, source=source, at=at
            )
        )


def keys(db: Connection, station_id: int) -> list[dict[str, Any]]:
    """Every key of a station that we know of."""
    columns = (_c.key, _c.value, _c.readonly, _c.known, _c.reboot_required, _c.seen_at)
    found = db.core.execute(sa.select(*columns).where(_c.station_id == station_id).order_by(_c.key_folded))
    return [dict(row) for row in found.mappings()]


def value(db: Connection, station_id: int, name: str) -> str | None:
    """A key's value as last seen; None where it was never seen or has none."""
    wanted = sa.select(_c.value).where(_c.station_id == station_id, _c.key_folded == name.casefold())
    found: str | None = db.core.execute(wanted).scalar()
    return found


def history(db: Connection, station_id: int, name: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """How a station's keys changed, the latest first."""
    wanted = sa.select(configuration_change).where(configuration_change.c.station_id == station_id)
    if name is not None:
        wanted = wanted.where(sa.func.lower(configuration_change.c.key) == name.lower())
    found = db.core.execute(wanted.order_by(configuration_change.c.id.desc()).limit(limit)).mappings()
    return [{k: v for k, v in row.items() if k not in {"id", "station_id"}} for row in found]


# ---------------------------------------------------------------------- what should be


def desire(
    db: Connection, name: str, wished: str | None, *, station_id: int | None = None, of: str | None = None
) -> None:
    """Wish a value for a station, or for all that follow a template; None takes the wish back."""
    if is_secret(name):
        raise DomainError(f"{name} is a secret and is not kept", place="configuration", cure="Send ChangeConfiguration")
    owner = {"station_id": station_id, "template_id": _template(db, of, make=True) if of is not None else None}
    same = [desired_value.c[column].is_not_distinct_from(number) for column, number in owner.items()]
    db.core.execute(sa.delete(desired_value).where(*same, desired_value.c.key_folded == name.casefold()))
    if wished is not None:
        db.core.execute(sa.insert(desired_value).values(**owner, key=name, key_folded=name.casefold(), value=wished))


def follow(db: Connection, station_id: int, of: str | None) -> None:
    """Let a station follow a template, or none."""
    db.core.execute(sa.delete(follows).where(follows.c.station_id == station_id))
    if of is not None:
        db.core.execute(sa.insert(follows).values(station_id=station_id, template_id=_template(db, of)))


def followed(db: Connection, station_id: int) -> str | None:
    """The template that a station follows, or None."""
    wanted = sa.select(template.c.name).join(follows, follows.c.template_id == template.c.id)
    found: str | None = db.core.execute(wanted.where(follows.c.station_id == station_id)).scalar()
    return found


def desired(db: Connection, station_id: int) -> dict[str, str]:
    """What a station's keys should be, by name: its template's wishes, and above them its own."""
    of_template = sa.select(follows.c.template_id).where(follows.c.station_id == station_id).scalar_subquery()
    both = sa.or_(desired_value.c.station_id == station_id, desired_value.c.template_id == of_template)
    rows = db.core.execute(sa.select(desired_value).where(both)).mappings().all()
    ordered = sorted(rows, key=lambda row: row["station_id"] is not None)
    merged = {row["key_folded"]: (row["key"], row["value"]) for row in ordered}
    return dict(merged.values())


def drift(db: Connection, station_id: int) -> list[dict[str, Any]]:
    """The keys of a station that are not what they should be, and why each cannot simply be set."""
    known = {row["key"].casefold(): row for row in keys(db, station_id)}
    report = []
    for name, wished in sorted(desired(db, station_id).items()):
        row = known.get(name.casefold())
        if row is None or row["value"] != wished or row["reboot_required"]:
            report.append(
                {"key": name, "desired": wished, "value": row["value"] if row else None, "state": _state(row, wished)}
            )
    return report


def _state(row: Mapping[str, Any] | None, wished: str) -> str:
    if row is None:
        return "never seen"
    if not row["known"]:
        return "unknown to the station"
    if row["value"] == wished:
        return "waits for a reboot"
    return "read-only" if row["readonly"] else "differs"


def templates(db: Connection) -> list[dict[str, Any]]:
    """Every template with its wishes and how many stations follow it."""
    found = []
    for row in db.core.execute(sa.select(template).order_by(template.c.name)).mappings():
        wishes = sa.select(desired_value.c.key, desired_value.c.value).where(desired_value.c.template_id == row["id"])
        many = sa.select(sa.func.count()).select_from(follows).where(follows.c.template_id == row["id"])
        values = {wish.key: wish.value for wish in db.core.execute(wishes)}
        found.append({"name": row["name"], "values": values, "stations": db.core.execute(many).scalar_one()})
    return found


def make_template(db: Connection, name: str) -> None:
    """Have a template of this name, empty if it is new."""
    _template(db, name, make=True)


def remove_template(db: Connection, name: str) -> None:
    """Forget a template and who follows it; raises ``NotFound``."""
    number = _template(db, name)
    for table, column in ((desired_value, desired_value.c.template_id), (follows, follows.c.template_id)):
        db.core.execute(sa.delete(table).where(column == number))
    db.core.execute(sa.delete(template).where(template.c.id == number))


def _template(db: Connection, name: str, *, make: bool = False) -> int:
    number = db.core.execute(sa.select(template.c.id).where(template.c.name == name)).scalar()
    if number is not None:
        return int(number)
    if not make:
        raise NotFound(f"no template {name}", place="configuration", cure="Wish a value for it first")
    return int(db.core.execute(sa.insert(template).values(name=name).returning(template.c.id)).scalar_one())
