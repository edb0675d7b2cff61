"""SPI through the kernel's spidev interface, with nothing but ``ioctl``: no compiler and no module is needed.

The structure is ``struct spi_ioc_transfer`` of ``linux/spi/spidev.h``. While the kernel transfers, other threads run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from typing import Final, Protocol

from arthexis import Unavailable

TRANSFER: Final = struct.Struct("=QQIIHBBBBBB")
MESSAGE_1: Final = 0x40206B00
WRITE_MODE: Final = 0x40016B01
ENABLE: Final = "Switch SPI on: sudo raspi-config nonint do_spi 0, and restart the machine"
CURES: Final = {
    errno.ENOENT: ("there is no such SPI device", ENABLE),
    errno.ENODEV: ("there is no such SPI device", ENABLE),
    errno.ENXIO: ("there is no such SPI device", ENABLE),
    errno.EACCES: (
        "this user may not use it",
        "Add the node's user to the group spi: sudo usermod -aG spi USER, then start the node anew",
    ),
    errno.EBUSY: ("another program uses it", "End the other program (for example an older reader service)"),
}


class Bus(Protocol):
    """What a chip is reached by."""

    def transfer(self, data: bytes) -> bytes:
        """Send bytes and return as many that came meanwhile; raises ``Unavailable``."""

    def close(self) -> None:
        """Let go of it."""


def unavailable(error: OSError, place: str) -> Unavailable:
    """An error of the operating system as a person can mend it."""
    problem, cure = CURES.get(error.errno or 0, (error.strerror or str(error), "Compare wiring and device"))
    return Unavailable(problem, place=place, cure=cure)


class Spi:
    """An SPI device in mode 0, 8 bits a word."""

    def __init__(self, device: str, speed_hz: int) -> None:
        """Open it; raises ``Unavailable`` with the cure."""
        if sys.platform == "win32":
            raise Unavailable("there is no SPI on Windows", place=device, cure="Use a PC/SC reader")
        self.device = device
        self._speed_hz = speed_hz
        try:
            self._file = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise unavailable(error, device) from None
        try:
            self._ioctl(WRITE_MODE, b"\0")
        except Unavailable:
            self.close()
            raise

    def _ioctl(self, request: int, argument: bytes) -> None:
        import fcntl

        try:
            fcntl.ioctl(self._file, request, argument)  # type: ignore[attr-defined,unused-ignore]
        except OSError as error:
            raise unavailable(error, self.device) from None

    def transfer(self, data: bytes) -> bytes:
        """Send bytes and return as many that came meanwhile; raises ``Unavailable``."""
        buffer = ctypes.create_string_buffer(data, len(data))
        address = ctypes.addressof(buffer)
        self._ioctl(MESSAGE_1, TRANSFER.pack(address, address, len(data), self._speed_hz, 0, 8, 0, 0, 0, 0, 0))
        return buffer.raw

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)
