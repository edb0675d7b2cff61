"""A machine with hardware that is none: run by the system's Python under ``umockdev-wrapper``, with gi.

Arguments: what is there, as JSON, and the command that is to find it. The command is another process: its system
calls on /dev/spidev0.0 and /dev/input/event5 are answered here, by the virtual chip and a virtual keyboard.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import gi

gi.require_version("UMockdev", "1.0")
sys.path.insert(0, str(Path(__file__).parent))
from chips import Card, Mfrc522Chip  # noqa: E402
from gi.repository import GLib, UMockdev  # noqa: E402

SPI = "P: /devices/platform/soc/spi0.0/spidev/spidev0.0\nN: spidev0.0\nE: SUBSYSTEM=spidev\nE: DEVNAME=/dev/spidev0.0\n"
INPUT = (
    "P: /devices/usb/input/input9/event5\nN: input/event5\nE: SUBSYSTEM=input\nE: DEVNAME=/dev/input/event5\n"
    "E: ID_INPUT=1\nE: ID_INPUT_KEYBOARD=1\n"
)
EVIOCGRAB, EVIOCGNAME = 0x40044590, 0x81004506
TRANSFER, EBUSY, ENOTTY = 32, 16, 25
there: dict[str, Any] = json.loads(sys.argv[1])
chip = Mfrc522Chip(*(Card(*each) for each in there.get("cards", [])), version=there.get("version", 0x92))
asked: dict[str, int] = {}


def spi(_: Any, client: Any) -> bool:
    """Answer an ioctl on the SPI device."""
    request = client.get_request()
    asked[hex(request)] = asked.get(hex(request), 0) + 1
    size = request >> 16 & 0x3FFF
    if request & 0xFFFF != 0x6B00:
        client.complete(0, 0)
        return True
    argument = client.get_arg().resolve(0, size)
    total = 0
    for at in range(0, size, TRANSFER):
        _send, _receive, length = struct.unpack("<QQI", bytes(argument.retrieve())[at : at + 20])
        data = bytes(argument.resolve(at, length).retrieve())
        argument.resolve(at + 8, length).update(0, chip.transfer(data))
        total += length
    client.complete(total, 0)
    return True


def keyboard(_: Any, client: Any) -> bool:
    """Answer an ioctl on the input device."""
    request = client.get_request()
    asked[hex(request)] = asked.get(hex(request), 0) + 1
    if request == EVIOCGNAME:
        name = there["keyboard"]["name"].encode() + b"\0"
        client.get_arg().resolve(0, 256).update(0, name)
        client.complete(len(name), 0)
    elif request == EVIOCGRAB:
        client.complete(*((-1, EBUSY) if there["keyboard"].get("grabbed") else (0, 0)))
    else:
        client.complete(-1, ENOTTY)
    return True


def main() -> int:
    """Build the machine, run the command, and print what it asked."""
    bed, loop = UMockdev.Testbed.new(), GLib.MainLoop()
    handlers = []
    for name, device, described, handler in (
        ("cards", "/dev/spidev0.0", SPI, spi),
        ("keyboard", "/dev/input/event5", INPUT, keyboard),
    ):
        if name in there:
            bed.add_from_string(described)
            handlers.append(UMockdev.IoctlBase())
            handlers[-1].connect("handle-ioctl", handler)
            bed.attach_ioctl(device, handlers[-1])
    if "keyboard" in there:
        typed = tempfile.NamedTemporaryFile("w", suffix=".events")
        typed.write(there["keyboard"]["events"])
        typed.flush()
        bed.load_evemu_events("/dev/input/event5", typed.name)
    status: list[int] = []

    def run() -> None:
        status.append(subprocess.run(sys.argv[2:], check=False).returncode)
        loop.quit()

    threading.Thread(target=run, daemon=True).start()
    loop.run()
    print(json.dumps(asked), file=sys.stderr)
    return status[0]


sys.exit(main())
