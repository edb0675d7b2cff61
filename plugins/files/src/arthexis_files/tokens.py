"""Tokens: one for each station of a deployment and for one purpose, random, kept as a hash, with an end.

A whole transfer uses a token once, in however many pieces it comes: what counts is how far it has come without a gap.
That all bytes have left does not mean that all arrived, so that a transfer may still go on where it broke off (never
from its beginning, and never for as many bytes again as the file has), until the station says that it has the file.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from arthexis import Connection, DomainError, NotFound, station_table
from arthexis_files.tables import deployment, file, target, token

TOKEN_BYTES: Final = 24
LEAST_REQUESTS: Final = 1_000
BYTES_A_REQUEST: Final = 4_096
TIMES: Final = 4
"""So many times its size may be sent in one use before a token is spent though no transfer was ever whole."""


class Spent(DomainError):
    """The token was good, and allows nothing more."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: ``file`` (uid, name, size, sha256, added_at) to be fetched, or None: one may be brought.

    ``spent``: all of the file has left as often as it may; only a transfer that broke off may go on where it was.
    ``sent``: bytes that have left since, or since the current use began.
    """

    token: int
    target: int
    station: str
    login: str
    upload: bool
    file: dict[str, Any] | None
    spent: bool
    sent: int

    def check(self, start: int, end: int | None = None) -> None:
        """Raise ``Spent`` where a transfer must not go from this byte to before that one (None: the file's end)."""
        size = self.file["size"] if self.file is not None else 0
        again = self.sent + (size if end is None else end) - start
        if self.spent and (start == 0 or again >= size):
            raise Spent("this location is over", place="files", cure="Ask for a new location")


def digest(text: str) -> bytes:
    """A token as it is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def fresh() -> str:
    """A new token's text, seen only once: 192 random bits in letters that every URL and every FTP client takes."""
    return secrets.token_hex(TOKEN_BYTES)


def add(
    db: Connection, text: str, of_target: int, login: str, *, upload: bool, uses: int, expires_at: datetime
) -> None:
    """Let a station's token in; those that were made before for the same station of the deployment end."""
    db.core.execute(sa.delete(token).where(token.c.target_id == of_target))
    values = {"token_hash": digest(text), "target_id": of_target, "upload": upload, "login": login, "left": uses}
    db.core.execute(sa.insert(token).values(**values, requests=0, sent=0, reached=0, expires_at=expires_at))


def known(db: Connection, text: str) -> None:
    """Raise ``NotFound`` for a token that is none."""
    if db.core.execute(sa.select(token.c.id).where(token.c.token_hash == digest(text))).first() is None:
        raise NotFound("nothing is here", place="files", cure="Ask for a new location")


def look(db: Connection, text: str, at: datetime, *, upload: bool | None = None, login: str | None = None) -> Grant:
    """What a token grants. ``upload`` None: whatever it is for; ``login`` is who uses it says to be, if that is said.

    Raises ``NotFound`` for a token that is none (or another one's, or for another purpose), ``Spent`` when it is over.
    """
    row = db.core.execute(_granted().where(token.c.token_hash == digest(text))).mappings().first()
    stranger = (
        login is not None
        and row is not None
        and login.casefold() not in {row["login"].casefold(), row["identity"].casefold()}
    )
    other = row is not None and upload is not None and row["upload"] != upload
    if row is None or other or stranger or (not row["upload"] and row["file_uid"] is None):
        raise NotFound("nothing is here", place="files", cure="Ask for a new location")
    spent = row["left"] < 1
    if (spent and row["upload"]) or row["expires_at"] <= at or _worn(row):
        raise Spent("this location is over", place="files", cure="Ask for a new location")
    names = ("uid", "name", "size", "sha256", "added_at")
    found = None if row["upload"] else {name: row[f"file_{name}"] for name in names}
    return Grant(row["id"], row["target_id"], row["identity"], row["login"], row["upload"], found, spent, row["sent"])


def admit(db: Connection, text: str, at: datetime, *, upload: bool, login: str | None = None) -> Grant:
    """What a token grants, counted as one request; raises what ``look`` does."""
    grant = look(db, text, at, upload=upload, login=login)
    db.core.execute(sa.update(token).where(token.c.id == grant.token).values(requests=token.c.requests + 1))
    return grant


def _granted() -> sa.Select[Any]:
    joined = (
        token.join(target, target.c.id == token.c.target_id)
        .join(station_table, station_table.c.id == target.c.station_id)
        .join(deployment, deployment.c.id == target.c.deployment_id)
        .outerjoin(file, file.c.id == deployment.c.file_id)
    )
    of_file = [file.c[name].label(f"file_{name}") for name in ("uid", "name", "size", "sha256", "added_at")]
    return sa.select(token, station_table.c.identity, *of_file).select_from(joined)


def _worn(row: Any) -> bool:
    size = row["file_size"] or 0
    many = row["requests"] >= LEAST_REQUESTS + size // BYTES_A_REQUEST
    return many or (size > 0 and row["sent"] >= TIMES * size)


def advance(db: Connection, number: int, start: int, end: int, size: int) -> None:
    """Bytes from ``start`` to before ``end`` were sent; the last of a whole file uses the token up."""
    row = db.core.execute(sa.select(token).where(token.c.id == number)).mappings().first()
    if row is None:
        return
    reached = max(row["reached"], end) if start <= row["reached"] else row["reached"]
    whole = reached >= size and row["left"] > 0
    left = row["left"] - whole
    values = {
        "reached": 0 if whole and left else reached,
        "left": left,
        "sent": 0 if whole else row["sent"] + end - start,
    }
    db.core.execute(sa.update(token).where(token.c.id == number).values(**values))


def use_up(db: Connection, number: int, at: datetime) -> None:
    """An upload is complete; raises ``Spent`` if another was before it, or its time was over."""
    good = sa.update(token).where(token.c.id == number, token.c.left > 0, token.c.expires_at > at)
    if db.core.execute(good.values(left=token.c.left - 1)).rowcount == 0:
        raise Spent("this location is over", place="files", cure="Ask for a new location")


def end(db: Connection, of_target: int) -> None:
    """A station's part of a deployment is over: its token opens nothing any more."""
    db.core.execute(sa.delete(token).where(token.c.target_id == of_target))


def revoke(db: Connection, of_target: int, at: datetime) -> None:
    """A station's part of a deployment was cancelled: its token is known still, and over."""
    db.core.execute(sa.update(token).where(token.c.target_id == of_target).values(expires_at=at))
