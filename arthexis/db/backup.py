"""Backups: a consistent copy beside a running writer, verified before anybody relies on it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from arthexis.db.engine import Database
from arthexis.db.schema import metadata
from arthexis.errors import Refused, Unavailable

PG_CURE = "Use pg_dump and pg_restore for PostgreSQL"


def backup(database: Database, target: Path) -> int:
    """Copy a SQLite database to a new file (``VACUUM INTO``, which ends also under a writer); its size in bytes."""
    if not database.sqlite:
        raise Refused("the database is PostgreSQL", place="db backup", cure=PG_CURE)
    if target.exists():
        raise Refused(f"{target} is there already", place="db backup", cure="Name a new file")
    try:
        with database.engine.connect() as core:
            core.exec_driver_sql("VACUUM INTO :target", {"target": str(target)})
    except database.engine.dialect.loaded_dbapi.Error as error:
        raise Unavailable(f"no backup was written: {error}", place=str(target), cure="Free some space") from error
    return target.stat().st_size


def restore(database: Database, source: Path, keep: Path) -> None:
    """Put a backup in the place of the database, which is kept as ``keep``; the node must not run.

    Raises ``Refused`` if the backup is not sound: then nothing is changed.
    """
    path = database.path
    if path is None:
        raise Refused("the database is no file", place="db restore", cure=PG_CURE)
    found = problems_of(source)
    if found:
        raise Refused(f"the backup is not sound: {found[0]}", place=str(source), cure="Choose another backup")
    database.engine.dispose()
    draft = path.with_suffix(".restoring")
    shutil.copyfile(source, draft)
    if path.exists():
        with sqlite3.connect(path) as live:
            live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        live.close()
        path.replace(keep)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    draft.replace(path)


def problems(database: Database) -> list[str]:
    """What is wrong with a database; empty if it is sound."""
    if database.path is not None:
        return problems_of(database.path)
    with database.engine.connect() as core:
        present = set(database.engine.dialect.get_table_names(core))
    return [f"table {name} is missing" for name in metadata.tables if name not in present]


def problems_of(path: Path) -> list[str]:
    """What is wrong with a SQLite file; empty if it is sound."""
    if not path.is_file():
        return [f"{path} is no file"]
    live = sqlite3.connect(f"file:{path.as_posix()}?mode=ro", uri=True)
    try:
        pages = [row[0] for row in live.execute("PRAGMA integrity_check") if row[0] != "ok"]
        strays = [f"row {row[1]} of {row[0]} refers to nothing" for row in live.execute("PRAGMA foreign_key_check")]
        present = {row[0] for row in live.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        return [str(error)]
    finally:
        live.close()
    missing = [f"table {name} is missing" for name in metadata.tables if name not in present]
    return pages + strays + missing
