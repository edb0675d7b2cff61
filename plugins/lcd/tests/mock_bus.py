"""An I2C bus that the kernel seems to have: umockdev answers the real ioctls of /dev/i2c-1 with a virtual display.

Run by Debian's Python (which has umockdev's bindings) under ``umockdev-wrapper``. It prints the folder of its devices;
then each line that it reads is a command, each line that it prints the answer, in JSON. Whatever is started with
``UMOCKDEV_DIR`` and the preloaded library in its environment finds the bus.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("UMockdev", "1.0")
from arthexis_lcd.virtual import VirtualDisplay  # noqa: E402
from gi.repository import GLib, UMockdev  # noqa: E402

SLAVE, SLAVE_FORCE, FUNCS, RDWR, SMBUS = 0x703, 0x706, 0x705, 0x707, 0x720
READ = 0x0001
PLAIN, SMBUS_ONLY = 0x0EFF0009, 0x0EFF0008
DEVICE = "P: /devices/platform/soc/i2c-1\nN: i2c-1\nE: SUBSYSTEM=i2c-dev\nE: DEVNAME=/dev/i2c-1\n"


class Bus:
    """The bus: displays by address, what the adapter can, and how it is made to fail."""

    def __init__(self) -> None:
        self.plug_in(0x27)
        self.functions = PLAIN
        self.hangs = False
        self.error = 0
        self.waiting: list[Any] = []
        self.slave = 0
        self.ioctls: dict[str, int] = {}

    def plug_in(self, address: int, columns: int = 16, rows: int = 2) -> None:
        """Have one display, with power since just now; its chip goes by the real time."""
        display = VirtualDisplay(columns, rows)
        display.chip.now_us = time.monotonic() * 1e6
        display.chip.power_up()
        self.displays = {address: display}

    def transfer(self, address: int, data: bytes | None) -> None:
        """One message to or from (None) a device; raises ``OSError`` where nothing answers."""
        if self.error:
            raise OSError(self.error, "as the test wants it")
        display = self.displays.get(address)
        if display is None or not display.plugged:
            raise OSError(errno.EREMOTEIO, "no acknowledgement")
        display.chip.now_us = max(display.chip.now_us, time.monotonic() * 1e6)
        if data is not None:
            display.write(data)


BUS = Bus()


def answer(_: Any, client: Any) -> bool:
    """Complete one ioctl, as i2c-dev would."""
    request = client.get_request()
    name = {RDWR: "rdwr", SMBUS: "smbus", FUNCS: "funcs", SLAVE: "slave"}.get(request, hex(request))
    BUS.ioctls[name] = BUS.ioctls.get(name, 0) + 1
    if BUS.hangs:
        BUS.waiting.append(client)  # never completed: the caller waits for ever
        return True
    try:
        client.complete(HANDLERS[request](client) if request in HANDLERS else -1, 0 if request in HANDLERS else 25)
    except OSError as error:
        client.complete(-1, error.errno)
    return True


def functions(client: Any) -> int:
    client.get_arg().resolve(0, 8).update(0, struct.pack("<Q", BUS.functions))
    return 0


def slave(client: Any) -> int:
    BUS.slave = struct.unpack("<Q", bytes(client.get_arg().retrieve())[:8])[0] & 0x7F
    return 0


def smbus(client: Any) -> int:
    """A quick command or one byte: all that an adapter without plain I2C is asked for."""
    raw = bytes(client.get_arg().resolve(0, 16).retrieve())
    reading, command, size = raw[0], raw[1], struct.unpack("<I", raw[4:8])[0]
    if size not in {0, 1}:
        raise OSError(errno.EOPNOTSUPP, "only bytes")
    BUS.transfer(BUS.slave, None if reading or size == 0 else bytes((command,)))
    return 0


def messages(client: Any) -> int:
    """Whole messages."""
    if BUS.functions != PLAIN:
        raise OSError(errno.EOPNOTSUPP, "no plain I2C")
    outer = client.get_arg().resolve(0, 16)
    many = struct.unpack("<I", bytes(outer.retrieve())[8:12])[0]
    inner = outer.resolve(0, 16 * many)
    for at in range(many):
        address, flags, length = struct.unpack("<HHH", bytes(inner.retrieve())[16 * at : 16 * at + 6])
        data = bytes(inner.resolve(16 * at + 8, length).retrieve())
        BUS.transfer(address, None if flags & READ else data)
    return many


HANDLERS = {FUNCS: functions, SLAVE: slave, SLAVE_FORCE: slave, SMBUS: smbus, RDWR: messages}


def obey(testbed: Any, command: str, *words: str) -> Any:
    """Carry out what the test asks for."""
    [display] = BUS.displays.values()
    if command == "see":
        return {
            "lines": display.lines(),
            "light": display.light,
            "complaints": list(display.chip.complaints),
            "bytes": len(display.bytes),
            "transfers": display.transfers,
            "ioctls": BUS.ioctls,
        }
    if command == "stream":
        return bytes(display.bytes).hex()
    if command == "address":
        BUS.plug_in(int(words[0], 16))
    elif command == "size":
        BUS.plug_in(0x27, int(words[0]), int(words[1]))
    elif command == "smbus-only":
        BUS.functions = SMBUS_ONLY
    elif command == "remove-bus":
        testbed.remove_device("/sys/devices/platform/soc/i2c-1")
        os.unlink(os.path.join(testbed.get_root_dir(), "dev", "i2c-1"))
    elif command == "fail-with":
        BUS.error = getattr(errno, words[0], 0)
    elif command == "hang":
        BUS.hangs = words[0] == "on"
    elif command == "refuse-after":
        display.refuses_after = int(words[0])
    elif command == "lose-a-nibble":
        display.chip.lose_a_nibble()
    elif command == "power-cycle":
        display.chip.power_up()
    elif command in {"unplug", "plug"}:
        getattr(display, command)()
    else:
        raise ValueError(command)
    return None


def serve(testbed: Any, loop: Any) -> None:
    for line in sys.stdin:
        print(json.dumps(obey(testbed, *line.split())), flush=True)
    loop.quit()


def main() -> None:
    testbed = UMockdev.Testbed.new()
    testbed.add_from_string(DEVICE)
    handler = UMockdev.IoctlBase()
    handler.connect("handle-ioctl", answer)
    testbed.attach_ioctl("/dev/i2c-1", handler)
    print(testbed.get_root_dir(), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=serve, args=(testbed, loop), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
