"""What plugins are promised: the host they ask for, warnings before anything goes, and a wheel that works for ever."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

import arthexis
from arthexis import hookspecs
from arthexis.hookspecs import Retired
from arthexis.plugins.compatibility import needed, unfit
from arthexis.plugins.compose import Selection, compose
from arthexis.plugins.states import State
from arthexis.testing import wire
from tests import tutorial
from tests.wheels import unpacked, wheel

FROZEN = Path(__file__).parent / "frozen"
WHEELS = sorted(FROZEN.glob("*.whl"))


def composed(*patterns: str) -> Any:
    return compose(Selection(patterns), lambda plugin, struct: struct and struct())


# ---------------------------------------------------------------------- the host a plugin is made for


@pytest.mark.parametrize(
    ("requires", "wanted"),
    [
        (["arthexis-host"], ""),
        (["Arthexis_Host>=0.1,<0.2", "click"], "<0.2,>=0.1"),
        (["arthexis-host>=0.1", "arthexis-host<9 ; python_version >= '3'"], ">=0.1,<9"),
        (["arthexis-host>=9 ; extra == 'next'", "arthexis-host[testing]>=9; extra == 'test'"], ""),
        (["arthexis-hostess>=9"], ""),
        (["arthexis-host>=>1"], "arthexis-host>=>1"),
    ],
)
def test_the_host_that_a_plugin_needs_is_read_from_its_requirements(requires: list[str], wanted: str) -> None:
    assert needed(requires) == wanted


@pytest.mark.parametrize(
    ("needs", "version", "fits"),
    [
        (">=0.1,<0.2", "0.1.0", True),
        (">=0.1,<0.2", "0.1.9.dev3", True),
        (">=0.1,<0.2", "0.2.0", False),
        (">=0.2", "0.1.0", False),
        ("", "7", True),
        ("arthexis-host>=>1", "0.1.0", False),
    ],
)
def test_a_plugin_for_another_host_does_not_fit(needs: str, version: str, fits: bool) -> None:
    assert (unfit("acme", needs, version) is None) is fits


def test_a_plugin_for_another_host_is_not_imported_and_says_why(site: Any, arthexis: Any, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    source = {"acme.py": f"open({str(trace)!r}, 'w').close()\n"}
    entries = {"arthexis.plugins": {"acme": "acme"}}
    unpacked(wheel(tmp_path / "wheels", "acme", source, entries=entries, requires=["arthexis-host>=9,<10"]), site.path)
    arthexis.write("[node]\nenable = ['acme:acme']\n")
    arthexis.start("--open")
    told = arthexis("plugins", "info", "acme", "--json").json
    assert (told["state"], told["stage"], told["needs_host"]) == ("failed", "imported", "<10,>=9")
    assert told["reason"] == "it needs arthexis-host <10,>=9, and this is 0.1.0"
    assert told["cure"].startswith("Run: arthexis plugins install --upgrade acme")
    assert told["reason"] in arthexis("plugins", "list").out
    assert not trace.exists()


# ---------------------------------------------------------------------- what is retired

WAITING = """
from arthexis import hookimpl

seen = []

@hookimpl
async def on_connected(station):
    seen.append(station.id)

@hookimpl
async def on_disconnected(station, reason):
    seen.append(reason)
"""
SPEC = "arthexis_spec"


def retire(monkeypatch: pytest.MonkeyPatch, hook: str, **options: Any) -> None:
    """Retire a hook for one test, as ``@hookspec(warn_on_impl=...)`` does."""
    for name, value in options.items():
        monkeypatch.setitem(getattr(getattr(hookspecs, hook), SPEC), name, value)


def test_a_retired_hook_and_a_retired_argument_work_on_with_a_warning(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(WAITING)
    retire(monkeypatch, "on_connected", warn_on_impl=Retired("on_connected", "0.2", "0.3", "on_arrived"))
    gone = Retired("reason of on_disconnected", "0.2", "0.3", "why")
    retire(monkeypatch, "on_disconnected", warn_on_impl_args={"reason": gone, "other": gone})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = composed("acme:acme")
    assert {str(w.message) for w in warned if isinstance(w.message, Retired)} == {
        "on_connected is retired since arthexis-host 0.2 and gone in 0.3: use on_arrived",
        "reason of on_disconnected is retired since arthexis-host 0.2 and gone in 0.3: use why",
    }
    assert any(w.filename.endswith("acme.py") for w in warned), "the author sees his own line"
    [acme] = found.named("acme")
    assert acme.state is State.CONFIGURED
    assert len(acme.retired) == 2
    assert acme.to_dict()["retired"] == list(acme.retired)
    assert [notice.cure for notice in found.notices] == 2 * [
        "Before the host is upgraded, run: arthexis plugins install --upgrade acme"
    ]
    assert found.notices[0].reason.startswith("acme:acme 1.0: on_connected is retired since arthexis-host 0.2")
    assert [plugin.name for plugin, _ in found.hooks["on_connected"]] == ["acme"], "it is still called"


def test_where_warnings_are_errors_the_plugin_fails_and_nothing_else(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(WAITING)
    retire(monkeypatch, "on_connected", warn_on_impl=Retired("on_connected", "0.2", "0.3", "on_arrived"))
    [acme] = composed("acme:acme").named("acme")
    assert (acme.state, acme.stage) == (State.FAILED, State.REGISTERED)
    assert acme.reason == "on_connected is retired since arthexis-host 0.2 and gone in 0.3: use on_arrived"


def test_a_hook_that_is_gone_is_said_with_what_took_its_place(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hookspecs.GONE, "on_here", Retired("on_here", "0.1", "0.2", "on_connected"))
    site.add(WAITING.replace("on_connected", "on_here"))
    [acme] = composed("acme:acme").named("acme")
    assert acme.reason == "the hook on_here is gone since 0.2"
    assert acme.cure.startswith("Its author must use on_connected, or run: arthexis plugins disable ")


def test_what_is_retired_stays_for_one_minor_release_and_not_longer() -> None:
    from packaging.version import Version

    now = Version(arthexis.__version__)
    specs = [getattr(fn, SPEC) for fn in vars(hookspecs).values() if hasattr(fn, SPEC)]
    retired = [w for spec in specs for w in [spec["warn_on_impl"], *(spec["warn_on_impl_args"] or {}).values()] if w]
    for warning in [*retired, *hookspecs.GONE.values()]:
        since, gone_in = Version(warning.since), Version(warning.gone_in)
        assert (since.major, since.minor + 1) == (gone_in.major, gone_in.minor), warning
    assert all(Version(warning.gone_in) > now for warning in retired), "take it out, and enter it in GONE"
    assert all(Version(warning.gone_in) <= now for warning in hookspecs.GONE.values())


# ---------------------------------------------------------------------- the frozen wheel


@pytest.mark.parametrize("frozen", WHEELS, ids=lambda path: path.name)
async def test_a_wheel_that_was_frozen_long_ago_still_answers(frozen: Path, tmp_path: Path) -> None:
    made = tutorial.environment(tmp_path / "env", editable=True)
    made.install(str(frozen))
    made.run("plugins", "enable", "frozen", "--pin")
    made.run("config", "set", "plugins.frozen.price", "0.42")
    async with tutorial.Running(made) as port, wire(f"ws://127.0.0.1:{port}/ocpp/CP-1") as station:
        await station.boot()
        for data, status, answer in (
            ({"messageId": "GetPrice"}, "Accepted", '{"pricePerKwh":0.42,"asked_by":"CP-1"}'),
            ({"messageId": "Ask", "data": '{"kind":"cable"}'}, "Accepted", "CP-1 asks about cable"),
            ({"messageId": "Ask", "data": '{"kind":"secret"}'}, "Rejected", "not told"),
            ({"messageId": "Else"}, "Accepted", None),
        ):
            told = await station.result("DataTransfer", {"vendorId": "com.frozen", **data})
            assert (told["status"], told.get("data")) == (status, answer)
        tag = await station.result("Authorize", {"idTag": "GUEST"})
        assert tag["idTagInfo"]["status"] == "Accepted"
        token = json.loads((made.home / "control.json").read_text())["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with ClientSession(headers=headers) as web:
            answered = await (await web.get(f"http://127.0.0.1:{port}/api/v1/frozen/asked")).json()
        told = json.loads(made.run("plugins", "info", "frozen", "--json").stdout)
    assert answered["asked"] >= 1
    assert answered["stations"] == ["CP-1"]
    assert (told["state"], told["pin"], told["retired"], told["errors"]) == ("active", "1.0", [], 0)
    assert told["provenance"]["integrity"] == "as installed"
    assert made.run("frozen", "10000").stdout.strip() == "3.10"


def test_the_frozen_wheel_is_what_its_source_makes(tmp_path: Path) -> None:
    [frozen] = WHEELS
    source = shutil.copytree(FROZEN / "src", tmp_path / "src")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / frozen.name) as new, zipfile.ZipFile(frozen) as old:
        mine = {name: old.read(name) for name in old.namelist() if ".dist-info/" not in name}
        assert mine == {name: new.read(name) for name in new.namelist() if ".dist-info/" not in name}
        assert old.read("arthexis_frozen-1.0.dist-info/entry_points.txt").strip()
