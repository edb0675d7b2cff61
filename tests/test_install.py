"""Installing and uninstalling plugins: pip in a real environment, offline, with a plan before anything is done."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import sysconfig
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from arthexis.cli.main import main
from arthexis.errors import Refused, Unavailable
from arthexis.plugins import packages
from arthexis.testing import wire
from tests import tutorial
from tests.wheels import unpacked, wheel

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


def ran(made: tutorial.Environment, *args: str, answer: str = "") -> Any:
    """Run a command, whatever its status is."""
    command = [str(made.python), "-m", "arthexis", *args]
    return subprocess.run(
        command,
        cwd=made.folder,
        env=made.environ,
        input=answer,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def listed(made: tutorial.Environment, name: str) -> list[dict[str, Any]]:
    return [p for p in json.loads(made.run("plugins", "list", "--json").stdout) if p["name"] == name]


async def test_a_wheel_is_installed_found_enabled_and_answers(made: tutorial.Environment, shelf: Path) -> None:
    refused = ran(made, "plugins", "install", *OFFLINE, str(shelf), "arthexis-acme==1.0", answer="n\n")
    assert "arthexis-acme 1.0, from file:" in refused.stdout
    assert "acme-lib 2.0, which it needs" in refused.stdout
    assert "plugin arthexis-acme:acme: found, and not run until it is enabled" in refused.stdout
    assert refused.returncode == 1
    assert "nothing is changed: you said no" in refused.stderr
    unasked = ran(made, "plugins", "install", *OFFLINE, str(shelf), "arthexis-acme==1.0")
    assert unasked.returncode == 1
    assert "nobody is there to answer\n  To go on without being asked: --yes" in unasked.stderr
    done = ran(made, "plugins", "install", *OFFLINE, str(shelf), "arthexis-acme==1.0", answer="y\n")
    assert done.returncode == 0, done.stderr
    assert "installed arthexis-acme 1.0" in done.stdout
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


def offline(shelf: Path, *wanted: str, **how: Any) -> packages.Plan:
    """The plan of this process's pip for these, from a folder of wheels alone."""
    return packages.plan(wanted, packages.Options(find_links=(str(shelf),), no_index=True, **how))


@pytest.mark.parametrize(
    ("wanted", "said", "cure"),
    [
        (["acme-next"], "acme-next 1.0 depends on arthexis-host>=9", "the host stays 0.1.0"),
        (["acme-old", "acme-lib==2.0"], "acme-old 1.0 depends on acme-lib<2", "other versions"),
        (["arthexis-acme==7"], "there is no arthexis-acme==7; there are 1.0, 2.0", "name and version"),
        (["acme-nowhere"], "there is no acme-nowhere", "name and version"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(shelf: Path, wanted: list[str], said: str, cure: str) -> None:
    with pytest.raises(Refused) as refused:
        offline(shelf, *wanted)
    assert said in refused.value.problem
    assert cure in refused.value.cure


@pytest.mark.parametrize("given", ["-rlist.txt", "--index-url=http://127.0.0.1:9/", "-"])
def test_no_requirement_becomes_an_option_of_pip(shelf: Path, given: str) -> None:
    with pytest.raises(Refused, match="is no requirement"):
        offline(shelf, "acme-lib", given)


def test_a_package_without_a_hash_takes_the_hashes_of_no_other(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = offline(shelf, "acme-lib==1.0", "acme-old")
    other = {"acme-lib": "0" * 64, "acme-old": None}
    changes = tuple(replace(change, sha256=other[change.distribution]) for change in shown.changes)
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "target"))
    with pytest.raises(Refused, match="DO NOT MATCH THE HASHES"):
        packages.carry_out(replace(shown, changes=changes))
    assert not (tmp_path / "target").exists()


def test_only_what_is_named_is_installed_again_from_a_folder_that_lacks_what_it_needs(
    site: Any, tmp_path: Path
) -> None:
    needs = ["arthexis-host>=0.1,<0.2", "alembic"]
    built = wheel(
        tmp_path, "acme-alone", {"acme_alone.py": "A = 1"}, entries={GROUP: {"a": "acme_alone"}}, requires=needs
    )
    unpacked(built, site.path)
    [change] = offline(tmp_path, "acme-alone==1.0", force_reinstall=True).changes
    assert (change.distribution, change.before, change.version) == ("acme-alone", "1.0", "1.0")


def test_the_host_is_in_no_plan(tmp_path: Path) -> None:
    wheel(tmp_path, "arthexis-host", {"arthexis_again.py": ""}, version="0.1.0")
    with pytest.raises(Refused, match="the host does not install itself"):
        offline(tmp_path, "arthexis-host", force_reinstall=True)


def test_nothing_is_built_and_so_run_for_a_plan_unless_it_is_asked_for(tmp_path: Path) -> None:
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
    with pytest.raises(Refused, match="there is no acme-built") as refused:
        offline(shelf, "acme-built", no_build_isolation=True)
    assert "--from-source builds it, which runs its code" in refused.value.cure
    assert not trace.exists()
    [change] = offline(shelf, "acme-built", no_build_isolation=True, from_source=True).changes
    assert (change.distribution, change.version) == ("acme-built", "1.0")
    assert trace.exists()


def test_what_would_break_another_is_said(site: Any, shelf: Path) -> None:
    unpacked(shelf / "acme_old-1.0-py3-none-any.whl", site.path)
    planned = offline(shelf, "acme-lib==2.0")
    assert planned.breaks == ("acme-old 1.0 needs acme-lib <2, which would be 2.0",)


def test_without_a_network_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(Unavailable, match="no package index can be reached") as away:
        packages.plan(["acme"], packages.Options())
    assert "--no-index --find-links FOLDER" in away.value.cure


def test_without_pip_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(Unavailable, match="pip is not installed") as missing:
        packages.plan(["acme"], packages.Options())
    assert "-m ensurepip" in missing.value.cure


def test_an_environment_of_the_operating_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").write_text("[externally-managed]\n", "utf-8")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(Refused, match="belongs to the operating system") as refused:
        packages.plan(["acme"], packages.Options())
    assert "python3 -m venv" in refused.value.cure


def typed(monkeypatch: pytest.MonkeyPatch, home: Path, *args: str) -> Any:
    """A command line in this process; its result with ``output`` and ``exit_code``."""
    monkeypatch.setenv("ARTHEXIS_HOME", str(home))
    return CliRunner().invoke(main, args)


def test_what_is_needed_is_not_uninstalled(
    site: Any, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in shelf.glob("*-1.0-*.whl"):
        unpacked(path, site.path)
        site.modules.add(path.name.partition("-")[0])
    (tmp_path / "arthexis.toml").write_text("[node]\nrole = 'site'\n", "utf-8")
    for name, said in (
        ("acme-ledger", "the role requires acme-ledger:ledger"),
        ("ledger", "the role requires acme-ledger:ledger"),
        ("acme-roles", "the role site of this node comes from it"),
        ("arthexis-host", "the host does not uninstall itself"),
        ("acme-lib", "acme-lib brings no plugin and no role"),
        ("acme-none", "acme-none is not installed"),
    ):
        done = typed(monkeypatch, tmp_path, "plugins", "uninstall", "--dry-run", name)
        assert said in done.output, done.output
        assert done.exit_code != 0
    plan = typed(monkeypatch, tmp_path, "plugins", "uninstall", "--dry-run", "--json", "--force", "acme-roles")
    assert json.loads(plan.stdout)["distributions"][0]["roles"] == ["site"]


def test_uninstalling_says_which_tables_stay_and_drops_them_if_wished(made: tutorial.Environment, shelf: Path) -> None:
    made.run("plugins", "install", *OFFLINE, str(shelf), "--yes", "--enable", "acme-ledger")
    made.run("db", "upgrade")
    plan = made.run("plugins", "uninstall", "--dry-run", "ledger").stdout
    assert "tables acme_ledger stay; --drop-tables drops them now" in plan
    told = made.run("plugins", "uninstall", "--yes", "--drop-tables", "--json", "ledger").stdout
    assert json.loads(told)["distributions"][0]["tables"] == ["acme_ledger"]
    assert listed(made, "ledger") == []
    with closing(sqlite3.connect(made.home / "arthexis.db")) as database:
        left = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
    assert "station" in left
    assert not {name for name in left if "acme_ledger" in name}
    assert list((made.home / "backups").glob("before-uninstall-*.db"))
    away = ran(made, "plugins", "uninstall", "--yes", "arthexis-webhooks")
    assert "It belongs to another environment" in away.stderr
