"""Migrations: each distribution has revision files and a version table of its own, and the host the only ``env.py``.

A revision's id is the name of its file, and the names sort in order ("0001_first"). So whether anything is due is
known from one stored text and a folder's listing, and alembic is imported only when something is.
"""

from __future__ import annotations

import importlib.resources
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from arthexis.db.engine import Database
from arthexis.errors import PluginError, Unavailable
from arthexis.plugins.contain import attempt, told

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger("arthexis.db")
logging.getLogger("alembic").setLevel(logging.WARNING)

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
    def head(self) -> str | None:
        """The newest revision, or None for an empty folder."""
        return max((file.stem for file in self.path.glob("[0-9]*.py")), default=None)


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


def _current(core: sa.Connection, chain: Chain, tables: set[str]) -> str | None:
    if chain.version_table not in tables:
        return None
    version = sa.table(chain.version_table, sa.column("version_num"))
    return core.execute(sa.select(version.c.version_num)).scalar()


def upgrade(database: Database, chain: Chain) -> None:
    """Bring one chain to its head, in a transaction of its own; raises ``PluginError`` naming the chain."""
    from alembic import command

    log.info("migrating %s to %s", chain.name, chain.head)
    with _alembic(database, chain) as config:
        _, error = attempt(command.upgrade, config, "head")
    if error is not None:
        raise PluginError(
            f"its migration failed: {told(error)}",
            place=f"database of {chain.name}",
            cure="See `arthexis db status`",
        ) from error


def downgrade(database: Database, chain: Chain) -> None:
    """Take one chain back to nothing, so that its tables can be dropped with the plugin."""
    from alembic import command

    with _alembic(database, chain) as config:
        command.downgrade(config, "base")


@contextmanager
def _alembic(database: Database, chain: Chain) -> Iterator[Config]:
    """An alembic configuration made in memory: the host's ``env.py``, the chain's revisions and version table."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("version_locations", str(chain.path).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["version_table"] = chain.version_table
    with database.engine.connect().execution_options(isolation_level="SERIALIZABLE") as core:
        config.attributes["connection"] = core
        yield config
