"""Backups: a consistent copy beside a running writer, verified before anybody relies on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from arthexis.db import migrate
from arthexis.db.engine import Database
from arthexis.db.schema import metadata
from arthexis.errors import Refused, Unavailable

GAP = 1_000_000
FOLDER = "backups"
PG_CURE = "Use pg_dump and pg_restore for PostgreSQL"
BESIDE = ("-wal", "-shm")


def backup(database: Database, target: Path) -> int:
    """Copy a SQLite database to a new file (``VACUUM INTO``, which ends also under a writer); its size in bytes.

    The file gets its name when the copy is complete and was found sound.
    """
    if not database.sqlite:
        raise Refused("the database is PostgreSQL", place="db backup", cure=PG_CURE)
    if target.exists():
        raise Refused(f"{target} is there already", place="db backup", cure="Name a new file")
    if target.parent.name == FOLDER and target.parent.parent.is_dir():
        target.parent.mkdir(mode=0o700, exist_ok=True)
    if not target.parent.is_dir():
        raise Refused(f"there is no folder {target.parent}", place="db backup", cure="Make it, or mount what it is on")
    draft = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        with database.engine.connect() as core:
            core.exec_driver_sql("VACUUM INTO :target", {"target": str(draft)})
        found = damage(draft)
        if found:
            raise Unavailable(f"the copy is not sound: {found[0]}", place=str(target), cure="Run: arthexis db verify")
        draft.chmod(0o600)
        _sync(draft)
        draft.replace(target)
    except (OSError, sa.exc.DBAPIError) as error:
        said = getattr(error, "orig", None) or error
        raise Unavailable(f"no backup was written: {said}", place=str(target), cure="Free some space") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return target.stat().st_size


def restore(database: Database, source: Path, keep: Path) -> None:
    """Put a backup in the place of the database, which is kept as ``keep``; the node must not run.

    Raises ``Refused`` if the backup is not sound or no backup of a node: then nothing is changed. A backup of an older
    version is migrated when the node starts. At no moment is there no database.
    """
    path = database.path
    if path is None:
        raise Refused("the database is no file", place="db restore", cure=PG_CURE)
    found = damage(source) or _foreign(source)
    if found:
        raise Refused(f"the backup is not sound: {found[0]}", place=str(source), cure="Choose another backup")
    database.engine.dispose()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.restoring")
    try:
        _copy(source, draft)
        _count_on(draft, path)
        if path.exists():
            _keep(path, keep)
        draft.replace(path)
    except OSError as error:
        said = f"nothing was restored: {error.strerror or error}"
        raise Unavailable(said, place=str(path), cure="Free some space") from error
    finally:
        draft.unlink(missing_ok=True)


def _keep(path: Path, keep: Path) -> None:
    """Give the present database a second name, with what of it is still in its log, also if it is damaged."""
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as live:
        live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    try:
        os.link(path, keep)
    except OSError:
        shutil.copy2(path, keep)
    for suffix in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(keep.with_name(keep.name + suffix))


def _copy(source: Path, draft: Path) -> None:
    """Copy a database file that nobody writes to, with what is still in its log."""
    draft.unlink(missing_ok=True)
    with _reading(source) as live, contextlib.closing(sqlite3.connect(draft)) as copy:
        live.backup(copy)
    _sync(draft)


def _count_on(draft: Path, path: Path) -> None:
    """Let the numbers that are never given twice go on behind those that the replaced database has given.

    Where it cannot be read any more, a million of them is left out.
    """
    given: dict[str, int] | None = {} if not path.exists() else None
    with contextlib.suppress(sqlite3.DatabaseError), _reading(path) as live:
        given = dict(live.execute("SELECT name, seq FROM sqlite_sequence"))
    with contextlib.closing(sqlite3.connect(draft)) as copy:
        counted = copy.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'").fetchall()
        last = dict(copy.execute("SELECT name, seq FROM sqlite_sequence"))
        for (name,) in counted:
            onward = last.get(name, 0) + GAP if given is None else max(last.get(name, 0), given.get(name, 0))
            copy.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            copy.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, onward))
        copy.commit()
    _sync(draft)


def _sync(path: Path) -> None:
    """Have a file on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def problems(database: Database) -> list[str]:
    """What is wrong with a database; empty if it is sound."""
    if database.path is not None:
        return damage(database.path) or _missing(_tables(database.path))
    with database.engine.connect() as core:
        return _missing(set(database.engine.dialect.get_table_names(core)))


def damage(path: Path) -> list[str]:
    """What is damaged in a SQLite file: pages and references; empty if it is sound."""
    if not path.is_file():
        return [f"{path} is no file"]
    try:
        with _reading(path) as live:
            pages = [row[0] for row in live.execute("PRAGMA integrity_check") if row[0] != "ok"]
            strays = [f"row {row[1]} of {row[0]} refers to nothing" for row in live.execute("PRAGMA foreign_key_check")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return pages + strays


def _foreign(path: Path) -> list[str]:
    """Why a sound SQLite file is no backup of a node; empty if it is one."""
    version = migrate.Chain(migrate.HOST, migrate.HOST_MIGRATIONS).version_table
    return [] if version in _tables(path) else [f"{path.name} is no database of Arthexis"]


def _tables(path: Path) -> set[str]:
    with _reading(path) as live:
        return {row[0] for row in live.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _missing(present: set[str]) -> list[str]:
    return [f"table {name} is missing" for name in metadata.tables if name not in present]


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as live:
        yield live
