"""The store: each file lies in the data folder under a random name; its row knows the name for people, size and hash.

Content is written beside its place, hashed on the way, flushed to the disk, and moved there before its row is stored,
so that a row without a file cannot come of a crash; what a crash leaves without a row is removed at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar, cast
from uuid import uuid4

import sqlalchemy as sa

from arthexis import Connection, DomainError, NotFound, Unavailable
from arthexis_files.tables import deployment, file, target

T = TypeVar("T")
FIRMWARE: Final = "firmware"
DIAGNOSTICS: Final = "diagnostics"
UNFINISHED: Final = ".part"
BLOCK: Final = 1 << 18
MOST_NAME: Final = 120
NAMELESS: Final = "file"
_UNSAFE = re.compile(r"[^A-Za-z0-9._ ()+@=-]+")


class TooLarge(DomainError):
    """More bytes came than are allowed."""

    code = "too-large"


class Full(DomainError):
    """The store has no place for it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that lies in its place and has no row yet: ``size`` in bytes, ``sha256`` in hexadecimal digits."""

    uid: str
    size: int
    sha256: str


def tame(name: str) -> str:
    """A name for people from one that somebody sent: its last part, without anything that a path or a page minds."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return _UNSAFE.sub("_", last).strip(" .")[:MOST_NAME].strip(" .") or NAMELESS


class Incoming:
    """A file that is being written: at most ``most`` bytes. Closed by ``finish`` or ``discard``, whichever is first.

    As a context manager it is forgotten where its block raises, and stays as it is where it does not.
    """

    def __init__(self, store: Store, most: int) -> None:
        """Begin an empty one."""
        self._store = store
        self._most = most
        self._hash = hashlib.sha256()
        self.uid = uuid4().hex
        self.size = 0
        self._part = store.folder / f"{self.uid}{UNFINISHED}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(self._part, flags, 0o600), "wb", buffering=0)

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self.discard()

    def write(self, data: bytes) -> None:
        """Add bytes; raises ``TooLarge``, ``Full``, or ``OSError`` where the disk is."""
        if self.size + len(data) > self._most:
            raise TooLarge(f"more than {self._most} bytes", place="file", cure="Send a smaller file")
        self._store.take(len(data))
        self.size += len(data)
        self._hash.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    @property
    def sha256(self) -> str:
        """The hash of what was written so far, in hexadecimal digits."""
        return self._hash.hexdigest()

    def finish(self) -> Stored:
        """Put it in its place, on the disk."""
        with self._file:
            os.fsync(self._file.fileno())
        self._part.replace(self._store.path(self.uid))
        return Stored(self.uid, self.size, self.sha256)

    def discard(self) -> None:
        """Forget it, whether it was finished or not."""
        self._file.close()
        self._part.unlink(missing_ok=True)
        self._store.path(self.uid).unlink(missing_ok=True)
        self._store.give_back(self.size)


class Store:
    """The folder and what is taken of its quota."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        """Use this folder; it is made by ``open``."""
        self.folder = folder
        self._quota = quota_bytes
        self.used = 0
        self._counting = threading.Lock()
        self._seen: dict[str, tuple[int, int, int]] = {}

    def open(self, rows: list[tuple[str, int]]) -> None:
        """Make the folder, remove what has no row (``rows``: uid and size), count what there is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = {uid for uid, _ in rows}
        for entry in list(self.folder.iterdir()):
            if entry.name not in known and not entry.is_dir():
                entry.unlink()
        self.used = sum(size for _, size in rows)

    def path(self, uid: str) -> Path:
        """Where a file lies."""
        return self.folder / uid

    def take(self, size: int) -> None:
        """Count bytes that are about to be written; raises ``Full``."""
        with self._counting:
            if self.used + size > self._quota:
                raise Full(
                    "the store is full", place="plugins.files.quota_bytes", cure="Remove files that nobody needs"
                )
            self.used += size

    def give_back(self, size: int) -> None:
        """Count bytes that are gone."""
        with self._counting:
            self.used = max(0, self.used - size)

    def opened(self, uid: str, size: int, sha256: str) -> BinaryIO:
        """A file for reading, if it is still what was stored, which is looked at once; raises ``Unavailable``.

        A link in its place is never followed.
        """
        place, cure = f"file {uid}", "Remove it and add it again"
        try:
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            if self.path(uid).is_symlink():
                raise Unavailable("a link is in its place", place=place, cure=cure)
            found = os.fdopen(os.open(self.path(uid), flags), "rb")
        except OSError as error:
            raise Unavailable(f"cannot be read: {error.strerror}", place=place, cure=cure) from None
        try:
            self._check(found, uid, size, sha256)
        except Unavailable:
            found.close()
            raise
        return found

    def _check(self, found: BinaryIO, uid: str, size: int, sha256: str) -> None:
        told = os.fstat(found.fileno())
        now = (told.st_ino, told.st_size, told.st_mtime_ns)
        if stat.S_ISREG(told.st_mode) and self._seen.get(uid) == now:
            return
        same = stat.S_ISREG(told.st_mode) and told.st_size == size
        if not same or hashlib.file_digest(cast("Any", found), "sha256").hexdigest() != sha256:
            raise Unavailable("it is not what was stored", place=f"file {uid}", cure="Remove it and add it again")
        self._seen[uid] = now
        found.seek(0)

    def remove(self, uid: str, size: int) -> None:
        """Delete a file whose row is gone."""
        self._seen.pop(uid, None)
        self.path(uid).unlink(missing_ok=True)
        self.give_back(size)


async def received(store: Store, content: AsyncIterator[bytes], most: int, *, sha256: str | None = None) -> Incoming:
    """All of a content, written and not yet finished; raises what ``Incoming.write`` does, and then nothing stays.

    With ``sha256``, content of any other hash is refused.
    """
    with await asyncio.to_thread(_or_full, Incoming, store, most) as incoming:
        async for chunk in content:
            await asyncio.to_thread(_or_full, incoming.write, chunk)
        if not incoming.size:
            raise DomainError("it is empty", place="file", cure="Send its content")
        if sha256 is not None and incoming.sha256 != sha256.lower():
            raise DomainError("its SHA-256 is another one", place="file", cure="Get the file from its maker again")
    return incoming


def _or_full(work: Callable[..., T], *given: Any) -> T:
    """What ``work`` returns; the disk's refusal as ``Full``."""
    try:
        return work(*given)
    except OSError as error:
        raise Full(f"it cannot be written: {error.strerror}", place="file", cure="Make room on the disk") from None


# ---------------------------------------------------------------------- rows


def add(
    db: Connection, stored: Stored, kind: str, name: str, at: datetime, *, by: str, station: str | None = None
) -> int:
    """Store a file's row; its number."""
    values = {"uid": stored.uid, "kind": kind, "name": tame(name), "size": stored.size, "sha256": stored.sha256}
    insert = sa.insert(file).values(**values, station=station, added_by=by, added_at=at)
    return int(db.core.execute(insert.returning(file.c.id)).scalar_one())


def get(db: Connection, uid: str) -> dict[str, Any]:
    """A file by its uid, or by its name where only one has it; raises ``NotFound``."""
    either = sa.or_(file.c.uid == uid, file.c.name == uid)
    found = [dict(row) for row in db.core.execute(sa.select(file).where(either).limit(2)).mappings()]
    exact = [row for row in found if row["uid"] == uid] or found
    if len(exact) != 1:
        said = f"no file {uid}" if not exact else f"several files are called {uid}"
        raise NotFound(said, place="files", cure="See `arthexis files list`")
    return exact[0]


def rows(
    db: Connection, *, kind: str | None = None, station: str | None = None, before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Files, the latest first; ``before`` is the number of the last one seen."""
    wanted = sa.select(file)
    for column, value in ((file.c.kind, kind), (file.c.station, station)):
        wanted = wanted.where(column == value) if value is not None else wanted
    wanted = wanted.where(file.c.id < before) if before is not None else wanted
    return [dict(row) for row in db.core.execute(wanted.order_by(file.c.id.desc()).limit(limit)).mappings()]


def remove(db: Connection, row: dict[str, Any], gone: Callable[[], None]) -> None:
    """Delete a file's row, and call ``gone`` after the commit; raises ``DomainError`` while it is being rolled out."""
    used = sa.select(deployment.c.id, deployment.c.state).where(deployment.c.file_id == row["id"])
    if any(found.state in {"running", "paused", "stopped"} for found in db.core.execute(used)):
        raise DomainError("it is being rolled out", place=f"file {row['uid']}", cure="Cancel the deployment first")
    db.core.execute(sa.update(deployment).where(deployment.c.file_id == row["id"]).values(file_id=None))
    db.core.execute(sa.update(target).where(target.c.file_id == row["id"]).values(file_id=None))
    db.core.execute(sa.delete(file).where(file.c.id == row["id"]))
    db.afterward(gone)
