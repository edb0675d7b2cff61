"""API tokens: shown once, stored as a hash, with an access level and an end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging.tables import api_token
from arthexis.contributions import ACCESS
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import DomainError, NotFound

PREFIX = "arx_"

FIND = Prepared(
    sa.select(api_token.c.name, api_token.c.access, api_token.c.expires_at).where(
        api_token.c.token_hash == bind("token_hash")
    )
)


def add(db: Connection, name: str, access: str, at: datetime, expires_at: datetime | None) -> str:
    """Make a token; the returned text is the only time it is seen. Raises ``DomainError``."""
    if access not in ACCESS:
        raise DomainError(f"no access level {access!r}", place="token", cure=f"Use one of {', '.join(ACCESS)}")
    if db.core.execute(sa.select(api_token.c.id).where(api_token.c.name == name)).first() is not None:
        raise DomainError(f"token {name} is there already", place="token", cure=f"arthexis tokens revoke {name}")
    token = PREFIX + secrets.token_urlsafe(32)
    db.core.execute(
        sa.insert(api_token).values(
            name=name, token_hash=_digest(token), access=access, created_at=at, expires_at=expires_at
        )
    )
    return token


class Grant(NamedTuple):
    """What a token allows, and what it is called."""

    access: str
    name: str


def check(db: Connection, token: str, at: datetime) -> Grant | None:
    """What a token grants, or None if it is unknown or over."""
    row = db.one(FIND, token_hash=_digest(token))
    if row is None or (row[2] is not None and row[2] <= at):
        return None
    return Grant(row[1], row[0])


def revoke(db: Connection, name: str) -> None:
    """End a token; raises ``NotFound``."""
    if db.core.execute(sa.delete(api_token).where(api_token.c.name == name)).rowcount == 0:
        raise NotFound(f"no token {name}", place="token", cure="See `arthexis tokens list`")


def rows(db: Connection, at: datetime, *, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
    """Every token behind number ``after``, without its secret; ``expired`` says whether it is over at ``at``."""
    columns = (api_token.c.id, api_token.c.name, api_token.c.access, api_token.c.created_at, api_token.c.expires_at)
    wanted = sa.select(*columns).where(api_token.c.id > after).order_by(api_token.c.id).limit(limit)
    found = [dict(row) for row in db.core.execute(wanted).mappings()]
    return [{**row, "expired": row["expires_at"] is not None and row["expires_at"] <= at} for row in found]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
