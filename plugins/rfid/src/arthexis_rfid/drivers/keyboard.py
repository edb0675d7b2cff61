"""Readers that pose as a USB keyboard ("wedge") and type the number and Enter.

The input device is read through the kernel's evdev interface and grabbed, so that what is typed enters no console and
no other program. Linux only: elsewhere a keyboard types into whatever has the focus.
"""

from __future__ import annotations

import errno
import os
import select
import struct
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from arthexis import Unavailable
from arthexis_rfid.blocks import Blocks
from arthexis_rfid.cards import ISO14443A, Card, Sighting
from arthexis_rfid.drivers import no_blocks
from arthexis_rfid.drivers.lines import Lines
from arthexis_rfid.settings import Reader

EVENT: Final = struct.Struct("llHHi")
"""``struct input_event``: seconds, microseconds, type, code, value; 24 bytes, 16 where a word has 32 bits."""

EVIOCGRAB: Final = 0x40044590
NAME_ROOM: Final = 256
EVIOCGNAME: Final = 0x80004506 | NAME_ROOM << 16
KEY, PRESSED, RELEASED = 1, 1, 0
ENTER: Final = frozenset({28, 96})
SHIFT: Final = frozenset({42, 54})
ROWS: Final = {2: "1234567890-", 16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm", 71: "789", 75: "456", 79: "1230"}
KEYS: Final = {code + place: letter for code, row in ROWS.items() for place, letter in enumerate(row)}
SHIFTED: Final = {39: ":"}
FOLDER: Final = Path("/dev/input")
WAIT_S: Final = 0.3
CURES: Final = {
    errno.ENOENT: ("there is no such input device", "Plug the reader in; lasting names stand in /dev/input/by-id"),
    errno.ENODEV: ("the reader was unplugged", "Plug it in again"),
    errno.EACCES: (
        "this user may not use it",
        "Add the node's user to the group input: sudo usermod -aG input USER, then start the node anew",
    ),
    errno.EBUSY: ("another program has grabbed it", "End that program: only one can have what is typed"),
}


class Typed:
    """What was typed, from key events: letters in the case of the shift key, a line with Enter."""

    def __init__(self) -> None:
        """Nothing is held down."""
        self._shift: set[int] = set()
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The text of these events; an event that is cut off waits for its rest."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        return "".join(self._letter(*event[2:]) for event in EVENT.iter_unpack(data[:whole])).encode("ascii")

    def _letter(self, kind: int, code: int, value: int) -> str:
        if kind != KEY:
            return ""
        if code in SHIFT:
            (self._shift.discard if value == RELEASED else self._shift.add)(code)
            return ""
        if value != PRESSED:
            return ""
        letter = "\n" if code in ENTER else KEYS.get(code, "")
        return (SHIFTED.get(code) or letter.upper()) if self._shift else letter


class Keyboard:
    """The driver of a reader that types; ``device`` is its path, or part of its name."""

    def __init__(self, reader: Reader) -> None:
        """Be about this reader."""
        self._reader = reader

    def _unavailable(self, error: OSError) -> Unavailable:
        problem, cure = CURES.get(error.errno or 0, (error.strerror or str(error), "Compare `device`"))
        return Unavailable(problem, place=self._reader.device, cure=cure)

    def _path(self) -> str:
        """Where the reader is: as it is written, or the device whose name holds what is written."""
        wanted = self._reader.device
        if wanted.startswith("/"):
            return wanted
        names = {str(path): name_of(path) for path in sorted(FOLDER.glob("event*"))}
        found = next((path for path, name in names.items() if wanted.casefold() in (name or "").casefold()), None)
        if found is not None:
            return found
        if names and not any(names.values()):
            raise self._unavailable(PermissionError(errno.EACCES, ""))
        told = ", ".join(sorted({name for name in names.values() if name})) or "no input device at all"
        raise Unavailable(f"no input device is called {wanted}", place=str(FOLDER), cure=f"There is {told}")

    def watch(self) -> Iterator[tuple[Sighting, ...]]:
        """Read what is typed; see ``Driver``."""
        if sys.platform == "win32":
            raise Unavailable("keyboard readers need Linux", place=self._reader.device, cure="Use a PC/SC reader")
        typed, option = Typed(), self._reader.option
        lines = Lines(option("reads", "hex"), option("technology", ISO14443A))
        path = self._path()
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._unavailable(error) from None
        try:
            _grab(file)
            yield ()
            while True:
                yield tuple(dict.fromkeys(lines.feed(typed.feed(_read(file)))))
        except OSError as error:
            raise self._unavailable(error) from None
        finally:
            os.close(file)

    def blocks(self, card: Card) -> AbstractContextManager[Blocks]:
        """None: it only tells numbers."""
        raise no_blocks(self._reader)


def _read(file: int) -> bytes:
    """What is typed within a moment; raises ``OSError`` where the device is gone."""
    ready, _, _ = select.select([file], [], [], WAIT_S)
    try:
        data = os.read(file, 64 * EVENT.size) if ready else b""
    except BlockingIOError:
        return b""
    if ready and not data:
        raise OSError(errno.ENODEV, "")
    return data


def _grab(file: int) -> None:
    """Keep what is typed from everybody else, until the file is closed."""
    import fcntl

    fcntl.ioctl(file, EVIOCGRAB, 1)  # type: ignore[attr-defined,unused-ignore]


def name_of(path: Path) -> str | None:
    """How an input device calls itself; None where it may not be asked."""
    import fcntl

    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        name = bytearray(NAME_ROOM)
        fcntl.ioctl(file, EVIOCGNAME, name)  # type: ignore[attr-defined,unused-ignore]
        return bytes(name).partition(b"\0")[0].decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(file)
