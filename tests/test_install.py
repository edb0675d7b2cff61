"""Installing and uninstalling plugins: pip in a real environment, offline, with a plan before anything is done."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from arthexis.testing import wire
from tests import tutorial
from tests.wheels import wheel

GROUP = "arthexis.plugins"
PRICE = """
from arthexis import DataTransfer, hookimpl

async def price(station, data):
    return {"pricePerKwh": PRICE}

@hookimpl
def register_data_transfers():
    yield DataTransfer("com.acme", "GetPrice", price)
"""
TABLES = """
import sqlalchemy as sa
from arthexis import Tables, hookimpl

metadata = sa.MetaData()
sa.Table("acme_ledger", metadata, sa.Column("id", sa.Integer, primary_key=True))

@hookimpl
def register_tables():
    yield Tables(metadata, "acme_ledger:migrations")
"""
REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001_first", None
def upgrade(): op.create_table("acme_ledger", sa.Column("id", sa.Integer, primary_key=True))
def downgrade(): op.drop_table("acme_ledger")
"""
OFFLINE = ("--no-index", "--find-links")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: acme 1.0 and 2.0, which need acme-lib; what fits nowhere; a role; tables."""
    folder = tmp_path_factory.mktemp("shelf")
    host = "arthexis-host>=0.1,<0.2"
    for version in ("1.0", "2.0"):
        source = {"acme_price.py": PRICE.replace("PRICE}", f"{version}}}")}
        entries = {GROUP: {"acme": "acme_price"}}
        wheel(folder, "arthexis-acme", source, version=version, entries=entries, requires=[host, "acme-lib>=1"])
    wheel(folder, "acme-lib", {"acme_lib.py": ""}, version="1.0")
    wheel(folder, "acme-lib", {"acme_lib.py": ""}, version="2.0")
    wheel(folder, "acme-old", {"acme_old.py": ""}, entries={GROUP: {"old": "acme_old"}}, requires=["acme-lib<2"])
    wheel(
        folder, "acme-next", {"acme_next.py": ""}, entries={GROUP: {"next": "acme_next"}}, requires=["arthexis-host>=9"]
    )
    tables = {"acme_ledger/__init__.py": TABLES, "acme_ledger/migrations/0001_first.py": REVISION}
    wheel(folder, "acme-ledger", tables, entries={GROUP: {"ledger": "acme_ledger"}}, requires=[host])
    site = "summary = 'A site'\nplugins = ['arthexis-ocpp16:*']\nrequired = ['acme-ledger:ledger']\n"
    files = {"acme_roles/__init__.py": "", "acme_roles/site.toml": site}
    wheel(folder, "acme-roles", files, entries={"arthexis.roles": {"site": "acme_roles:site"}})
    return folder


@pytest.fixture
def made(tmp_path: Path) -> tutorial.Environment:
    """An environment that sees the host and the plugins of this clone, and into which pip may install."""
    return tutorial.environment(tmp_path / "env", editable=True)


def ran(made: tutorial.Environment, *args: str, answer: str = "", env: dict[str, str] | None = None) -> Any:
    """Run a command, whatever its status is."""
    command = [str(made.python), "-m", "arthexis", *args]
    environ = {**made.environ, **(env or {})}
    return subprocess.run(
        command, cwd=made.folder, env=environ, input=answer, capture_output=True, text=True, timeout=120, check=False
    )


def listed(made: tutorial.Environment, name: str) -> list[dict[str, Any]]:
    return [p for p in json.loads(made.run("plugins", "list", "--json").stdout) if p["name"] == name]


async def test_a_wheel_is_installed_found_enabled_and_answers(made: tutorial.Environment, shelf: Path) -> None:
    refused = ran(made, "plugins", "install", *OFFLINE, str(shelf), "arthexis-acme==1.0", answer="n\n")
    assert "arthexis-acme 1.0, from file:" in refused.stdout
    assert "acme-lib 2.0, which it needs" in refused.stdout
    assert "plugin arthexis-acme:acme: found, and not run until it is enabled" in refused.stdout
    assert refused.returncode != 0
    assert listed(made, "acme") == []
    done = ran(made, "plugins", "install", *OFFLINE, str(shelf), "arthexis-acme==1.0", answer="y\n")
    assert done.returncode == 0, done.stderr
    assert "arthexis-acme:acme: arthexis plugins enable arthexis-acme:acme" in done.stdout
    [acme] = listed(made, "acme")
    assert (acme["state"], acme["version"], acme["provenance"]["integrity"]) == ("found", "1.0", "as installed")
    told = made.run(
        "plugins", "install", *OFFLINE, str(shelf), "--upgrade", "--yes", "--enable", "--json", "arthexis-acme"
    )
    change = next(c for c in json.loads(told.stdout)["changes"] if c["distribution"] == "arthexis-acme")
    assert (change["before"], change["version"]) == ("1.0", "2.0")
    assert json.loads(told.stdout)["enabled"] == ["arthexis-acme:acme"]
    async with tutorial.Running(made) as port, wire(f"ws://127.0.0.1:{port}/ocpp/CP-1") as station:
        await station.boot()
        answer = await station.result("DataTransfer", {"vendorId": "com.acme", "messageId": "GetPrice"})
    assert answer == {"status": "Accepted", "data": '{"pricePerKwh":2.0}'}
    gone = made.run("plugins", "uninstall", "acme", "--yes", "--forget", "--json")
    assert json.loads(gone.stdout)["distributions"][0]["plugins"] == ["arthexis-acme:acme"]
    assert listed(made, "acme") == []
    assert "acme" not in (made.home / "arthexis.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("wanted", "said", "cure"),
    [
        (["acme-next"], "acme-next 1.0 depends on arthexis-host>=9", "the host stays 0.1.0"),
        (["acme-old", "acme-lib==2.0"], "acme-old 1.0 depends on acme-lib<2", "other versions"),
        (["arthexis-acme==7"], "there is no arthexis-acme==7; there are 1.0, 2.0", "name and version"),
        (["acme-nowhere"], "there is no acme-nowhere", "name and version"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    made: tutorial.Environment, shelf: Path, wanted: list[str], said: str, cure: str
) -> None:
    done = ran(made, "plugins", "install", *OFFLINE, str(shelf), "--yes", "--json", *wanted)
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert said in error["problem"]
    assert cure in error["cure"]
    assert "Traceback" not in done.stderr


def test_nothing_is_built_and_so_run_for_a_plan_unless_it_is_asked_for(
    made: tutorial.Environment, tmp_path: Path
) -> None:
    trace, shelf = tmp_path / "trace", tmp_path / "sources"
    shelf.mkdir()
    setup = (
        f"open({str(trace)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='acme-built', version='1.0')\n"
    )
    with tarfile.open(shelf / "acme-built-1.0.tar.gz", "w:gz") as archive:
        for name, text in (
            ("setup.py", setup),
            ("PKG-INFO", "Metadata-Version: 2.1\nName: acme-built\nVersion: 1.0\n"),
        ):
            told = tarfile.TarInfo(f"acme-built-1.0/{name}")
            told.size = len(text)
            archive.addfile(told, io.BytesIO(text.encode()))
    wanted = ("plugins", "install", *OFFLINE, str(shelf), "--no-build-isolation", "--dry-run", "acme-built")
    refused = ran(made, *wanted)
    assert "there is no acme-built" in refused.stderr
    assert "--from-source builds it, which runs its code" in refused.stderr
    assert not trace.exists()
    built = ran(made, *wanted, "--from-source")
    assert "acme-built 1.0" in built.stdout, built.stderr
    assert trace.exists()


def test_what_would_break_another_is_not_installed(made: tutorial.Environment, shelf: Path) -> None:
    made.run("plugins", "install", *OFFLINE, str(shelf), "--yes", "acme-old")
    done = ran(made, "plugins", "install", *OFFLINE, str(shelf), "--yes", "acme-lib==2.0")
    assert done.returncode != 0
    assert "breaks: acme-old 1.0 needs acme-lib <2, which would be 2.0" in done.stdout
    assert "Ask for other versions" in done.stderr


def test_without_network_pip_or_permission_the_cure_is_said(made: tutorial.Environment, tmp_path: Path) -> None:
    closed = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0"}
    away = ran(made, "plugins", "install", "--yes", "acme", env=closed)
    assert "no package index can be reached" in away.stderr
    assert "--no-index --find-links FOLDER" in away.stderr
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    code = "import sys\nsys.modules['pip'] = None\nsys.argv = ['arthexis', 'plugins', 'install', '--yes', 'acme']\n"
    run = "from arthexis.cli.main import main\nmain()\n"
    without = subprocess.run(
        [str(made.python), "-c", code + run], env=made.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert "pip is not installed" in without.stderr
    assert "-m ensurepip" in without.stderr


def test_an_environment_of_the_operating_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys
    import sysconfig

    from arthexis.errors import Refused
    from arthexis.plugins import packages

    (tmp_path / "EXTERNALLY-MANAGED").write_text("[externally-managed]\n", "utf-8")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(Refused, match="belongs to the operating system") as refused:
        packages.plan(["acme"], packages.Options())
    assert "python3 -m venv" in refused.value.cure


def test_uninstalling_says_what_stays_and_refuses_what_is_needed(made: tutorial.Environment, shelf: Path) -> None:
    made.run("plugins", "install", *OFFLINE, str(shelf), "--yes", "acme-ledger", "acme-roles", "arthexis-acme")
    (made.home).mkdir(exist_ok=True)
    (made.home / "arthexis.toml").write_text("[node]\nrole = 'site'\n", "utf-8")
    made.run("db", "upgrade")
    for name, said in (
        ("acme-ledger", "the role requires acme-ledger:ledger"),
        ("acme-roles", "the role site of this node comes from it"),
        ("arthexis-host", "the host does not uninstall itself"),
        ("acme-lib", "acme-lib brings no plugin and no role"),
        ("acme-none", "acme-none is not installed"),
    ):
        assert said in ran(made, "plugins", "uninstall", "--yes", name).stderr
    assert "another environment" in ran(made, "plugins", "uninstall", "--yes", "--force", "arthexis-webhooks").stderr
    plan = made.run("plugins", "uninstall", "--dry-run", "--force", "ledger").stdout
    assert "tables acme_ledger stay; --drop-tables drops them now" in plan
    told = made.run("plugins", "uninstall", "--force", "--yes", "--drop-tables", "--json", "ledger").stdout
    assert json.loads(told)["distributions"][0]["tables"] == ["acme_ledger"]
    assert listed(made, "ledger") == []
    tables = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('select name from sqlite_master').fetchall())"
    )
    database = str(made.home / "arthexis.db")
    left = subprocess.run([str(made.python), "-c", tables, database], capture_output=True, text=True, check=True).stdout
    assert "station" in left
    assert "acme_ledger" not in left
    assert list((made.home / "backups").glob("before-uninstall-*.db"))
