"""What is installed is listed, and only what was chosen is imported."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from arthexis.errors import ConfigError
from arthexis.plugins.compose import Selection, compose
from arthexis.plugins.discover import discover
from arthexis.plugins.patterns import checked
from arthexis.plugins.states import State
from arthexis.testing import wire

TRACE = "import pathlib\npathlib.Path({path!r}).write_text('I ran')\n"
LOADED = "import sys; print(sorted(m for m in sys.modules if m.startswith('arthexis_ocpp16')))"
HEARTBEAT = """
from arthexis import Action, hookimpl

async def heartbeat(station, call):
    return call.answer(current_time="2026-02-03T04:05:06Z")

@hookimpl
def register_actions():
    yield Action("Heartbeat", heartbeat)
"""


def composed(*patterns: str, **others: Any) -> Any:
    return compose(Selection(tuple(patterns), **others), lambda plugin, struct: struct and struct())


def test_a_rogue_package_is_listed_and_not_a_line_of_it_runs(site: Any, arthexis: Any, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    site.add(TRACE.format(path=str(trace)), "ocpp16.evil", distribution="stranger")
    arthexis.start("--open")
    [rogue] = [p for p in arthexis("plugins", "list", "--json").json if p["distribution"] == "stranger"]
    assert (rogue["name"], rogue["state"]) == ("ocpp16.evil", "found")
    assert rogue["cure"] == "Run: arthexis plugins enable stranger:ocpp16.evil"
    assert not trace.exists()


def test_a_plugin_that_is_chosen_does_run(site: Any, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    pattern = site.add(TRACE.format(path=str(trace)))
    assert composed(pattern).named("acme")[0].state is State.CONFIGURED
    assert trace.exists()


def test_safe_mode_runs_no_plugin_at_all_and_keeps_stations_waiting(site: Any, arthexis: Any, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    pattern = site.add(TRACE.format(path=str(trace)))
    arthexis.write(f"[node]\nenable = ['{pattern}']\n")
    arthexis.start("--safe-mode")
    assert {p["state"] for p in arthexis("plugins", "list", "--json").json} == {"found"}
    status = arthexis("status", "--json").json
    assert status["recovery"] == ["safe mode: no plugin runs. End it with: arthexis restart"]
    assert not trace.exists()


@pytest.mark.parametrize("pattern", ["*:ocpp16.heartbeat", "arthexis-*:x", "[a]b:x", "acme", ":x", "acme:", "?:x"])
def test_a_pattern_names_its_distribution_in_full(pattern: str) -> None:
    with pytest.raises(ConfigError, match="names no plugin"):
        checked(pattern, "node.enable")


@pytest.mark.parametrize("spelling", ["Acme_Wall.Box", "acme-wall-box", "ACME.wall--box"])
def test_all_spellings_of_a_distribution_are_one(spelling: str) -> None:
    assert checked(f"{spelling}:price", "node.enable") == "acme-wall-box:price"


def test_a_wildcard_means_only_plugins_of_its_own_distribution(site: Any) -> None:
    site.add("", "ocpp16.evil", distribution="stranger", files={"ocpp16_evil.py": ""})
    states = {p.full_name: p.state for p in composed("arthexis-ocpp16:*").plugins}
    assert states["stranger:ocpp16.evil"] is State.FOUND
    assert states["arthexis-ocpp16:ocpp16.heartbeat"] is State.CONFIGURED


@pytest.mark.parametrize("broken", ["", "Metadata-Version: 2.1\n", "\udcff\udcfe"])
def test_broken_metadata_of_one_distribution_hides_no_other(site: Any, broken: str) -> None:
    acme = site.add("")
    info = site.path / "odd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(broken.encode("utf-8", "surrogateescape"))
    (info / "entry_points.txt").write_bytes(b"[arthexis.plugins]\nodd = odd\n\xff\xfe = x\n")
    assert acme in {plugin.full_name for plugin in discover()}


def test_of_a_shadowed_distribution_only_the_first_is_listed(site: Any, tmp_path: Path) -> None:
    site.add("")
    other = type(site)(tmp_path / "other")
    other.add("raise SystemExit", "acme")
    sys.path.append(str(other.path))
    try:
        assert [p.full_name for p in discover() if p.distribution == "acme"] == ["acme:acme"]
    finally:
        sys.path.remove(str(other.path))


async def test_heartbeat_off_is_not_supported_and_not_imported(arthexis: Any, site: Any, tmp_path: Path) -> None:
    probe = site.add(
        "import sys, pathlib\nfrom contextlib import asynccontextmanager\nfrom arthexis import hookimpl\n\n"
        "@hookimpl\n@asynccontextmanager\nasync def lifespan(ctx):\n"
        f"    pathlib.Path({str(tmp_path / 'modules')!r}).write_text('\\n'.join(sys.modules))\n    yield\n"
    )
    arthexis.write(f"[node]\nenable = ['{probe}']\ndisable = ['arthexis-ocpp16:ocpp16.heartbeat']\n")
    arthexis.start("--open")
    async with wire(arthexis.station_url("CP-1")) as cp:
        await cp.boot()
        assert await cp.error("Heartbeat") == "NotSupported"
        assert await cp.error("Foo") == "NotImplemented"
    modules = (tmp_path / "modules").read_text().split()
    assert "arthexis_ocpp16.boot_notification" in modules
    assert "arthexis_ocpp16.heartbeat" not in modules


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with a Heartbeat of its own, which requires arthexis-host and nothing else."""
    project = tmp_path / "acme"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    (project / "setup.cfg").write_text(
        "[metadata]\nname = acme-heartbeat\nversion = 1.0\n[options]\npy_modules = acme_heartbeat\n"
        "install_requires =\n    arthexis-host\n"
        "[options.entry_points]\narthexis.plugins =\n    acme.heartbeat = acme_heartbeat\n"
    )
    (project / "acme_heartbeat.py").write_text(HEARTBEAT)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--quiet"]
    subprocess.run([*pip, "-w", tmp_path / "wheels", project], check=True, timeout=120)
    return next((tmp_path / "wheels").glob("acme_heartbeat-1.0-*.whl"))


async def test_an_out_of_tree_wheel_replaces_heartbeat(arthexis: Any, site: Any, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as built:
        built.extractall(site.path)
    both = arthexis("plugins", "enable", "acme.heartbeat", "--json").json
    assert both["enable"] == ["acme-heartbeat:acme.heartbeat"]
    listed = {p["name"]: p for p in arthexis("plugins", "list", "--json").json}
    for name, other in (("acme.heartbeat", "ocpp16.heartbeat"), ("ocpp16.heartbeat", "acme.heartbeat")):
        assert listed[name]["state"] == "failed"
        assert listed[name]["reason"].endswith("both offer the same")
        assert name in listed[name]["reason"]
        assert other in listed[name]["reason"]
    told = arthexis("plugins", "enable", "acme.heartbeat", "--instead-of", "ocpp16.heartbeat")
    assert str(arthexis.file) in told.out
    assert "from the next start on" in told.out
    arthexis.start("--open")
    async with wire(arthexis.station_url("CP-1")) as cp:
        await cp.boot()
        assert await cp.result("Heartbeat") == {"currentTime": "2026-02-03T04:05:06Z"}
