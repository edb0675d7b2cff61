"""Who consented to what, and until when: tables, and what is asked of them.

A device is kept as an HMAC of its MAC address under a key that lies beside the database: with the key, an operator can
look up a device that is in front of them; without it, and in a copy of the database, nobody can.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from arthexis import Connection, UtcDateTime

REVOKED: Final = "revoked"
LEFT: Final = "left"

metadata = sa.MetaData()
terms = sa.Table(
    "wifi_ap_terms",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
)
consent = sa.Table(
    "wifi_ap_consent",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("digest", sa.ForeignKey(terms.c.digest), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("ended_by", sa.Text),
)
_c = consent.c
MINUTE: Final = timedelta(minutes=1)


def is_barred(db: Connection, device: str, at: datetime) -> bool:
    """Whether an operator ended this device's access before its time, which is not over yet."""
    barred = sa.select(_c.id).where(_c.device == device, _c.ended_by == REVOKED, _c.until > at)
    return db.core.execute(barred.limit(1)).first() is not None


def lately(db: Connection, at: datetime) -> int:
    """How many devices consented within the last minute."""
    recent = sa.select(sa.func.count(_c.device.distinct())).where(_c.at > at - MINUTE)
    return int(db.core.execute(recent).scalar_one())


def lately_of(db: Connection, device: str, at: datetime) -> int:
    """How many consents of this one device came within the last minute."""
    recent = sa.select(sa.func.count()).where(_c.device == device, _c.at > at - MINUTE)
    return int(db.core.execute(recent).scalar_one())


def extend(db: Connection, device: str, digest: str, at: datetime, until: datetime) -> bool:
    """Let a consent to this text that still runs run until then; False where none runs."""
    running = sa.update(consent).where(_c.device == device, _c.digest == digest, _c.until > at, _c.ended_at.is_(None))
    return bool(db.core.execute(running.values(until=until)).rowcount)


def keep(db: Connection, device: str, shown: dict[str, str], at: datetime, until: datetime) -> int:
    """Keep a consent, and the text (``digest``, ``language``, ``text``) the first time somebody agrees to it."""
    known = sa.select(terms.c.digest).where(terms.c.digest == shown["digest"])
    if db.core.execute(known).first() is None:
        db.core.execute(sa.insert(terms).values(**shown, first_at=at))
    row = sa.insert(consent).values(device=device, digest=shown["digest"], at=at, until=until)
    return int(db.core.execute(row.returning(_c.id)).scalar_one())


def end(db: Connection, device: str, by: str, at: datetime) -> int:
    """Note that a device's access ended before its time; how many consents that was about.

    An operator's word stands above the guest's own: who has left is barred by ``REVOKED`` all the same.
    """
    open_to = sa.or_(_c.ended_at.is_(None), _c.ended_by == LEFT) if by == REVOKED else _c.ended_at.is_(None)
    running = sa.update(consent).where(_c.device == device, _c.until > at, open_to)
    return int(db.core.execute(running.values(ended_at=at, ended_by=by)).rowcount)


def latest(
    db: Connection, *, device: str | None = None, before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Consents, the latest first, each with the language and text that was agreed to."""
    wanted = sa.select(consent, terms.c.language, terms.c.text).join(terms, terms.c.digest == _c.digest)
    if device is not None:
        wanted = wanted.where(_c.device == device)
    if before is not None:
        wanted = wanted.where(_c.id < before)
    return [dict(row) for row in db.core.execute(wanted.order_by(_c.id.desc()).limit(limit)).mappings()]


def forget(db: Connection, before: datetime) -> int:
    """Delete consents whose time was over before then, and texts that nobody agreed to any more; how many consents."""
    gone = db.core.execute(sa.delete(consent).where(_c.until < before)).rowcount
    db.core.execute(sa.delete(terms).where(terms.c.digest.not_in(sa.select(_c.digest)), terms.c.first_at < before))
    return int(gone)
