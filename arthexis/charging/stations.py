"""Stations: adding, finding, boots, and the inbox of those that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging.decisions import RegistrationStatus
from arthexis.charging.ids import MAX_IDENTITY, folded
from arthexis.charging.keys import StoredKey, from_hex, store
from arthexis.charging.tables import refused_station, station, station_boot, station_key
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import DomainError, NotFound

MOST_REFUSED = 500
MOST_KEYS = 4
BOOT_FIELDS = (
    "vendor",
    "model",
    "serial_number",
    "charge_box_serial_number",
    "firmware_version",
    "iccid",
    "imsi",
    "meter_type",
    "meter_serial_number",
)

_at = station.c.added_at.type
FIND = Prepared(
    sa.select(
        station.c.id,
        station.c.identity,
        station.c.registration,
        station.c.mode,
        station.c.zone,
        station.c.key_salt,
        station.c.key_hash,
        station.c.plain,
        station.c.ping_interval_s,
        station.c.held,
    ).where(station.c.identity_key == bind("identity_key"))
)
ADD = Prepared(
    sa.insert(station)
    .values(
        identity=bind("identity"),
        identity_key=bind("identity_key"),
        added_at=bind("added_at"),
        registration=bind("registration"),
        key_salt=bind("key_salt"),
        key_hash=bind("key_hash"),
        plain=bind("plain"),
    )
    .returning(station.c.id)
)
SEEN = Prepared(sa.update(station).where(station.c.id == bind("row")).values(last_seen_at=bind("last_seen_at")))
BOOT = Prepared(
    sa.update(station)
    .where(station.c.id == bind("row"))
    .values(
        registration=bind("registration"),
        booted_at=bind("booted_at"),
        last_seen_at=bind("booted_at"),
        **{name: bind(name) for name in BOOT_FIELDS},
    )
)
BOOT_HISTORY = Prepared(
    sa.insert(station_boot).values(
        station_id=bind("station_id"), at=bind("at"), registration=bind("registration"), boot=bind("boot")
    )
)
REFUSE = Prepared(
    lambda insert: (
        insert(refused_station)
        .values(
            identity_key=bind("identity_key"),
            identity=bind("identity"),
            remote=bind("remote"),
            reason=bind("reason"),
            tries=1,
            first_at=bind("at", type_=_at),
            last_at=bind("at", type_=_at),
            boot=bind("boot"),
        )
        .on_conflict_do_update(
            index_elements=["identity_key"],
            set_={
                "remote": bind("remote"),
                "reason": bind("reason"),
                "tries": refused_station.c.tries + 1,
                "last_at": bind("at", type_=_at),
                "boot": sa.func.coalesce(bind("boot", type_=sa.Text), refused_station.c.boot),
            },
        )
    )
)
FORGET_OLDEST = Prepared(
    sa.delete(refused_station).where(
        refused_station.c.identity_key.in_(
            sa.select(refused_station.c.identity_key).order_by(refused_station.c.last_at.desc()).offset(MOST_REFUSED)
        )
    )
)
FORGET = Prepared(sa.delete(refused_station).where(refused_station.c.identity_key == bind("identity_key")))


class Found(NamedTuple):
    """A station's row as the gate needs it."""

    row: int
    identity: str
    registration: RegistrationStatus | None
    mode: str | None
    zone: str | None
    key: StoredKey | None
    plain: bool
    ping_interval_s: float | None = None
    held: RegistrationStatus | None = None


def find(db: Connection, identity: str) -> Found | None:
    """The station of this identity, whatever its case."""
    row = db.one(FIND, identity_key=folded(identity))
    if row is None:
        return None
    key = StoredKey(bytes(row[5]), bytes(row[6])) if row[5] is not None else None
    return Found(row[0], row[1], row[2], row[3], row[4], key, bool(row[7]), row[8], row[9])


def valid_identity(identity: str) -> bool:
    """Whether a text can be a station's identity: 1 to 48 printable ASCII characters, no slash, colon or outer space.

    Other alphabets hold characters that look alike, and bytes that every station would encode in its own way.
    """
    return (
        0 < len(identity) <= MAX_IDENTITY
        and identity.isascii()
        and identity.isprintable()
        and identity == identity.strip()
        and not any(c in identity for c in "/\\:")
        and identity not in {".", ".."}
    )


def add(
    db: Connection,
    identity: str,
    key: StoredKey | None,
    at: datetime,
    *,
    registration: RegistrationStatus | None = None,
) -> Found:
    """Add a station; without a key it connects plainly. Raises ``DomainError`` if it is there already."""
    if not valid_identity(identity):
        raise DomainError(
            f"{identity!r} cannot be a station's identity",
            place="station",
            cure=f"Use 1 to {MAX_IDENTITY} printable ASCII characters without / \\ or :",
        )
    if find(db, identity) is not None:
        raise DomainError(
            f"station {identity} is there already", place="station", cure=f"See `arthexis stations show {identity}`"
        )
    row = db.one(
        ADD,
        identity=identity,
        identity_key=folded(identity),
        added_at=at,
        registration=registration,
        key_salt=key.salt if key else None,
        key_hash=key.digest if key else None,
        plain=key is None,
    )
    forget_refused(db, identity)
    return Found(row[0] if row else 0, identity, registration, None, None, key, key is None)


def required(db: Connection, identity: str) -> Found:
    """The station of this identity, or ``NotFound`` with the cure."""
    found = find(db, identity)
    if found is None:
        raise NotFound(
            f"no station {identity}", place="station", cure=f"Add it with `arthexis stations add {identity}`"
        )
    return found


def was_refused(db: Connection, identity: str) -> bool:
    """Whether this identity stands in the inbox of refused stations."""
    wanted = sa.select(refused_station.c.identity).where(refused_station.c.identity_key == folded(identity))
    return db.core.execute(wanted).first() is not None


def has_booted(db: Connection, row: int) -> bool:
    """Whether a BootNotification of this station was ever stored."""
    return db.core.execute(sa.select(station.c.booted_at).where(station.c.id == row)).scalar() is not None


def seen(db: Connection, heard: list[tuple[int, datetime]]) -> None:
    """These stations were last heard at these times."""
    db.many(SEEN, [{"row": row, "last_seen_at": at} for row, at in heard])


def boot(
    db: Connection, row: int, identity: str, fields: Mapping[str, str | None], registration: str, at: datetime
) -> None:
    """Keep all nine fields of a boot, and their history (OCPP 1.6 §4.2)."""
    values = {name: fields.get(name) for name in BOOT_FIELDS}
    db.run(BOOT, row=row, registration=registration, booted_at=at, **values)
    text = msgspec.json.encode(fields).decode()
    db.run(BOOT_HISTORY, station_id=row, at=at, registration=registration, boot=text)
    db.event("station.booted", identity, {**values, "registration": registration})


def refuse(
    db: Connection,
    identity: str,
    remote: str,
    reason: str,
    at: datetime,
    fields: Mapping[str, str | None] | None = None,
) -> None:
    """Remember a station that was not let in; the inbox is bounded, the oldest entry goes first."""
    text = msgspec.json.encode(fields).decode() if fields is not None else None
    db.run(
        REFUSE,
        identity_key=folded(identity),
        identity=identity[:MAX_IDENTITY],
        remote=remote,
        reason=reason,
        at=at,
        boot=text,
    )
    db.run(FORGET_OLDEST)


def forget_refused(db: Connection, identity: str) -> None:
    """Take a station out of the inbox."""
    db.run(FORGET, identity_key=folded(identity))


def rows(db: Connection) -> list[dict[str, Any]]:
    """Every station as a plain record, without its key, by identity."""
    return [dict(row) for row in db.core.execute(_shown().order_by("identity")).mappings()]


def page(db: Connection, *, registration: str | None = None, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """Stations in the order in which they were added, behind number ``after``."""
    wanted = _shown().where(station.c.id > after)
    if registration is not None:
        wanted = wanted.where(station.c.registration == registration)
    return [dict(row) for row in db.core.execute(wanted.order_by(station.c.id).limit(limit)).mappings()]


def get(db: Connection, identity: str) -> dict[str, Any]:
    """One station as a plain record, without its key; raises ``NotFound``."""
    found = required(db, identity)
    return dict(db.core.execute(_shown().where(station.c.id == found.row)).mappings().one())


def _shown() -> sa.Select[Any]:
    hidden = {"key_salt", "key_hash", "identity_key"}
    columns = [c for c in station.c if c.name not in hidden]
    return sa.select(*columns, station.c.key_hash.is_not(None).label("has_key"))


def refused(db: Connection) -> list[dict[str, Any]]:
    """The inbox of refused stations, the latest first."""
    found = db.core.execute(sa.select(refused_station).order_by(refused_station.c.last_at.desc()))
    return [{**row, "boot": msgspec.json.decode(row["boot"]) if row["boot"] else None} for row in found.mappings()]


def set_key(db: Connection, row: int, key: StoredKey | None) -> None:
    """Give a station another key, or none; keys that were on their way to it count no more."""
    db.core.execute(sa.delete(station_key).where(station_key.c.station_id == row))
    values = {
        "key_salt": key.salt if key else None,
        "key_hash": key.digest if key else None,
        "plain": key is None,
    }
    db.core.execute(sa.update(station).where(station.c.id == row).values(**values))


def offer_key(db: Connection, row: int, digits: str, pepper: bytes, at: datetime) -> None:
    """Keep the hash of a key that is about to be sent to a station; it opens nothing before ``key_told``.

    ``digits`` are its hexadecimal digits. Raises ``DomainError`` for what is no key, and while another one is on its
    way, so that it is plain which one the station answers for.
    """
    secret = from_hex(digits)
    if secret is None:
        raise DomainError(
            "a station's key is written as 32 to 40 hexadecimal digits of 16 to 20 random bytes (security profile 1)",
            place="AuthorizationKey",
            cure="Let Arthexis make one and send it: arthexis stations key <station> --push",
        )
    key = store(secret, pepper)
    mine = sa.select(station_key.c.id, station_key.c.told).where(station_key.c.station_id == row)
    found = db.core.execute(mine.order_by(station_key.c.id)).all()
    if any(not other.told for other in found):
        raise DomainError(
            "another key is on its way to this station", place="station key", cure="Wait for the end of that operation"
        )
    if len(found) >= MOST_KEYS:
        db.core.execute(sa.delete(station_key).where(station_key.c.id == found[0].id))
    values = {"key_salt": key.salt, "key_hash": key.digest, "told": False, "added_at": at}
    db.core.execute(sa.insert(station_key).values(station_id=row, **values))


def key_told(db: Connection, row: int) -> None:
    """The station took the key that was on its way, or may have: from now on it opens the gate beside the old one."""
    mine = sa.update(station_key).where(station_key.c.station_id == row, station_key.c.told.is_(False))
    db.core.execute(mine.values(told=True))


def key_refused(db: Connection, row: int) -> None:
    """The station did not take the key that was on its way: it is forgotten, and what opened the gate still does."""
    db.core.execute(sa.delete(station_key).where(station_key.c.station_id == row, station_key.c.told.is_(False)))


def told_keys(db: Connection, row: int) -> list[StoredKey]:
    """The keys that a station was given over its socket and has not come with yet."""
    mine = sa.select(station_key.c.key_salt, station_key.c.key_hash)
    rows = db.core.execute(mine.where(station_key.c.station_id == row, station_key.c.told.is_(True)))
    return [StoredKey(bytes(salt), bytes(digest)) for salt, digest in rows]


def set_mode(db: Connection, row: int, mode: str | None) -> None:
    """Make a station strict or repaired; None follows the node."""
    db.core.execute(sa.update(station).where(station.c.id == row).values(mode=mode))


def set_zone(db: Connection, row: int, zone: str | None) -> None:
    """Set the zone of a station's timestamps that name none."""
    db.core.execute(sa.update(station).where(station.c.id == row).values(zone=zone))


def set_ping(db: Connection, row: int, seconds: float | None) -> None:
    """Set after how many seconds of silence a station is pinged, 0 for never; None follows the node."""
    db.core.execute(sa.update(station).where(station.c.id == row).values(ping_interval_s=seconds))


def register(db: Connection, row: int, registration: RegistrationStatus) -> None:
    """Accept, hold or reject a station by the operator's word, which its boots are answered from now on."""
    held = None if registration == "Accepted" else registration
    changed = sa.update(station).where(station.c.id == row).values(registration=registration, held=held)
    db.core.execute(changed)
