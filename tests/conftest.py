"""What the host's tests share: databases of both kinds, and a node's parts without the node."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from arthexis.clock import Clock
from arthexis.db import migrate
from arthexis.db.engine import Database
from arthexis.db.journal import Journal
from tests.postgresql import Cluster, binaries

HOST = migrate.Chain(migrate.HOST, migrate.HOST_MIGRATIONS)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of this test run. Where CI runs it must be there; elsewhere its tests are skipped."""
    commands = binaries()
    if commands is None:
        missing = "no PostgreSQL server is installed (Debian: apt install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    server = Cluster(commands)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database; the test runs once for each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("cluster").database()
    return f"sqlite:///{tmp_path / 'arthexis.db'}"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    folder = tmp_path_factory.mktemp("template")
    opened = Database("", folder)
    migrate.upgrade(opened, HOST)
    opened.close()
    return folder / "arthexis.db"


@pytest.fixture
def database(database_url: str, template: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of each kind."""
    opened = Database(database_url, tmp_path)
    if opened.path is not None:
        shutil.copyfile(template, opened.path)
    else:
        migrate.upgrade(opened, HOST)
    yield opened
    opened.close()


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    """A running journal on it."""
    running = Journal(database, Clock())
    await running.start()
    yield running
    await running.stop()
