"""The ioctls as the kernel would get them: commands on /dev/spidev0.0 and /dev/input/event5 under umockdev.

A process of its own asks; another one answers with a virtual chip, as a kernel driver with a real one would.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from arthexis.cli.main import main
from plugins.rfid.tests.test_lines import strokes
from tests.needs import lacks

HOST = Path(__file__).with_name("umockdev_host.py")
SYSTEM = "/usr/bin/python3"
IMPORTS = "import gi; gi.require_version('UMockdev', '1.0'); from gi.repository import UMockdev"
SPI_MESSAGE, EVIOCGRAB, EVIOCGNAME = "0x40206b00", "0x40044590", "0x81004506"
SEVEN = "04E141124C2880"


def installed() -> bool:
    """Whether umockdev is there with its bindings for the system's Python."""
    if shutil.which("umockdev-wrapper") is None or not Path(SYSTEM).exists():
        return False
    return subprocess.run([SYSTEM, "-c", IMPORTS], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module", autouse=True)
def umockdev() -> None:
    if not installed():
        lacks("umockdev is not here: apt install umockdev gir1.2-umockdev-1.0 python3-gi")


class Machine:
    """Commands of Arthexis on a machine with this hardware."""

    def __init__(self, home: Path, reader: str) -> None:
        home.mkdir()
        self.home = home
        config = (
            f'[node]\nrole = "bare"\nenable = ["arthexis-rfid:rfid"]\n[[plugins.rfid.readers]]\nname = "desk"\n{reader}'
        )
        (home / "arthexis.toml").write_text(config, encoding="utf-8")

    @property
    def _here(self) -> dict[str, str]:
        return {"ARTHEXIS_HOME": str(self.home), "ARTHEXIS_CONFIG": str(self.home / "arthexis.toml")}

    def run(self, there: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process that finds this hardware."""
        command = [sys.executable, "-c", "from arthexis.cli.main import main; main()", *words]
        return subprocess.run(
            ["umockdev-wrapper", SYSTEM, str(HOST), json.dumps(there), *command],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=os.environ | self._here,
        )

    def run_without(self, *words: str) -> int:
        """The exit status of a command that needs no hardware."""
        return CliRunner(env=self._here).invoke(main, [*words]).exit_code


@pytest.fixture
def spi(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "home", 'driver = "mfrc522"\n')


@pytest.mark.parametrize("uid", ["04A1B2C3", SEVEN, "04112233445566778899"])
def test_a_card_is_read_through_the_kernels_spi(spi: Machine, uid: str) -> None:
    done = spi.run({"cards": [[uid]]}, "rfid", "scan", "--json", "--for", "20s")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["uid"] == uid
    assert json.loads(done.stderr.splitlines()[-1])[SPI_MESSAGE] > 20


def test_a_block_is_written_through_the_kernels_spi(spi: Machine) -> None:
    there = {"cards": [[SEVEN]]}
    assert spi.run_without("tags", "add", SEVEN) == 0
    done = spi.run(there, "rfid", "write", "4", "LABEL", "--text")
    assert "LABEL" in done.stdout, done.stderr
    assert "does not open block 4" in spi.run(there, "rfid", "read", "4", "--key", "0" * 12).stderr


def test_a_bus_without_a_chip_is_told_from_no_bus(spi: Machine) -> None:
    (silent,) = json.loads(spi.run({"cards": [], "version": 0xFF}, "rfid", "readers", "--json").stdout)
    assert "no MFRC522 answers" in silent["reason"]
    assert "wiring" in silent["cure"]
    (missing,) = json.loads(spi.run({}, "rfid", "readers", "--json").stdout)
    assert "there is no such SPI device" in missing["reason"]
    assert "raspi-config" in missing["cure"]


def events(text: str) -> str:
    """Key strokes as evemu writes them, a little after one another."""
    lines = []
    data = strokes(text)
    for at in range(0, len(data), 24):
        kind, code = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (16, 18))
        value = int.from_bytes(data[at + 20 : at + 24], "little", signed=True)
        lines.append(f"E: {1 + at / 240_000:.6f} {kind:04x} {code:04x} {value:03d}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("device", ["/dev/input/event5", "sycreader"])
def test_what_a_wedge_types_is_a_card_and_is_grabbed(tmp_path: Path, device: str) -> None:
    machine = Machine(tmp_path / "home", f'driver = "keyboard"\ndevice = "{device}"\nreads = "decimal"\n')
    there = {"keyboard": {"name": "Sycreader RFID", "events": events("0012345678\n")}}
    done = machine.run(there, "rfid", "scan", "--json", "--for", "20s")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["uid"] == "00BC614E"
    asked = json.loads(done.stderr.splitlines()[-1])
    assert asked[EVIOCGRAB] == 1
    assert (EVIOCGNAME in asked) == (device == "sycreader")


def test_a_wedge_that_another_program_has_grabbed_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "home", 'driver = "keyboard"\ndevice = "/dev/input/event5"\n')
    there = {"keyboard": {"name": "Sycreader RFID", "events": events("1\n"), "grabbed": True}}
    (busy,) = json.loads(machine.run(there, "rfid", "readers", "--json").stdout)
    assert "another program has grabbed it" in busy["reason"]
