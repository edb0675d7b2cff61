"""The distributions as they leave: they hold everything, and a node made of nothing but wheels charges a car."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from aiohttp import ClientSession

import arthexis
from arthexis.testing import wire
from tests import tutorial
from tests.needs import lacks

ROOT = tutorial.ROOT
ROOMS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/setup.cfg"))]
MOST_REQUIREMENTS = 12
AT_THE_HARDWARE = ("lcd", "rfid", "wifi_ap")
"""Plugins that run on a Raspberry Pi, where there is no compiler."""
SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-11-24T10:00:00Z"}


def _config(room: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(room / "setup.cfg", encoding="utf-8")
    return parser


def _name(room: Path) -> str:
    return _config(room)["metadata"]["name"].replace("-", "_")


def _copy_of_the_clone(folder: Path) -> Path:
    """The files that git knows or would take, so that nothing that lies about gets into a wheel."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a clone")
    for name in filter(None, listed.stdout.decode("utf-8").split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every distribution of the clone as a wheel and a source archive, built here without the net, by file name."""
    clone = _copy_of_the_clone(tmp_path_factory.mktemp("clone"))
    out = tmp_path_factory.mktemp("dist")
    rooms = [str(clone / room.relative_to(ROOT)) for room in ROOMS]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "-w", str(out), *rooms], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for room in rooms:
        command = [sys.executable, "-c", SDIST, str(out)]
        subprocess.run(command, cwd=room, capture_output=True, text=True, check=True)
    return {path.name: path for path in out.iterdir()}


def _artifact(built: dict[str, Path], room: Path, suffix: str) -> Path:
    [found] = [path for name, path in built.items() if name.startswith(f"{_name(room)}-") and name.endswith(suffix)]
    return found


def _packaged(room: Path) -> set[str]:
    """What the packages of a distribution hold, relative to where they are installed."""
    source = room if room == ROOT else room / "src"
    tops = ["arthexis"] if room == ROOT else [_name(room)]
    files = {path for top in tops for path in (source / top).rglob("*") if path.is_file()}
    return {path.relative_to(source).as_posix() for path in files if "__pycache__" not in path.parts}


@pytest.mark.parametrize("room", ROOMS, ids=_name)
def test_a_wheel_holds_the_whole_package_and_nothing_else(built: dict[str, Path], room: Path) -> None:
    with zipfile.ZipFile(_artifact(built, room, ".whl")) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == _packaged(room)


@pytest.mark.parametrize("room", ROOMS, ids=_name)
def test_a_source_archive_holds_what_its_wheel_is_made_of(built: dict[str, Path], room: Path) -> None:
    with tarfile.open(_artifact(built, room, ".tar.gz")) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    below = "" if room == ROOT else "src/"
    wanted = {below + name for name in _packaged(room)} | {"LICENSE", "README.md", "setup.cfg", "pyproject.toml"}
    assert wanted - held == set()


def _metadata(built: dict[str, Path], room: Path) -> Message:
    with zipfile.ZipFile(_artifact(built, room, ".whl")) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(wheel.read(name).decode("utf-8"))


@pytest.mark.parametrize("room", ROOMS, ids=_name)
def test_the_metadata_of_all_distributions_agree(built: dict[str, Path], room: Path) -> None:
    told = _metadata(built, room)
    assert told["Version"] == arthexis.__version__
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Requires-Python"] == ">=3.11"
    assert told["Author"] == "The Arthexis team"
    assert told.get_all("License-File") == ["LICENSE"]
    classifiers = set(told.get_all("Classifier", []))
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= classifiers
    typed = any(name.endswith("py.typed") for name in _packaged(room))
    assert ("Typing :: Typed" in classifiers) is typed
    ours = [need for need in told.get_all("Requires-Dist", []) if need.startswith("arthexis-")]
    assert all("<0.2" in need and ">=0.1" in need for need in ours), ours
    assert room == ROOT or ours, "a plugin names the host it is made for"


@pytest.mark.parametrize("room", ROOMS, ids=_name)
def test_every_distribution_is_built_by_the_same_three_lines(room: Path) -> None:
    assert (room / "pyproject.toml").read_bytes() == (ROOT / "pyproject.toml").read_bytes()
    assert len((room / "pyproject.toml").read_text("utf-8").splitlines()) == 3
    assert (room / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_host_needs_about_a_dozen_packages(built: dict[str, Path]) -> None:
    needs = [need for need in _metadata(built, ROOT).get_all("Requires-Dist", []) if "extra" not in need]
    assert len(needs) <= MOST_REQUIREMENTS, needs


def _needs(names: tuple[str, ...]) -> list[str]:
    """What these plugins require beside our own distributions, as far as they are in this clone."""
    rooms = [ROOT / "plugins" / name for name in names]
    given = [_config(room)["options"]["install_requires"] for room in rooms if (room / "setup.cfg").exists()]
    lines = [line.strip() for text in given for line in text.splitlines()]
    return sorted({line for line in lines if line and not line.startswith("arthexis-")})


@pytest.mark.parametrize("python", ["311", "313"])
def test_what_the_hardware_needs_is_there_for_a_raspberry_pi_without_a_compiler(python: str, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "-d", str(tmp_path)]
    wanted = _needs(AT_THE_HARDWARE)
    assert wanted
    if subprocess.run([*pip, "--no-deps", "pip"], capture_output=True, check=False).returncode != 0:
        lacks("no package index can be reached: it does not even have pip")
    glibc = [option for tag in ("manylinux2014", "manylinux_2_28") for option in ("--platform", f"{tag}_aarch64")]
    abis = [option for abi in (f"cp{python}", "abi3", "none") for option in ("--abi", abi)]
    there = ["--only-binary=:all:", *glibc, "--implementation", "cp", "--python-version", python, *abis]
    done = subprocess.run([*pip, *there, *wanted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_the_host_alone_serves_its_page_and_implements_nothing(built: dict[str, Path], tmp_path: Path) -> None:
    made = tutorial.environment(tmp_path / "env", editable=False)
    made.install(str(_artifact(built, ROOT, ".whl")))
    async with tutorial.Running(made) as port, ClientSession() as web:
        page = await (await web.get(f"http://127.0.0.1:{port}/")).text()
        assert "arthexis-ocpp16" in page, "the page says what to install"
        async with wire(f"ws://127.0.0.1:{port}/ocpp/CP-1") as station:
            assert await station.error("Heartbeat") == "NotImplemented"
            assert await station.error("BootNotification", {"any": "thing"}) == "NotImplemented"


async def test_a_stranger_writes_tests_installs_and_runs_a_plugin(built: dict[str, Path], tmp_path: Path) -> None:
    """With wheels of the host, of OCPP 1.6 and of what arthexis-host[testing] brings, and nothing of this clone."""
    made = tutorial.environment(tmp_path / "env", editable=False)
    made.install(*(str(_artifact(built, ROOT / room, ".whl")) for room in (".", "plugins/ocpp16", "plugins/simulator")))
    made.run("plugins", "new", "acme", "--into", str(tmp_path))
    room = tmp_path / "arthexis-acme"
    made.install(str(room))
    ini = ("-c", str(room / "setup.cfg"), "--rootdir", str(room))
    tested = made.run("-q", "-p", "no:cacheprovider", *ini, str(room / "tests"), module="pytest")
    assert "1 passed" in tested.stdout
    made.run("config", "set", "node.enable", '["arthexis-ocpp16:*"]')
    made.run("plugins", "enable", "arthexis-acme:acme")
    async with tutorial.Running(made) as port, wire(f"ws://127.0.0.1:{port}/ocpp/CP-1") as station:
        await station.boot()
        answer = await station.result("DataTransfer", {"vendorId": "com.acme", "messageId": "GetPrice"})
    assert answer == {"status": "Accepted", "data": '{"pricePerKwh":0.31,"asked_by":"CP-1"}'}


async def test_a_node_made_of_wheels_charges_a_car(built: dict[str, Path], tmp_path: Path) -> None:
    made = tutorial.environment(tmp_path / "env", editable=False)
    made.install(*(str(_artifact(built, room, ".whl")) for room in ROOMS))
    assert json.loads(made.run("status", "--json").stdout)["role"] == "terminal"
    async with tutorial.Running(made) as port, wire(f"ws://127.0.0.1:{port}/ocpp/CP-1") as station:
        await station.boot()
        number = (await station.result("StartTransaction", START))["transactionId"]
        stop = {"transactionId": number, "meterStop": 350, "timestamp": "2026-11-24T11:00:00Z"}
        assert await station.result("StopTransaction", stop) == {}
    assert json.loads(made.run("transactions", "show", str(number), "--json").stdout)["energy_wh"] == 250
    states = made.run("plugins", "list").stdout
    assert "failed" not in states, states


PRICE = {"vendorId": "com.voltwerk", "messageId": "GetPrice", "data": '{"kwh": 10}'}
SAMPLE = {"vendorId": "com.sunbox", "messageId": "Telemetry", "data": '{"number": 7, "celsius": 41.5}'}


def _strangers(folder: Path) -> list[Path]:
    """The wheels of two vendors, built from a folder that is no part of the clone."""
    ignored = shutil.ignore_patterns("*.egg-info", "build")
    names = ("arthexis-voltwerk", "arthexis-sunbox")
    rooms = [shutil.copytree(ROOT / "docs" / "examples" / name, folder / name, ignore=ignored) for name in names]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "-w", str(folder / "wheels"), *map(str, rooms)]
    subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return sorted((folder / "wheels").iterdir())


def _installed_host(made: tutorial.Environment) -> dict[Path, bytes]:
    site = next(made.folder.glob("lib/python*/site-packages"), made.folder / "Lib" / "site-packages")
    return {path: path.read_bytes() for path in (site / "arthexis").rglob("*.py")}


async def _told(made: tutorial.Environment, *messages: dict[str, str]) -> list[dict[str, str]]:
    """What a station of the running node is answered to DataTransfers, over a socket."""
    url = json.loads((made.home / "control.json").read_bytes())["url"].replace("http", "ws", 1)
    async with wire(f"{url}/ocpp/CP-1") as station:
        await station.boot()
        return [await station.result("DataTransfer", message) for message in messages]


async def test_a_stranger_s_wheel_is_installed_enabled_and_answers_after_a_restart(
    built: dict[str, Path], tmp_path: Path
) -> None:
    made = tutorial.environment(tmp_path / "env", editable=False)
    made.install(*(str(_artifact(built, room, ".whl")) for room in ROOMS))
    host = _installed_host(made)
    wheels = _strangers(tmp_path / "elsewhere")
    async with tutorial.Running(made):
        unknown = {"status": "UnknownVendorId"}
        assert await _told(made, PRICE, SAMPLE) == [unknown, unknown]
        made.install(*map(str, wheels))
        listed = {row["name"]: row for row in json.loads(made.run("plugins", "list", "--json").stdout)}
        assert (listed["voltwerk"]["state"], listed["sunbox"]["state"]) == ("found", "found")
        assert "arthexis plugins enable arthexis-sunbox:sunbox" in listed["sunbox"]["cure"]
        for name in ("voltwerk", "sunbox"):
            made.run("plugins", "enable", f"arthexis-{name}:{name}")
        made.run("config", "set", "plugins.voltwerk.day_cents", "40")
        assert await _told(made, PRICE) == [unknown], "nothing changes before the restart"
        made.run("restart")
        price = {"status": "Accepted", "data": '{"cents":400,"currency":"EUR"}'}
        assert await _told(made, PRICE, SAMPLE) == [price, {"status": "Accepted"}]
        assert made.run("sunbox", "CP-1").stdout.splitlines()[-1].split() == ["7", "41.5", "-"]
        tried = made.run("simulate", "call", "CP-1", "DataTransfer", "--payload", json.dumps(PRICE))
        assert json.loads(tried.stdout) == price
    assert _installed_host(made) == host
