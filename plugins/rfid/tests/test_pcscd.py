"""PC/SC for real: pcscd with the virtual reader vpcd, and our driver through libpcsclite."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from plugins.rfid.tests.conftest import until
from plugins.rfid.tests.vcard import ULTRALIGHT, VirtualCard, on_reader
from tests.needs import lacks

DRIVER = next(iter(Path("/usr/lib/pcsc/drivers/serial").glob("libifdvpcd.so")), None)
FOUR, SEVEN = "04A1B2C3", "04E141124C2880"
PCSC = {"driver": "pcsc"}


@pytest.fixture(scope="module", autouse=True)
def machine() -> None:
    if shutil.which("pcscd") is None or DRIVER is None:
        lacks("pcscd and its virtual reader are not here: apt install pcscd vsmartcard-vpcd")
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        lacks("only root can make a private /run for pcscd")


class Pcscd:
    """A pcscd of our own, with a virtual reader on a free port, that nobody else can meet.

    libpcsclite asks once in a process where the socket is: it is at ``where`` all the time.
    """

    def __init__(self, folder: Path) -> None:
        self.where = folder / "pcscd.comm"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = folder / "reader.conf.d"
        self.config.mkdir()
        (self.config / "vpcd").write_text(
            f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:0x{self.port:04X}\nLIBPATH {DRIVER}\n'
            f"CHANNELID 0x{self.port:04X}\n",
            encoding="ascii",
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, until it answers."""
        script = f"mkdir -p /run/pcscd && mount -t tmpfs none /run/pcscd && exec pcscd -f -c {self.config}"
        self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=-3, stderr=-3)
        where = Path("/proc", str(self.process.pid), "root", "run/pcscd/pcscd.comm")
        until = time.monotonic() + 10
        while not where.exists() or self._deaf():
            assert time.monotonic() < until, "pcscd does not start"
            assert self.process.poll() is None, "pcscd ended"
            time.sleep(0.02)
        self.where.symlink_to(where)

    def _deaf(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0

    def stop(self) -> None:
        if self.process is not None:
            self.where.unlink(missing_ok=True)
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pcscd]:
    with pytest.MonkeyPatch.context() as patch:
        made = Pcscd(tmp_path_factory.mktemp("pcscd"))
        patch.setenv("PCSCLITE_CSOCK_NAME", str(made.where))
        yield made
        made.stop()


@pytest.fixture
def pcscd(daemon: Pcscd) -> Pcscd:
    if daemon.process is None:
        daemon.start()
    return daemon


async def test_a_card_comes_stays_and_goes(desk: Any, pcscd: Pcscd) -> None:
    async with desk(PCSC | {"held_s": 0.5}) as at:
        await at.is_("ready")
        for uid in (FOUR, SEVEN):
            newest = (await at.ask("GET", "/scans"))["newest"]
            async with on_reader(VirtualCard(uid), pcscd.port):
                assert (await at.next_scan(newest))["uid"] == uid
                while [scan["change"] for scan in (await _scans(at, newest))] != ["scanned", "held"]:
                    await asyncio.sleep(0.05)
            while [scan["change"] for scan in (await _scans(at, newest))] != ["scanned", "held", "removed"]:
                await asyncio.sleep(0.05)


async def _scans(at: Any, newest: int) -> list[dict[str, Any]]:
    return list((await at.ask("GET", f"/scans?after={newest}"))["items"])


async def test_a_card_that_takes_another_s_place_at_once_is_seen(desk: Any, pcscd: Pcscd) -> None:
    async with desk(PCSC) as at:
        await at.is_("ready")
        for number in range(4):
            uid = f"04A1B2{number:02X}"
            newest = (await at.ask("GET", "/scans"))["newest"]
            async with on_reader(VirtualCard(uid), pcscd.port):
                assert (await at.next_scan(newest))["uid"] == uid


async def test_blocks_of_a_known_card_are_written_and_read(desk: Any, pcscd: Pcscd) -> None:
    card = VirtualCard(FOUR)
    async with desk(PCSC) as at, on_reader(card, pcscd.port):
        await at.is_("ready")
        asked = {"block": 4, "data": b"LABEL 42".ljust(16).hex()}
        await at.ask("POST", "/readers/desk/write", asked, status=409)  # nobody knows the card
        assert card.blocks[4] == bytes(16)
        await at.node.ask("tags.add", id_tag=FOUR)
        await at.ask("POST", "/readers/desk/write", asked)
        assert card.blocks[4] == b"LABEL 42".ljust(16)
        read = await at.ask("POST", "/readers/desk/read", {"block": 4})
        assert bytes.fromhex(read["data"]) == b"LABEL 42".ljust(16)
        refused = await at.ask("POST", "/readers/desk/read", {"block": 4, "key": "0" * 12}, status=409)
        assert refused["detail"] == "the key does not open block 4"
        refused = await at.ask("POST", "/readers/desk/write", {"block": 7, "data": "00" * 16}, status=409)
        assert "sector trailer" in refused["detail"]


async def test_a_card_without_a_uid_is_said_to_be_one(desk: Any, pcscd: Pcscd) -> None:
    async with desk(PCSC) as at, on_reader(VirtualCard("", ULTRALIGHT), pcscd.port):
        await at.is_("ready")
        async with asyncio.timeout(5):
            while not (present := (await at.reader())["present"]):
                await asyncio.sleep(0.05)
        assert "has no UID" in present[0]["problem"]


async def test_without_its_service_the_reader_is_missing_and_comes_back_with_it(desk: Any, pcscd: Pcscd) -> None:
    async with desk(PCSC) as at:
        await at.is_("ready")
        plugin = at.node.plugin("rfid")
        pcscd.stop()
        missing = await at.is_("unavailable")
        assert "PC/SC" in missing["reason"]
        assert missing["cure"]
        await until(lambda: plugin.state == "unavailable")
        assert plugin.cure == missing["cure"]
        pcscd.start()
        await at.is_("ready")
        await until(lambda: plugin.state == "active")
        async with on_reader(VirtualCard(FOUR), pcscd.port):
            assert (await at.next_scan(0))["uid"] == FOUR


async def test_a_reader_that_is_not_there_is_named_with_those_that_are(desk: Any, pcscd: Pcscd) -> None:
    async with desk(PCSC | {"device": "ACR122U"}) as at:
        missing = await at.is_("unavailable")
        assert missing["reason"] == "PC/SC: no reader is called ACR122U"
        assert missing["cure"].startswith("There is Virtual PCD 00 00")


async def test_no_service_at_all_says_how_to_start_it(desk: Any, daemon: Pcscd) -> None:
    daemon.stop()
    async with desk(PCSC) as at:
        missing = await at.is_("unavailable")
        assert missing["reason"] == "PC/SC: the PC/SC service does not run"
        assert "systemctl enable --now pcscd.socket" in missing["cure"]
