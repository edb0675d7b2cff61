"""The I2C bus of this machine through smbus2, which is imported where a bus is opened: it exists on Linux only.

A transfer is one ``I2C_RDWR`` message; adapters that only speak SMBus get their bytes one by one. What keeps a display
from being there is raised as ``Unavailable``, each case with its own reason and cure.
"""

from __future__ import annotations

import errno
import glob
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Self

from arthexis import Unavailable

if TYPE_CHECKING:
    from smbus2 import SMBus

ADDRESSES: Final = (0x27, 0x3F)
"""Of backpacks with a PCF8574 and a PCF8574A, as they are sold."""
FIRST, LAST = 0x08, 0x77
PLAIN_I2C: Final = 0x00000001
MESSAGE: Final = 8192
"""Bytes in one message, the most that the kernel takes."""
IDLE: Final = 0x08
"""A byte that no display minds: E low, the light on."""
REMOTE_IO: Final = getattr(errno, "EREMOTEIO", 121)
"""No acknowledgement, as Linux says it; other systems have no name for it."""
NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM)
NO_DEVICE: Final = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR)


def path_of(bus: int | str) -> str:
    """The device file of a bus, by its number or as it is."""
    return f"/dev/i2c-{bus}" if isinstance(bus, int) else bus


def buses() -> list[str]:
    """The device files of the buses that there are, by number."""
    return sorted(glob.glob("/dev/i2c-*"), key=lambda path: (len(path), path))


class Wires:
    """An open bus."""

    def __init__(self, bus: int | str) -> None:
        """Open it; raises ``Unavailable``."""
        self.path = path_of(bus)
        try:
            from smbus2 import SMBus
        except ImportError:
            raise _no_smbus(self.path) from None
        try:
            self._bus: SMBus = SMBus(self.path)
        except OSError as error:
            raise _not_opened(self.path, error) from None
        self._plain = bool(self._bus.funcs & PLAIN_I2C)

    def __enter__(self) -> Self:
        """Be open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let the bus go."""
        self._bus.close()

    def write(self, address: int, data: bytes) -> None:
        """Send bytes to a device, in one transfer where the adapter can; raises ``OSError``."""
        if not self._plain:
            for byte in data:
                self._bus.write_byte(address, byte)
            return
        from smbus2 import i2c_msg

        try:
            for start in range(0, len(data), MESSAGE):
                self._bus.i2c_rdwr(i2c_msg.write(address, data[start : start + MESSAGE]))
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL}:
                raise
            self._plain = False
            self.write(address, data)

    def read(self, address: int) -> None:
        """Read one byte of a device and forget it; raises ``OSError`` where none answers."""
        if not self._plain:
            self._bus.read_byte(address)
            return
        from smbus2 import i2c_msg

        self._bus.i2c_rdwr(i2c_msg.read(address, 1))

    def answers(self, address: int) -> bool:
        """Whether a device answers there. It is read; one that cannot be read is sent a byte that no display minds.

        An address that a driver of the kernel holds counts. Raises ``OSError`` where the bus itself is held.
        """
        for ask in (self.read, self._nudge):
            try:
                ask(address)
            except OSError as error:
                if error.errno == errno.ETIMEDOUT:
                    raise
                if error.errno != errno.EBUSY:
                    continue
            return True
        return False

    def _nudge(self, address: int) -> None:
        self.write(address, bytes((IDLE,)))

    def present(self, addresses: Sequence[int]) -> list[int]:
        """Those of these addresses at which something answers."""
        return [address for address in addresses if self.answers(address)]


class Line:
    """The way to one device of an open bus."""

    def __init__(self, wires: Wires, address: int) -> None:
        """Speak to this address."""
        self._wires = wires
        self.address = address

    def write(self, data: bytes) -> None:
        """Send these bytes in one transfer; raises ``OSError``."""
        self._wires.write(self.address, data)

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def close(self) -> None:
        """Let the bus go."""
        self._wires.close()


def reach(bus: int | str, address: int | None) -> Line:
    """The way to the display on a bus, at its address or where one is found; raises ``Unavailable``."""
    wires = Wires(bus)
    tried = ADDRESSES if address is None else (address,)
    try:
        found = next((place for place in tried if wires.answers(place)), None)
    except OSError as error:
        wires.close()
        raise failed(wires.path, error) from None
    if found is None:
        wires.close()
        raise _nothing_there(wires.path, tried)
    return Line(wires, found)


def _no_smbus(path: str) -> Unavailable:
    if sys.platform == "linux":
        return Unavailable("the package smbus2 is missing", place=path, cure="Run: pip install smbus2")
    return Unavailable(
        f"a display needs an I2C bus as Linux has it, and this is {sys.platform}",
        place=path,
        cure='Set plugins.lcd.bus to "virtual" to have one in the console and the terminal only',
    )


def _not_opened(path: str, error: OSError) -> Unavailable:
    """Why a bus could not be opened."""
    if error.errno in NOT_ALLOWED:
        return Unavailable(
            f"this user may not open {path}",
            place=path,
            cure="Run: sudo usermod -aG i2c $USER, and log in anew (a service: restart it)",
        )
    if error.errno in NO_DEVICE:
        others = ", ".join(buses())
        hint = f"There is {others}: set plugins.lcd.bus, or enable" if others else "Enable"
        return Unavailable(
            f"there is no bus {path}",
            place=path,
            cure=f"{hint} I2C: sudo raspi-config nonint do_i2c 0, then start the machine anew",
        )
    if error.errno == errno.ENOTTY:
        return Unavailable(f"{path} is no I2C bus", place=path, cure="Set plugins.lcd.bus, like 1 or /dev/i2c-1")
    return failed(path, error)


def _nothing_there(path: str, tried: Sequence[int]) -> Unavailable:
    places = " or ".join(f"0x{address:02x}" for address in tried)
    return Unavailable(
        f"no display answers on {path} at {places}",
        place=path,
        cure="Check the four wires (GND, 5 V, SDA, SCL); `arthexis lcd probe` finds one at another address",
    )


def failed(path: str, error: OSError) -> Unavailable:
    """Why a display that was there does not take anything any more."""
    told = error.strerror or str(error)
    if error.errno in {REMOTE_IO, errno.ENXIO, errno.ENODEV, errno.ENOENT}:
        return Unavailable(
            f"the display does not answer any more ({told})",
            place=path,
            cure="Check its wires; it is written anew as soon as it answers",
        )
    if error.errno == errno.EBUSY:
        return Unavailable(
            "a driver of the kernel holds the display's address",
            place=path,
            cure="Take its dtoverlay out of /boot/firmware/config.txt, and start the machine anew",
        )
    if error.errno == errno.ETIMEDOUT:
        return Unavailable(
            "the bus is held low (timed out)", place=path, cure="Check that SDA and SCL are not swapped or shorted"
        )
    return Unavailable(f"the bus failed: {told}", place=path, cure="See the kernel's log: dmesg")
