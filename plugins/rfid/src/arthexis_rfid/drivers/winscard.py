"""PC/SC by its own library (pcscd's libpcsclite on Linux, winscard on Windows), called through ``ctypes``.

No wheel of a binding exists for aarch64, and this needs eight functions. Names and numbers are those of PC/SC.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from arthexis import Unavailable

SCOPE_SYSTEM, SHARE_SHARED, PROTOCOL_ANY, LEAVE_CARD = 2, 2, 3, 0
STATE_UNAWARE, STATE_CHANGED, STATE_PRESENT, STATE_MUTE = 0x0000, 0x0002, 0x0020, 0x0200
NO_SERVICE, SERVICE_STOPPED, NO_READERS, TIMEOUT = 0x8010001D, 0x8010001E, 0x8010002E, 0x8010000A
UNKNOWN_READER, READER_UNAVAILABLE, SHARING = 0x80100009, 0x80100017, 0x8010000B
NO_CARD, REMOVED, RESET, UNPOWERED, UNRESPONSIVE = 0x8010000C, 0x80100069, 0x80100068, 0x80100067, 0x80100066
DENIED, CANCELLED, COMM_ERROR, INVALID_HANDLE = 0x8010006A, 0x80100002, 0x8010002F, 0x80100003

LIBRARY: Final = {"win32": "winscard", "darwin": "/System/Library/Frameworks/PCSC.framework/PCSC"}
ANSI: Final = "A" if sys.platform == "win32" else ""
ATR_ROOM: Final = 36 if sys.platform == "win32" else 33
Dword: Any = ctypes.c_uint32 if sys.platform == "darwin" else ctypes.c_ulong
Handle: Any = ctypes.c_int32 if sys.platform == "darwin" else ctypes.c_size_t
START: Final = "Start it: sudo systemctl enable --now pcscd.socket (Windows: the service SCardSvr)"
INSTALL: Final = "Install it: sudo apt install pcscd libccid"
SAID: Final = {
    NO_SERVICE: ("the PC/SC service does not run", START),
    SERVICE_STOPPED: ("the PC/SC service was stopped", START),
    INVALID_HANDLE: ("the PC/SC service was started anew", "It is tried again by itself"),
    NO_READERS: ("no reader is plugged in", "Plug one in; if it is, see `pcsc_scan` of the package pcsc-tools"),
    UNKNOWN_READER: ("the reader was unplugged", "Plug it in again"),
    READER_UNAVAILABLE: ("the reader was unplugged", "Plug it in again"),
    SHARING: ("another program holds the reader for itself", "End that program"),
    DENIED: (
        "this user may not use PC/SC",
        "Allow org.debian.pcsc-lite.access_pcsc and access_card for the node's user by a polkit rule",
    ),
}
OF_THE_CARD: Final = frozenset({NO_CARD, REMOVED, RESET, UNPOWERED, UNRESPONSIVE, COMM_ERROR, 0x8010000F, 0x80100016})


class ReaderState(ctypes.Structure):
    """``SCARD_READERSTATE``."""

    _pack_ = 1 if sys.platform == "darwin" else 0
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("user_data", ctypes.c_void_p),
        ("current", Dword),
        ("event", Dword),
        ("atr_length", Dword),
        ("atr", ctypes.c_ubyte * ATR_ROOM),
    )


class CardTrouble(Exception):
    """The card, not the reader, does not do what it should; ``code`` is PC/SC's."""

    def __init__(self, code: int) -> None:
        """Say what PC/SC said."""
        super().__init__(f"PC/SC {code:#010x}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Look:
    """What a reader holds: whether a card, its answer to reset, and how often cards came and went so far."""

    present: bool
    atr: bytes
    turns: int = 0


def _library() -> Any:
    name = LIBRARY.get(sys.platform, "libpcsclite.so.1")
    try:
        if sys.platform == "win32":
            return ctypes.WinDLL(name)
        return ctypes.CDLL(name)
    except OSError:
        raise Unavailable("PC/SC is not installed", place=name, cure=INSTALL) from None


class Pcsc:
    """A context of PC/SC; each method raises ``Unavailable``, or ``CardTrouble`` where only the card is at fault."""

    def __init__(self) -> None:
        """Reach the service."""
        self._library = _library()
        self._context = Handle(0)
        self._call("SCardEstablishContext", Dword(SCOPE_SYSTEM), None, None, ctypes.byref(self._context))
        self._states: dict[str, int] = {}

    def _call(self, function: str, *arguments: Any, fine: Sequence[int] = ()) -> int:
        code = int(getattr(self._library, function)(*arguments)) & 0xFFFFFFFF
        if code == 0 or code in fine:
            return code
        if code in OF_THE_CARD:
            raise CardTrouble(code)
        problem, cure = SAID.get(code, (f"PC/SC says {code:#010x} to {function}", "Look at the log of pcscd"))
        raise Unavailable(problem, place="PC/SC", cure=cure)

    def readers(self) -> list[str]:
        """The names of the readers that are plugged in."""
        room = Dword(0)
        function = f"SCardListReaders{ANSI}"
        if self._call(function, self._context, None, None, ctypes.byref(room), fine=(NO_READERS,)) == NO_READERS:
            return []
        buffer = ctypes.create_string_buffer(room.value)
        self._call(function, self._context, None, buffer, ctypes.byref(room), fine=(NO_READERS,))
        return [name.decode("utf-8", "replace") for name in buffer.raw[: room.value].split(b"\0") if name]

    def wait(self, reader: str, patience_s: float) -> Look:
        """What a reader holds, as soon as that changes, or after so long."""
        known = self._states.get(reader, STATE_UNAWARE)
        state = ReaderState(name=reader.encode(), current=known)
        milliseconds = Dword(int(patience_s * 1000))
        function = f"SCardGetStatusChange{ANSI}"
        self._call(function, self._context, milliseconds, ctypes.byref(state), Dword(1), fine=(TIMEOUT,))
        event = int(state.event)
        self._states[reader] = event & ~STATE_CHANGED
        there = bool(event & STATE_PRESENT) and not event & STATE_MUTE
        atr = bytes(state.atr)[: int(state.atr_length)] if there else b""
        return Look(there, atr, (event >> 16) & 0xFFFF)

    def connect(self, reader: str) -> Connected:
        """Talk to the card in a reader."""
        card, protocol = Handle(0), Dword(0)
        self._call(
            f"SCardConnect{ANSI}",
            self._context,
            reader.encode(),
            Dword(SHARE_SHARED),
            Dword(PROTOCOL_ANY),
            ctypes.byref(card),
            ctypes.byref(protocol),
        )
        return Connected(self._call, card, int(protocol.value))

    def close(self) -> None:
        """Let go of the service."""
        self._library.SCardReleaseContext(self._context)


class Connected:
    """A card that is talked to, until the block ends."""

    def __init__(self, call: Any, card: Any, protocol: int) -> None:
        """Talk to this one."""
        self._call = call
        self._card = card
        self._protocol = protocol

    def __enter__(self) -> Connected:
        """Talk."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the card as it is."""
        try:
            self._call("SCardDisconnect", self._card, Dword(LEAVE_CARD))
        except (Unavailable, CardTrouble):
            return

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Send a command; the answer and its status word."""
        sent = (Dword * 2)(self._protocol, ctypes.sizeof(Dword) * 2)
        answer, room = ctypes.create_string_buffer(300), Dword(300)
        self._call(
            "SCardTransmit",
            self._card,
            ctypes.byref(sent),
            apdu,
            Dword(len(apdu)),
            None,
            answer,
            ctypes.byref(room),
        )
        found = answer.raw[: room.value]
        return found[:-2], int.from_bytes(found[-2:])
