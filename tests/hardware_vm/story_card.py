"""A card at a reader that types, as the kernel has it: uinput makes the keyboard, the display on the bus says so."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.node_process import NodeProcess, node_process

NAME = "Sycreader RFID Technology Co., Ltd SYC ID&IC USB Reader"
SETUP, CREATE, DESTROY, SET_EVENT, SET_KEY = 0x405C5503, 0x5501, 0x5502, 0x40045564, 0x40045565
EVENT = struct.Struct("llHHi")
SYN, KEY, USB, ENTER = 0, 1, 3, 28
DIGITS = {digit: 2 + place for place, digit in enumerate("1234567890")}
UID, TYPED = "04A1B2C3", "0077705923"
CONFIG = """
[node]
role = "bare"
enable = ["arthexis-ocpp16:*", "arthexis-notify:*", "arthexis-rfid:*", "arthexis-lcd:*"]
[plugins.lcd]
bus = {bus}
[plugins.rfid]
retry_s = 1.0
[[plugins.rfid.readers]]
name = "desk"
driver = "keyboard"
device = "Sycreader"
reads = "decimal"
"""


class TypingReader:
    """A USB reader of the kind that types what it reads; ``unplug`` and ``plug`` as one does with it."""

    def __init__(self) -> None:
        subprocess.run(["modprobe", "-a", "uinput", "evdev"], check=True)
        self.plug()

    def plug(self) -> None:
        self._device = os.open("/dev/uinput", os.O_WRONLY)
        fcntl.ioctl(self._device, SET_EVENT, KEY)
        for code in (*DIGITS.values(), ENTER):
            fcntl.ioctl(self._device, SET_KEY, code)
        fcntl.ioctl(self._device, SETUP, struct.pack("HHHH80sI", USB, 0xFFFF, 0x0035, 1, NAME.encode(), 0))
        fcntl.ioctl(self._device, CREATE)

    def unplug(self) -> None:
        fcntl.ioctl(self._device, DESTROY)
        os.close(self._device)

    def present(self, number: str) -> None:
        """Hold a card against it."""
        for code in [*(DIGITS[digit] for digit in number), ENTER]:
            for value in (1, 0):
                os.write(self._device, EVENT.pack(0, 0, KEY, code, value) + EVENT.pack(0, 0, SYN, 0, 0))
            time.sleep(0.005)


@pytest.fixture
def reader() -> Iterator[TypingReader]:
    found = TypingReader()
    yield found
    found.unplug()


async def said(node: NodeProcess, text: str, seconds: float = 90.0) -> None:
    """Wait until the node's log says so."""
    async with asyncio.timeout(seconds):
        while text not in "".join(node.output):
            await asyncio.sleep(0.2)


async def test_an_unknown_card_is_shown_on_the_display_and_waits_in_the_inbox(
    bus: int, traced: Any, reader: TypingReader, tmp_path: Path
) -> None:
    config = CONFIG.format(bus=bus)
    with node_process(tmp_path, "--open", config=config) as node:
        await asyncio.to_thread(traced.until, lambda shown: shown[1] == "0 open, 0 online")
        await said(node, "reader desk is ready")
        reader.present(TYPED)
        await asyncio.to_thread(traced.until, lambda shown: shown[0] == "Unknown card")
        print("the display shows:", traced.lines())
        listed = await asyncio.to_thread(partial(node.command, "tags", "unknown", "--json", timeout_s=300.0))
        [waiting] = json.loads(listed.stdout)
        assert (waiting["id_tag"], waiting["station"]) == (UID, "reader desk")
        reader.unplug()
        await said(node, "the reader was unplugged")
        reader.plug()
        await said(node, "reader desk is ready")
        assert await asyncio.to_thread(node.stop) == 0
    assert traced.lines() == ["    Goodbye", ""]
