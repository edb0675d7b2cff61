"""Migrations: all or nothing, one chain for each distribution, the same tables on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import arthexis_ocpp16.tables
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from arthexis.charging import tables as _tables  # noqa: F401 - they enter themselves into the metadata
from arthexis.db import migrate
from arthexis.db.engine import Database
from arthexis.db.migrate import Chain
from arthexis.db.schema import metadata
from arthexis.errors import PluginError
from arthexis.testing import node
from tests.conftest import HOST

OCPP16 = Chain("ocpp16", "arthexis_ocpp16:migrations")
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {before!r}
branch_labels = None
depends_on = None


def upgrade():
{upgrade}


def downgrade():
{downgrade}
"""


@pytest.fixture
def empty(database_url: str, tmp_path: Path):
    opened = Database(database_url, tmp_path)
    yield opened
    opened.close()


def tables_of(database: Database) -> set[str]:
    with database.engine.connect() as core:
        return set(sa.inspect(core).get_table_names())


class Package:
    """A distribution's package with revisions, made for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.chain = Chain(name, f"{name}_package:migrations")
        self._folder = folder / f"{name}_package" / "migrations"
        self._folder.mkdir(parents=True)
        (self._folder.parent / "__init__.py").touch()
        self._before: str | None = None

    def revision(self, name: str, upgrade: str, downgrade: str = "pass") -> None:
        """Add a revision behind the last one, or write one of this name anew."""
        path = self._folder / f"{name}.py"
        before = self._before if not path.exists() else None
        told = {"name": name, "before": before}
        told |= {key: f"    {text}" for key, text in (("upgrade", upgrade), ("downgrade", downgrade))}
        path.write_text(REVISION.format(**told))
        self._before = name

    def remove(self, name: str) -> None:
        (self._folder / f"{name}.py").unlink()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Package(tmp_path, f"acme{os.getpid()}{tmp_path.name[-6:].strip('_')}".replace("-", ""))


TABLE = 'op.create_table("acme_{0}", sa.Column("id", sa.Integer, primary_key=True))'


def is_comment(difference: Any) -> bool:
    """Whether only a comment is different, which revisions leave to the models."""
    return isinstance(difference, list) and all(part[0] == "modify_comment" for part in difference)


def test_models_equal_the_migrated_schema(empty: Database) -> None:
    migrate.upgrade(empty, HOST)
    migrate.upgrade(empty, OCPP16)
    whole = sa.MetaData()
    plugins = arthexis_ocpp16.tables.metadata
    for source in {id(m): m for m in (metadata, plugins)}.values():
        for table in source.sorted_tables:
            if table.name not in whole.tables:
                table.to_metadata(whole)
    ours = lambda thing, name, kind, *_: not (kind == "table" and name.startswith("alembic_version_"))  # noqa: E731
    with empty.engine.connect() as core:
        context = MigrationContext.configure(core, opts={"include_object": ours, "compare_type": True})
        assert [found for found in compare_metadata(context, whole) if not is_comment(found)] == []
        at = next(column["type"] for column in sa.inspect(core).get_columns("event") if column["name"] == "at")
        assert str(at) == ("TEXT" if empty.sqlite else "TIMESTAMP")


def test_down_to_base_leaves_no_table_of_the_plugin(empty: Database) -> None:
    migrate.upgrade(empty, HOST)
    hosts = tables_of(empty)
    migrate.upgrade(empty, OCPP16)
    assert any(name.startswith("ocpp16_") for name in tables_of(empty))
    migrate.downgrade(empty, OCPP16)
    assert tables_of(empty) - hosts == {OCPP16.version_table}
    migrate.upgrade(empty, OCPP16)
    migrate.downgrade(empty, OCPP16)
    migrate.downgrade(empty, HOST)
    assert tables_of(empty) == {OCPP16.version_table, HOST.version_table}


def test_each_chain_has_a_version_table_of_its_own(empty: Database, package: Package) -> None:
    package.revision("0001_first", TABLE.format("one"), 'op.drop_table("acme_one")')
    for chain in (HOST, OCPP16, package.chain):
        migrate.upgrade(empty, chain)
    assert {chain.version_table for chain in (HOST, OCPP16, package.chain)} <= tables_of(empty)
    package.remove("0001_first")
    assert [state.due for state in migrate.states(empty, [HOST, OCPP16])] == [False, False]
    migrate.downgrade(empty, OCPP16)
    migrate.upgrade(empty, OCPP16)


def test_a_migration_that_fails_changes_nothing_and_can_be_tried_again(empty: Database, package: Package) -> None:
    package.revision("0001_first", TABLE.format("one"))
    migrate.upgrade(empty, package.chain)
    package.revision("0002_second", TABLE.format("two"))
    package.revision("0003_third", f'{TABLE.format("three")}; op.execute("INSERT INTO nothing VALUES (1)")')
    before = tables_of(empty)
    with pytest.raises(PluginError, match="failed and was undone"):
        migrate.upgrade(empty, package.chain)
    assert tables_of(empty) == before
    assert migrate.states(empty, [package.chain])[0].current == "0001_first"
    package.remove("0003_third")
    migrate.upgrade(empty, package.chain)
    assert {"acme_one", "acme_two"} <= tables_of(empty)


def test_a_database_newer_than_the_code_is_refused_with_the_cure(empty: Database, package: Package) -> None:
    package.revision("0001_first", TABLE.format("one"))
    package.revision("0002_second", TABLE.format("two"))
    migrate.upgrade(empty, package.chain)
    package.remove("0002_second")
    with pytest.raises(PluginError, match="0002_second") as refused:
        migrate.upgrade(empty, package.chain)
    assert "Install the version" in refused.value.cure
    assert "0001_first" in refused.value.problem


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_table_that_others_refer_to_can_be_rebuilt(empty: Database, package: Package) -> None:
    package.revision(
        "0001_first",
        'op.create_table("acme_parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer)); '
        'op.create_table("acme_child", sa.Column("parent", sa.Integer, sa.ForeignKey("acme_parent.id"))); '
        'op.execute("INSERT INTO acme_parent VALUES (1, 1)"); op.execute("INSERT INTO acme_child VALUES (1)")',
    )
    migrate.upgrade(empty, package.chain)
    package.revision(
        "0002_second",
        'batch = op.batch_alter_table("acme_parent"); table = batch.__enter__(); '
        'table.alter_column("n", type_=sa.Text()); batch.__exit__(None, None, None)',
    )
    migrate.upgrade(empty, package.chain)
    with empty.engine.connect() as core:
        assert core.exec_driver_sql("SELECT parent FROM acme_child").all() == [(1,)]
        assert core.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    package.revision("0003_third", 'op.execute("DELETE FROM acme_parent")')
    with pytest.raises(PluginError, match="would refer to nothing"):
        migrate.upgrade(empty, package.chain)


KILLED = """
import os, signal, sys
from pathlib import Path
from arthexis.db import migrate
from arthexis.db.engine import Database
migrate.upgrade(Database(sys.argv[1], Path(".")), migrate.Chain(sys.argv[2], sys.argv[3]))
"""


def test_a_migration_that_is_killed_can_be_tried_again(empty: Database, package: Package, tmp_path: Path) -> None:
    deadly = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    package.revision("0001_first", f"{TABLE.format('one')}; {deadly}")
    words = [empty.url.render_as_string(hide_password=False), package.chain.name, package.chain.folder]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", KILLED, *words], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert "acme_one" not in tables_of(empty)
    package.revision("0001_first", TABLE.format("one"))
    migrate.upgrade(empty, package.chain)
    assert "acme_one" in tables_of(empty)


def test_two_processes_migrate_one_after_the_other(empty: Database, tmp_path: Path) -> None:
    words = [empty.url.render_as_string(hide_password=False), HOST.name, HOST.folder]
    both = [subprocess.Popen([sys.executable, "-c", KILLED, *words]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]


async def test_a_plugin_whose_migration_fails_is_the_only_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = migrate.upgrade

    def failing(database: Database, chain: Chain) -> None:
        if chain.name == "ocpp16":
            raise PluginError("its migration failed", place="database of ocpp16", cure="Mend it")
        upgrade(database, chain)

    monkeypatch.setattr(migrate, "upgrade", failing)
    async with node(tmp_path, plugins=["arthexis-ocpp16:*"]) as running:
        running.excuse(*(plugin.name for plugin in running.host.composition.plugins))
        states: dict[str, Any] = {plugin.name: plugin for plugin in running.host.composition.plugins}
        assert states["ocpp16.heartbeat"].state == "failed"
        assert "its migration failed" in states["ocpp16.heartbeat"].reason
        assert (await running.ask("node.status"))["running"]


async def test_data_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    async with node(tmp_path, plugins=["arthexis-ocpp16:*"]):
        pass
    assert not (tmp_path / "backups").exists(), "there was nothing yet"
    database = Database("", tmp_path)
    with database.engine.connect() as core:
        for table in ("ocpp16_progress", "ocpp16_data_transfer"):
            core.exec_driver_sql(f"DROP TABLE {table}")
        core.exec_driver_sql("UPDATE alembic_version_ocpp16 SET version_num = '0000_before'")
    database.close()
    async with node(tmp_path, plugins=["arthexis-ocpp16:*"]) as running:
        running.excuse(*(plugin.name for plugin in running.host.composition.plugins))
    assert len(list((tmp_path / "backups").glob("before-migration-*.db"))) == 1
