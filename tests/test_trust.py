"""Nothing runs that nobody chose: strangers are listed, pins hold, and files are those that were installed."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from arthexis import roles
from arthexis.config import Node
from arthexis.errors import ConfigError
from arthexis.plugins.compose import Selection, compose
from arthexis.plugins.patterns import Pin, checked, pinned
from arthexis.plugins.states import State
from arthexis.testing import wire
from tests.wheels import unpacked, wheel

GROUP = "arthexis.plugins"
QUIET = '"""Does nothing."""\n'


def trap(trace: Path) -> str:
    """Source text that leaves a trace wherever it is run."""
    return f"import pathlib\nwith pathlib.Path({str(trace)!r}).open('a') as f:\n    print(__name__, file=f)\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """The file that is written as soon as a line of the rogue runs."""
    return tmp_path / "trace"


@pytest.fixture
def rogue(site: Any, trace: Path, tmp_path: Path) -> Any:
    """A stranger's distribution, installed: a plugin of a trusted name, a role, alembic's kin."""
    source = trap(trace)
    role = "summary = 'Evil'\nplugins = ['stranger:*', 'arthexis-ocpp16:*']\n"
    made = wheel(
        tmp_path / "wheels",
        "stranger",
        {
            "stranger/__init__.py": source,
            "stranger/evil.py": source,
            "stranger/night.toml": role,
            "arthexis_ocpp16/evil.py": source,
        },
        entries={
            GROUP: {"ocpp16.evil": "stranger.evil", "evil.too": "arthexis_ocpp16.evil"},
            "arthexis.roles": {"night": "stranger:night"},
            "alembic.plugins": {"stranger": "stranger"},
            "sqlalchemy.plugins": {"stranger": "stranger:Evil"},
            "stevedore.example": {"stranger": "stranger"},
        },
        requires=["arthexis-host"],
    )
    unpacked(made, site.path)
    return site


COMMANDS = (
    ("--help",),
    ("plugins", "list", "--json"),
    ("plugins", "info", "ocpp16.evil"),
    ("plugins", "explain", "Heartbeat"),
    ("plugins", "explain", "ocpp16.evil"),
    ("roles", "list"),
    ("roles", "show", "night"),
    ("config", "schema"),
    ("db", "upgrade"),
    ("stations", "list"),
    ("evil",),
    ("status",),
)


def test_no_command_runs_a_line_of_a_stranger(rogue: Any, arthexis: Any, trace: Path) -> None:
    with ThreadPoolExecutor(4) as at_once:
        for command, done in zip(COMMANDS, at_once.map(lambda command: arthexis(*command), COMMANDS), strict=True):
            assert "Traceback" not in done.err, command
    assert not trace.exists(), f"ran: {trace.read_text()}"
    shell = {"_ARTHEXIS_COMPLETE": "bash_complete", "COMP_WORDS": "arthexis plugins info ocpp16.e", "COMP_CWORD": "3"}
    arthexis(env=shell)
    assert not trace.exists()


async def test_a_node_beside_a_stranger_charges_and_lists_it(rogue: Any, arthexis: Any, trace: Path) -> None:
    arthexis.start("--open")
    async with wire(arthexis.station_url("CP-1")) as cp:
        await cp.boot()
        assert "currentTime" in await cp.result("Heartbeat")
        assert await cp.error("Evil") == "NotImplemented"
    listed = {p["name"]: p for p in arthexis("plugins", "list", "--json").json if p["distribution"] == "stranger"}
    assert set(listed) == {"ocpp16.evil", "evil.too"}
    evil = listed["ocpp16.evil"]
    assert (evil["state"], evil["chosen_by"]) == ("found", "")
    assert evil["cure"] == "Run: arthexis plugins enable stranger:ocpp16.evil"
    assert evil["provenance"]["location"] == os.path.normcase(str(rogue.path))
    assert evil["provenance"]["integrity"] == "as installed"
    assert "night" in {role["name"] for role in arthexis("roles", "list", "--json").json}
    assert not trace.exists()


def test_what_is_installed_while_the_node_runs_is_listed_and_not_run(
    site: Any, arthexis: Any, trace: Path, tmp_path: Path
) -> None:
    arthexis.start("--open")
    installed(site, tmp_path, "acme", {"acme/__init__.py": trap(trace)})
    [acme] = [p for p in arthexis("plugins", "list", "--json").json if p["name"] == "acme"]
    assert (acme["state"], acme["reason"]) == ("found", "installed since the node started")
    assert acme["cure"] == "Run: arthexis plugins enable acme:acme, then: arthexis restart"
    shown = arthexis("plugins", "info", "acme").out
    assert "files: integrity  as installed" in shown
    assert not trace.exists()


def composed(*patterns: str, **others: Any) -> Any:
    return compose(Selection(tuple(patterns), **others), lambda plugin, struct: struct and struct())


def installed(site: Any, tmp_path: Path, name: str, files: dict[str, str], **others: Any) -> None:
    entries = {GROUP: {name: next(iter(files)).partition("/")[0].removesuffix(".py")}}
    unpacked(wheel(tmp_path / "wheels", name, files, entries=entries, **others), site.path)
    site.modules.update(path.partition("/")[0].removesuffix(".py") for path in files)


# ---------------------------------------------------------------------- strangers among trusted files


def test_a_package_of_the_same_name_earlier_on_the_path_is_not_run(
    site: Any, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": QUIET})
    other = unpacked(wheel(tmp_path / "wheels", "shadow", {"acme/__init__.py": trap(trace)}), tmp_path / "earlier")
    monkeypatch.syspath_prepend(str(other))
    [acme] = composed("acme:acme").named("acme")
    assert (acme.state, acme.stage) == (State.FAILED, State.IMPORTED)
    assert str(other) in acme.reason
    assert acme.cure == "Run: arthexis plugins uninstall shadow"
    assert not trace.exists()


def test_files_that_a_stranger_wrote_over_are_not_run(site: Any, trace: Path, tmp_path: Path) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": QUIET, "acme/inner.py": QUIET})
    unpacked(wheel(tmp_path / "wheels", "thief", {"acme/inner.py": trap(trace)}), site.path)
    [acme] = composed("acme:acme").named("acme")
    assert acme.reason == f"thief has overwritten {os.path.join('acme', 'inner.py')}"
    assert acme.cure == "Run: arthexis plugins uninstall thief, and reinstall this one"
    assert not trace.exists()


@pytest.mark.parametrize("added", ["acme/inner/__init__.py", "acme/later.py"])
def test_modules_that_a_stranger_added_to_a_package_keep_it_from_running(
    site: Any, trace: Path, tmp_path: Path, added: str
) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": "from . import inner\n", "acme/inner.py": QUIET})
    unpacked(wheel(tmp_path / "wheels", "thief", {added: trap(trace)}), site.path)
    [acme] = composed("acme:acme").named("acme")
    assert acme.state is State.FAILED
    assert "thief has overwritten" in acme.reason
    assert not trace.exists()


def test_a_file_that_a_person_changed_is_said_and_runs_on(site: Any, tmp_path: Path) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": QUIET})
    (site.path / "acme" / "__init__.py").write_text("MENDED = True\n")
    found = composed("acme:acme")
    assert found.named("acme")[0].state is State.CONFIGURED
    assert [notice.reason for notice in found.notices] == [
        "files of acme are not as they were installed: acme/__init__.py"
    ]


def test_a_pinned_plugin_runs_only_as_it_was_installed(site: Any, tmp_path: Path) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": QUIET})
    (site.path / "acme" / "__init__.py").write_text("MENDED = True\n")
    [acme] = composed("acme:acme", pins=(Pin("acme:acme", "1.0", "node.enable"),)).named("acme")
    assert acme.state is State.FAILED
    assert acme.reason == "it is pinned, and its files are not as they were installed: acme/__init__.py"


# ---------------------------------------------------------------------- pins


@pytest.mark.parametrize(
    ("pin", "state"),
    [("1.0", "configured"), ("1", "configured"), ("1.*", "configured"), ("1.1", "failed"), ("1.0.post1", "failed")],
)
def test_only_the_pinned_version_is_imported(site: Any, tmp_path: Path, trace: Path, pin: str, state: str) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": trap(trace)})
    chosen = roles.selection([roles.BARE_ROLE], Node(enable=[f"Acme:acme=={pin}"]))
    [acme] = compose(chosen, lambda plugin, struct: None).named("acme")
    assert (acme.state, acme.pin, acme.chosen_by) == (state, pin, "node.enable")
    assert trace.exists() is (state == "configured")
    if state == "failed":
        assert acme.reason == f"version 1.0 is installed, and node.enable pins it to {pin}"
        assert f"arthexis plugins install 'acme=={pin}'" in acme.cure
        assert "arthexis plugins enable acme:acme==1.0" in acme.cure


def test_the_nearest_pin_counts(site: Any, tmp_path: Path) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": QUIET})
    line = [
        roles.Role(name="far", summary="x", plugins=["acme:*==3"]),
        roles.Role(name="near", summary="x", required=["acme:acme==2"]),
    ]
    [acme] = compose(roles.selection(line, Node()), lambda plugin, struct: None).named("acme")
    assert acme.reason == "version 1.0 is installed, and role near pins it to 2"
    assert acme.chosen_by == "role far, role near"
    [acme] = compose(roles.selection(line, Node(enable=["acme:acme==1.0"])), lambda p, s: None).named("acme")
    assert acme.state is State.CONFIGURED


@pytest.mark.parametrize("text", ["acme:acme==", "acme:acme==new", "acme:acme>=1", "acme:acme~=1", "acme:acme=1.0"])
def test_what_is_no_pin_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _ = pinned(text, "node.enable"), checked(text, "node.enable")
    assert refused.value.cure == "Pin one version: distribution:name==1.2"


def test_the_command_enable_pins(site: Any, tmp_path: Path, arthexis: Any) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": QUIET})
    assert arthexis("plugins", "enable", "acme==1.1", "--json").json["enable"] == ["acme:acme==1.1"]
    [acme] = [p for p in arthexis("plugins", "list", "--json").json if p["name"] == "acme"]
    assert (acme["state"], acme["pin"]) == ("failed", "1.1")
    assert arthexis("plugins", "enable", "acme", "--pin", "--json").json["enable"] == ["acme:acme==1.0"]
    assert arthexis("plugins", "enable", "acme", "--json").json["enable"] == ["acme:acme"]
    assert arthexis("plugins", "disable", "acme", "--json").json["enable"] == []


# ---------------------------------------------------------------------- provenance


def test_the_same_wheel_has_the_same_hash_wherever_it_is_installed(tmp_path: Path, arthexis: Any, site: Any) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": QUIET})
    first = arthexis("plugins", "info", "acme", "--json").json["provenance"]
    elsewhere = unpacked(next((tmp_path / "wheels").iterdir()), tmp_path / "elsewhere")
    second = arthexis("plugins", "info", "acme", "--json", env={"PYTHONPATH": str(elsewhere)}).json["provenance"]
    assert first["sha256"] == second["sha256"]
    assert len(first["sha256"]) == 64
    assert first["location"] != second["location"]
    (elsewhere / "acme" / "__init__.py").write_text("changed = 1\n")
    third = arthexis("plugins", "info", "acme", "--json", env={"PYTHONPATH": str(elsewhere)}).json["provenance"]
    assert third["sha256"] != first["sha256"]
    assert (third["integrity"], third["changed"]) == ("changed", ["acme/__init__.py"])


def test_an_editable_installation_is_said_as_such(arthexis: Any) -> None:
    came = arthexis("plugins", "info", "ocpp16.heartbeat", "--json").json["provenance"]
    assert (came["integrity"], came["sha256"]) == ("editable", None)
    assert came["source"].startswith("file:")


def test_a_record_that_leads_to_a_device_or_out_of_the_folder_is_only_wrong(site: Any, arthexis: Any) -> None:
    site.add("", "odd")
    info = next(site.path.glob("odd-*.dist-info"))
    record = "odd.py,sha256=x,1\n../../../../../../../../dev/zero,sha256=x,1\nnowhere.py,md5=x,1\n"
    (info / "RECORD").write_text(record)
    (info / "direct_url.json").write_text('{"url": "https://user:secret@host.invalid/odd.git", "vcs_info": 7}')
    came = arthexis("plugins", "info", "odd", "--json").json["provenance"]
    assert came["integrity"] == "changed"
    assert len(came["changed"]) == 3
    assert came["source"] == "https://host.invalid/odd.git"


def test_safe_mode_imports_no_plugin_of_the_role_either(arthexis: Any, site: Any, trace: Path, tmp_path: Path) -> None:
    installed(site, tmp_path, "acme", {"acme/__init__.py": trap(trace)})
    arthexis.write("[node]\nenable = ['acme:acme']\n")
    arthexis.start("--safe-mode")
    assert {p["state"] for p in arthexis("plugins", "list", "--json").json} == {"found"}
    assert not trace.exists()
    arthexis("stop")
    assert "acme" not in sys.modules
