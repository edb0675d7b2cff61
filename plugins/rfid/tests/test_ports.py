"""Readers behind real devices of the kernel: serial ports (a pair of pseudo terminals by socat), files and FIFOs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arthexis.testing import node
from plugins.rfid.tests.conftest import until
from plugins.rfid.tests.test_lines import frame
from tests.needs import lacks

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs pseudo terminals and FIFOs")


class Port:
    """A serial port at ``host`` and what is plugged into it at ``device``."""

    def __init__(self, folder: Path) -> None:
        self.device, self.host = folder / "ttyREADER", folder / "ttyHOST"
        self.process: subprocess.Popen[bytes] | None = None

    def plug(self) -> None:
        ends = [f"pty,raw,echo=0,link={end}" for end in (self.device, self.host)]
        self.process = subprocess.Popen(["socat", *ends])
        until = time.monotonic() + 5
        while not (self.device.exists() and self.host.exists()):
            assert time.monotonic() < until, "socat made no terminals"
            time.sleep(0.01)

    def unplug(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def send(self, data: bytes) -> None:
        file = os.open(self.device, os.O_WRONLY | os.O_NOCTTY)
        os.write(file, data)
        os.close(file)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    if shutil.which("socat") is None:
        lacks("socat is not here: apt install socat")
    made = Port(tmp_path)
    made.plug()
    yield made
    made.unplug()


async def test_an_rdm6300_that_repeats_its_frame_is_one_scan(desk: Any, port: Port) -> None:
    async with desk({"driver": "serial", "device": str(port.host), "frames": "rdm6300", "gap_s": 0.5}) as at:
        await at.is_("ready")
        for data in (b"\xff\x02garbage" + frame()[:6], frame()[6:], frame(), frame()):
            port.send(data)
            await asyncio.sleep(0.065)
        scan = await at.next_scan(0)
        assert (scan["uid"], scan["technology"], scan["random"]) == ("4500A1B2C3", "em4100", False)
        await asyncio.sleep(0.8)
        assert [event.data["uid"] for event in await at.node.events("tag.scanned")] == ["4500A1B2C3"]


async def test_a_line_full_of_noise_is_told_of_once_and_hides_no_card(
    desk: Any, port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk({"driver": "serial", "device": str(port.host)}) as at:
        await at.is_("ready")
        for number in range(300):
            port.send(b"noise %d\r\n" % number)
        port.send(b"04A1B2C3\r\n")
        assert (await at.next_scan(0))["uid"] == "04A1B2C3"
    assert len([record for record in caplog.records if "is not pairs of" in record.getMessage()]) == 1


async def test_a_line_reader_is_read_as_it_is_set(desk: Any, port: Port) -> None:
    reader = {"driver": "serial", "device": str(port.host), "reads": "decimal-reversed", "baud": 115200}
    async with desk(reader) as at:
        await at.is_("ready")
        port.send(b"0012345678\r\n")
        assert (await at.next_scan(0))["uid"] == "4E61BC00"


async def test_a_port_that_is_unplugged_is_missing_and_read_again_when_it_is_back(desk: Any, port: Port) -> None:
    async with desk({"driver": "serial", "device": str(port.host)}) as at:
        await at.is_("ready")
        port.unplug()
        gone = await at.is_("unavailable")
        assert gone["cure"].startswith("Plug")
        port.plug()
        await at.is_("ready")
        port.send(b"04A1B2C3\n")
        assert (await at.next_scan(0))["uid"] == "04A1B2C3"


async def test_a_port_that_another_program_holds_is_said_to_be(desk: Any, port: Port) -> None:
    import serial

    with serial.Serial(str(port.host), exclusive=True):
        async with desk({"driver": "serial", "device": str(port.host)}) as at:
            busy = await at.is_("unavailable")
            assert "another program" in busy["reason"]


@pytest.mark.parametrize(
    ("reader", "reason", "cure"),
    [
        ({"driver": "serial", "device": "/dev/ttyNONE"}, "/dev/ttyNONE: there is no such port", "/dev/serial/by-id"),
        ({"driver": "mfrc522", "device": "/dev/spidev9.9"}, "/dev/spidev9.9: there is no such", "raspi-config"),
        ({"driver": "keyboard", "device": "/dev/input/eventNONE"}, "there is no such input device", "by-id"),
        ({"driver": "keyboard", "device": "Sycreader"}, "no input device is called Sycreader", "There is"),
        ({"driver": "virtual", "device": "/nowhere/cards"}, "/nowhere/cards: No such file", "mkfifo"),
    ],
)
async def test_what_is_not_there_has_a_reason_and_a_cure(
    desk: Any, reader: dict[str, str], reason: str, cure: str
) -> None:
    async with desk(reader, {"driver": "virtual", "name": "other"}) as at:
        missing = await at.is_("unavailable")
        assert reason in missing["reason"]
        assert cure in missing["cure"]
        await at.is_("ready", "other")
        assert at.node.plugin("rfid").state == "active"  # the other one works


async def test_a_plugin_whose_only_reader_is_missing_from_the_start_is_unavailable(desk: Any) -> None:
    async with desk({"driver": "serial", "device": "/dev/ttyNONE"}) as at:
        plugin = at.node.plugin("rfid")
        await until(lambda: plugin.state == "unavailable")
        assert plugin.reason == "reader desk: /dev/ttyNONE: there is no such port"
        assert "/dev/serial/by-id" in plugin.cure
        assert await at.node.ask("tags.list") == []  # and the node works


async def test_a_node_without_readers_is_fine(tmp_path: Path) -> None:
    async with node(tmp_path / "bare", plugins=["arthexis-rfid:rfid"]) as running:
        assert running.plugin("rfid").state == "active"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to stop being it")
@pytest.mark.parametrize(("driver", "group"), [("mfrc522", "spi"), ("serial", "dialout"), ("keyboard", "input")])
def test_a_device_that_this_user_may_not_use_names_the_group(driver: str, group: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        device = Path(folder) / "device"
        device.touch(0o600)
        said = as_nobody(driver, device)
    assert "this user may not use it" in said
    assert f"usermod -aG {group} USER" in said


def as_nobody(driver: str, device: Path) -> str:
    """What opening a reader says to a user without rights."""
    script = (
        "import os\nfrom arthexis_rfid.drivers import driver\nfrom arthexis_rfid.settings import Reader\n"
        f"watch = driver(Reader(name='desk', driver='{driver}', device='{device}')).watch()\n"
        "import fcntl, serial, arthexis\nfrom arthexis import Unavailable\n"
        "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "try:\n    next(watch)\nexcept Unavailable as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    return said.stdout + said.stderr


async def test_lines_that_are_written_to_a_fifo_are_cards(desk: Any, tmp_path: Path) -> None:
    fifo = tmp_path / "cards"
    os.mkfifo(fifo)
    async with desk({"driver": "virtual", "device": str(fifo)}) as at:
        await at.is_("ready")
        for uid in ("04A1B2C3", "04E141124C2880"):
            newest = (await at.ask("GET", "/scans"))["newest"]
            await asyncio.to_thread(fifo.write_text, f"{uid}\n", "ascii")
            assert (await at.next_scan(newest))["uid"] == uid


async def test_lines_that_are_added_to_a_file_are_cards_and_older_ones_are_not(desk: Any, tmp_path: Path) -> None:
    file = tmp_path / "cards.txt"
    file.write_text("DEADBEEF\n", "ascii")
    async with desk({"driver": "virtual", "device": str(file)}) as at:
        await at.is_("ready")
        with file.open("a", encoding="ascii") as added:
            added.write("rm -rf /\n$(reboot)\n04A1B2C3\n")
        assert (await at.next_scan(0))["uid"] == "04A1B2C3"
        file.unlink()
        assert (await at.is_("unavailable"))["reason"].endswith("the file is gone")
