"""Backups: complete and verified under load, restored only where they are sound, and never without a database."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from arthexis.db import backup, migrate
from arthexis.db.engine import Database
from arthexis.errors import Refused, Unavailable
from arthexis.testing import node, wire
from tests.conftest import HOST
from tests.fleet import Station

PLUGINS = ["arthexis-ocpp16:*"]


def arthexis(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "arthexis", *words],
        env={**os.environ, "ARTHEXIS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def stations_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute("SELECT identity FROM station ORDER BY id")]


async def with_station(home: Path, identity: str) -> None:
    async with node(home, plugins=PLUGINS) as running, wire(running.station_url(identity)) as station:
        await station.boot()


@pytest.fixture
def migrated(tmp_path: Path):
    database = Database("", tmp_path)
    migrate.upgrade(database, HOST)
    yield database
    database.close()


# ---------------------------------------------------------------------- making one


async def test_a_backup_under_load_is_sound_and_holds_what_was_acknowledged_before_it(tmp_path: Path) -> None:
    async with node(tmp_path / "node", plugins=PLUGINS) as running:
        fleet = [Station(f"CP-{number}", running.station_url) for number in range(4)]
        runs = [asyncio.create_task(station.run()) for station in fleet]
        for number in range(3):
            await asyncio.sleep(0.3)
            acknowledged = [
                said.answer["transactionId"]
                for station in fleet
                for said in station.said
                if said.action == "StartTransaction" and said.answer is not None
            ]
            target = tmp_path / f"{number}.db"
            made = await running.ask("db.backup", path=str(target))
            assert made["size_bytes"] == target.stat().st_size
            assert backup.damage(target) == []
            with closing(sqlite3.connect(target)) as copy:
                held = {row[0] for row in copy.execute("SELECT id FROM charging_transaction")}
            assert set(acknowledged) <= held
        for station in fleet:
            station.finish()
        await asyncio.gather(*runs)
    assert acknowledged


def test_a_backup_never_replaces_a_file(migrated: Database, tmp_path: Path) -> None:
    target = tmp_path / "there.db"
    target.write_text("mine")
    with pytest.raises(Refused, match="there already"):
        backup.backup(migrated, target)
    assert target.read_text() == "mine"


def test_a_backup_that_cannot_be_written_leaves_nothing(migrated: Database, tmp_path: Path) -> None:
    longest = "b" * 255  # the draft beside it would have a longer name than a file may have
    with pytest.raises(Unavailable, match="no backup was written"):
        backup.backup(migrated, tmp_path / longest)
    assert not list(tmp_path.glob("b*"))


def test_a_backup_goes_only_where_a_folder_is(migrated: Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="no folder"):
        backup.backup(migrated, tmp_path / "file" / "below.db")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_is_backed_up_by_its_own_tools(database: Database, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        backup.backup(database, tmp_path / "copy.db")
    assert "pg_dump" in refused.value.cure
    with pytest.raises(Refused) as refused:
        backup.restore(database, tmp_path / "copy.db", tmp_path / "kept.db")
    assert "pg_restore" in refused.value.cure
    assert backup.problems(database) == []
    with database.engine.connect() as core:
        core.exec_driver_sql("DROP TABLE message")
    assert backup.problems(database) == ["table message is missing"]


# ---------------------------------------------------------------------- putting one back


async def test_the_drill_backup_change_restore_charge(tmp_path: Path) -> None:
    home = tmp_path / "node"
    await with_station(home, "CP-1")
    assert arthexis(home, "db", "backup", str(tmp_path / "copy.db")).returncode == 0
    await with_station(home, "CP-2")
    done = arthexis(home, "db", "restore", str(tmp_path / "copy.db"))
    assert done.returncode == 0, done.stderr
    assert stations_of(home / "arthexis.db") == ["CP-1"]
    (kept,) = home.glob("arthexis.before-restore-*.db")
    assert stations_of(kept) == ["CP-1", "CP-2"]
    await with_station(home, "CP-3")
    assert stations_of(home / "arthexis.db") == ["CP-1", "CP-3"]
    assert arthexis(home, "db", "verify").returncode == 0


async def test_restore_works_where_there_is_no_database_yet(tmp_path: Path) -> None:
    await with_station(tmp_path / "node", "CP-1")
    home = tmp_path / "other"
    assert arthexis(home, "db", "restore", str(tmp_path / "node" / "arthexis.db")).returncode == 0
    assert stations_of(home / "arthexis.db") == ["CP-1"]


async def test_restore_over_a_damaged_file_keeps_it_and_works(tmp_path: Path) -> None:
    home = tmp_path / "node"
    await with_station(home, "CP-1")
    shutil.copyfile(home / "arthexis.db", tmp_path / "copy.db")
    (home / "arthexis.db").write_bytes(b"this was a database once" * 400)
    done = arthexis(home, "db", "restore", str(tmp_path / "copy.db"))
    assert done.returncode == 0, done.stderr
    assert stations_of(home / "arthexis.db") == ["CP-1"]
    (kept,) = home.glob("arthexis.before-restore-*.db")
    assert kept.read_bytes().startswith(b"this was")


async def test_what_a_killed_node_left_in_its_log_is_kept_and_restored(tmp_path: Path) -> None:
    home, copy = tmp_path / "node", tmp_path / "copied"
    async with node(home, plugins=PLUGINS) as running, wire(running.station_url("CP-1")) as station:
        await station.boot()
        shutil.copytree(home, copy)
    assert (copy / "arthexis.db-wal").stat().st_size > 0
    await with_station(home, "CP-2")
    assert arthexis(home, "db", "restore", str(copy / "arthexis.db")).returncode == 0
    assert stations_of(home / "arthexis.db") == ["CP-1"]
    assert arthexis(copy, "db", "restore", str(next(home.glob("*.before-restore-*.db")))).returncode == 0
    (kept,) = copy.glob("arthexis.before-restore-*.db")
    assert stations_of(kept) == ["CP-1"], "with what was only in the log"
    assert stations_of(copy / "arthexis.db") == ["CP-1", "CP-2"]


def broken_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096))


def another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE songs (name TEXT)")


def dangling(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "INSERT INTO connector (station_id, number, status, error_code, received_at) VALUES (9, 1, 'a', '', '')"
        )
        db.commit()


JUNK: dict[str, Any] = {
    "text": lambda path: path.write_text("no database"),
    "nothing": lambda path: path.write_bytes(b""),
    "half a file": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a broken page": broken_page,
    "somebody else's database": another_database,
    "dangling references": dangling,
}


@pytest.mark.parametrize("spoil", JUNK.values(), ids=JUNK.keys())
async def test_restore_refuses_junk_and_changes_nothing(tmp_path: Path, spoil: Any) -> None:
    home, copy = tmp_path / "node", tmp_path / "copy.db"
    await with_station(home, "CP-1")
    shutil.copyfile(home / "arthexis.db", copy)
    spoil(copy)
    before = (home / "arthexis.db").read_bytes()
    done = arthexis(home, "db", "restore", str(copy))
    assert done.returncode == Refused.exit_status
    assert "Choose another backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert (home / "arthexis.db").read_bytes() == before
    assert list(home.glob("*restor*")) == []


async def test_a_running_node_is_not_restored_and_not_upgraded_beneath_itself(tmp_path: Path) -> None:
    home = tmp_path / "node"
    async with node(home, plugins=PLUGINS) as running:
        copy = str(tmp_path / "copy.db")
        await running.ask("db.backup", path=copy)
        for words in (("restore", copy), ("upgrade",)):
            done = await asyncio.to_thread(arthexis, home, "db", *words)
            assert done.returncode == Refused.exit_status
            assert "arthexis stop" in done.stderr


async def test_a_backup_of_an_older_version_is_restored_and_migrated(tmp_path: Path) -> None:
    home, copy = tmp_path / "node", tmp_path / "copy.db"
    await with_station(home, "CP-1")
    shutil.copyfile(home / "arthexis.db", copy)
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        named = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%ocpp16%'").fetchall()
        for (table,) in named:
            db.execute(f"DROP TABLE {table}")
        db.commit()
    assert arthexis(home, "db", "restore", str(copy)).returncode == 0
    await with_station(home, "CP-2")
    assert arthexis(home, "db", "verify").returncode == 0


async def started(home: Path) -> int:
    """The number that a start gets on this folder."""
    told = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
    async with node(home, plugins=PLUGINS) as running, wire(running.station_url("CP-1")) as station:
        await station.boot()
        return int((await station.result("StartTransaction", told))["transactionId"])


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "damaged"])
async def test_no_number_is_given_twice_after_a_restore(tmp_path: Path, readable: bool) -> None:
    home, copy = tmp_path / "node", tmp_path / "copy.db"
    await with_station(home, "CP-1")
    assert arthexis(home, "db", "backup", str(copy)).returncode == 0
    first = await started(home)
    if not readable:
        (home / "arthexis.db").write_bytes(b"no database any more" * 1000)
    assert arthexis(home, "db", "restore", str(copy)).returncode == 0
    assert await started(home) > first


# ---------------------------------------------------------------------- looking after it


@pytest.mark.parametrize("spoil", [broken_page, dangling], ids=["a broken page", "a dangling reference"])
async def test_verify_finds_what_is_wrong(tmp_path: Path, spoil: Any) -> None:
    await with_station(tmp_path, "CP-1")
    assert arthexis(tmp_path, "db", "verify").returncode == 0
    spoil(tmp_path / "arthexis.db")
    done = arthexis(tmp_path, "db", "verify")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


async def test_a_node_on_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "arthexis.db").write_text("no database at all, but long enough to be taken for one" * 40)
    for words in (("start", "--open", "--port", "0"), ("db", "verify"), ("db", "status")):
        done = arthexis(tmp_path, *words)
        assert done.returncode == Unavailable.exit_status, words
        assert "not a database" in done.stderr
        assert "Traceback" not in done.stderr


async def test_a_node_whose_postgresql_is_away_says_so(tmp_path: Path) -> None:
    config = '[database]\nurl = "postgresql://nobody:secret@127.0.0.1:1/none"\n'
    (tmp_path / "arthexis.toml").write_text(config)
    done = arthexis(tmp_path, "start", "--open", "--port", "0")
    assert done.returncode == Unavailable.exit_status
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
