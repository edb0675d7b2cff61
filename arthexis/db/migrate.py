"""Migrations: each distribution has revision files and a version table of its own, and the host the only ``env.py``.

A revision's id is the name of its file, and the names sort in order ("0001_first"). So whether anything is due is
known from one stored text and a folder's listing, and alembic is imported only when something is.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import logging
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from arthexis.db.engine import Database
from arthexis.errors import PluginError, Unavailable
from arthexis.plugins.contain import attempt, told

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger("arthexis.db")
logging.getLogger("alembic").setLevel(logging.WARNING)

LOCK = 0x41525449
HOST = "host"
HOST_MIGRATIONS = "arthexis.charging:migrations"


@dataclass(frozen=True, slots=True)
class Chain:
    """The revisions of one distribution: its short name and the folder ``"package:folder"`` that holds them."""

    name: str
    folder: str

    @property
    def version_table(self) -> str:
        """The table that says how far this chain has come."""
        return f"alembic_version_{self.name.replace('-', '_').replace('.', '_')}"

    @property
    def path(self) -> Path:
        """The folder on the disk."""
        package, _, folder = self.folder.partition(":")
        return Path(str(importlib.resources.files(package))) / folder

    @property
    def revisions(self) -> list[str]:
        """Every revision, in order."""
        return sorted(file.stem for file in self.path.glob("[0-9]*.py"))

    @property
    def head(self) -> str | None:
        """The newest revision, or None for an empty folder."""
        return max(self.revisions, default=None)


@dataclass(frozen=True, slots=True)
class ChainState:
    """How far a chain has come in a database."""

    chain: Chain
    current: str | None
    head: str | None

    @property
    def due(self) -> bool:
        """Whether there is something to do."""
        return self.current != self.head


def bring_up(database: Database, chain: Chain) -> None:
    """Bring one chain to its head where it is behind; raises ``PluginError``, or ``Unavailable`` without a database."""
    state, error = attempt(lambda: states(database, [chain])[0])
    if isinstance(error, sa.exc.SQLAlchemyError):
        raise Unavailable(
            f"the database cannot be opened: {told(getattr(error, 'orig', None) or error)}",
            place=database.url.render_as_string(hide_password=True),
            cure="See that it is there and may be written to, or set database.url",
        )
    if error is not None or state is None:
        raise PluginError(
            f"its migrations cannot be read: {told(error or LookupError(chain.folder))}",
            place=f"database of {chain.name}",
            cure="Reinstall the package that brings them",
        )
    if state.due:
        upgrade(database, chain)


def states(database: Database, chains: Iterable[Chain]) -> list[ChainState]:
    """How far each chain has come."""
    with database.engine.connect() as core:
        tables = set(sa.inspect(core).get_table_names())
        return [ChainState(chain, _current(core, chain, tables), chain.head) for chain in chains]


def backup_is_due(found: Iterable[ChainState]) -> bool:
    """Whether a chain that holds data already is about to be changed."""
    return any(state.due and state.current is not None for state in found)


def _current(core: sa.Connection, chain: Chain, tables: set[str]) -> str | None:
    if chain.version_table not in tables:
        return None
    version = sa.table(chain.version_table, sa.column("version_num"))
    return core.execute(sa.select(version.c.version_num)).scalar()


def upgrade(database: Database, chain: Chain) -> None:
    """Bring one chain to its head, in a transaction of its own; raises ``PluginError`` naming the chain.

    What fails, or is killed, on the way has changed nothing and can be tried again.
    """
    command = _alembic_alone()

    _refuse_newer(database, chain)
    log.info("migrating %s to %s", chain.name, chain.head)
    with _alembic(database, chain) as config:
        _, error = attempt(command.upgrade, config, "head")
    if error is not None:
        raise PluginError(
            f"its migration failed and was undone: {told(error)}",
            place=f"database of {chain.name}",
            cure="Mend the revision or install another version, then run: arthexis db upgrade",
        ) from error


def downgrade(database: Database, chain: Chain) -> None:
    """Take one chain back to nothing, so that its tables can be dropped with the plugin."""
    command = _alembic_alone()

    with _alembic(database, chain) as config:
        command.downgrade(config, "base")


def drop(database: Database, chain: Chain) -> None:
    """Take one chain back to nothing and forget that it was there; raises ``PluginError`` naming the chain."""
    _, error = attempt(downgrade, database, chain)
    if error is not None:
        raise PluginError(
            f"its tables cannot be dropped: {told(error)}",
            place=f"database of {chain.name}",
            cure="Leave --drop-tables out, and drop them by hand",
        ) from error
    with database.engine.begin() as core:
        core.execute(sa.text(f"drop table if exists {chain.version_table}"))


def tables_of(database: Database, name: str, declared: Collection[str] = ()) -> list[str]:
    """The tables of a chain that a database holds: the declared ones; where none are, those that bear its name."""
    chain = Chain(name, "")
    with database.engine.connect() as core:
        there = set(sa.inspect(core).get_table_names())
    prefix = chain.version_table.removeprefix("alembic_version_") + "_"
    by_name = {table for table in there if table.startswith(prefix)} if chain.version_table in there else set()
    return sorted((there & set(declared)) or by_name)


def _refuse_newer(database: Database, chain: Chain) -> None:
    """Raise ``PluginError`` if a newer version than the one installed has migrated this chain."""
    current = states(database, [chain])[0].current
    if current is not None and current not in chain.revisions:
        raise PluginError(
            f"the database is at revision {current}, which this version does not know (its newest is {chain.head})",
            place=f"database of {chain.name}",
            cure=f"Install the version of {chain.name} that made it, or a newer one, or `arthexis db restore` a backup",
        )


def _alembic_alone() -> ModuleType:
    """The commands of alembic, without the extensions that it would import from whoever declares one.

    alembic loads every entry point of the group ``alembic.plugins`` when it is imported; nobody has chosen those.
    """
    found = importlib.metadata.entry_points
    if "alembic" not in sys.modules:
        importlib.metadata.entry_points = _none_of_alembics
    try:
        return importlib.import_module("alembic.command")
    finally:
        importlib.metadata.entry_points = found


def _none_of_alembics(**which: Any) -> Any:
    return () if which.get("group") == "alembic.plugins" else _entry_points(**which)


_entry_points = importlib.metadata.entry_points


@contextmanager
def _alembic(database: Database, chain: Chain) -> Iterator[Config]:
    """An alembic configuration made in memory: the host's ``env.py``, the chain's revisions and version table."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("version_locations", str(chain.path).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["version_table"] = chain.version_table
    with _migrating(database) as core:
        config.attributes["connection"] = core
        yield config


@contextmanager
def _migrating(database: Database) -> Iterator[sa.Connection]:
    """A connection whose transactions hold the schema's changes too, one process at a time.

    SQLite's driver begins no transaction for them by itself; and a table that is copied to be changed is dropped, which
    foreign keys forbid, so that they are checked at the end instead.
    """
    if not database.sqlite:
        with database.engine.connect() as core:
            core.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
            core.commit()
            try:
                yield core.execution_options(isolation_level="READ COMMITTED")
            finally:
                core.invalidate()
        return
    with database.engine.connect() as core:
        core.exec_driver_sql("PRAGMA foreign_keys=OFF")
        core.commit()
        sa.event.listen(core, "begin", _begin)
        sa.event.listen(core, "commit", _check)
        try:
            yield core
        finally:
            core.rollback()
            sa.event.remove(core, "begin", _begin)
            sa.event.remove(core, "commit", _check)
            core.exec_driver_sql("PRAGMA foreign_keys=ON")
            core.commit()


def _begin(core: sa.Connection) -> None:
    core.exec_driver_sql("BEGIN IMMEDIATE")


def _check(core: sa.Connection) -> None:
    """Foreign keys that a migration left dangling keep it from being committed."""
    stray = core.exec_driver_sql("PRAGMA foreign_key_check").first()
    if stray is not None:
        raise ValueError(f"row {stray[1]} of {stray[0]} would refer to nothing")
