"""A display without a display: a PCF8574 and an HD44780 at the level of single bytes, and what a person reads there.

It is the ``virtual`` bus of a node that has no display, and what the driver is tested against. It keeps the time that
its bytes and pauses take, and remembers whatever a real chip would not have understood. Nothing but the standard
library is needed, so that it can also stand behind a bus that another program emulates.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import Final

from arthexis_lcd import font
from arthexis_lcd.charset import ROMS, SLOTS
from arthexis_lcd.hd44780 import LIGHT, RS, RW, E

REMOTE_IO: Final = getattr(errno, "EREMOTEIO", 121)
BYTE_US: Final = 22.5
"""Nine bits at 400 kHz: faster than a PCF8574 is made for, so that timing that holds here holds everywhere."""
QUICK_US, DATA_US, SLOW_US = 37.0, 41.0, 1520.0
WAKE_US: Final = 40_000.0
AWAKE_US: Final = (4100.0, 100.0)
ROW: Final = 0x40
LENGTH: Final = 40
MOST_COMPLAINTS: Final = 100
MOST_BYTES: Final = 65_536


class Hd44780:
    """The controller: what its pins see, what it holds, and what it shows."""

    def __init__(self, columns: int = 16, rows: int = 2, rom: str = "A00") -> None:
        """Have power since just now."""
        self.columns, self.rows, self.rom = columns, rows, rom
        self.complaints: deque[str] = deque(maxlen=MOST_COMPLAINTS)
        self.now_us = 0.0
        self.power_up()

    def power_up(self) -> None:
        """Come up as the internal reset leaves it: eight bits, one line, off; the memories hold chance."""
        self._ready_us = self.now_us + WAKE_US
        self._woken = 0
        self._four = self._two = self.on = False
        self._half: int | None = None
        self._shift = 0
        self._address, self._in_glyphs, self._step = 0, False, 1
        self._text = bytearray(b"\xff" * 128)
        self._glyphs = bytearray(b"\x15" * 8 * SLOTS)

    def lose_a_nibble(self) -> None:
        """Count one pulse of E too many, as a disturbance makes it: what follows is understood shifted by four bits."""
        self._half = 0x8 if self._half is None else None

    def pulse(self, pins: int, rs: int) -> None:
        """E has fallen while D7 to D4 were these and RS was this."""
        if self.now_us < self._ready_us:
            self.complaints.append(f"busy for {self._ready_us - self.now_us:.0f} µs more")
            return
        if not self._four:
            self._do(pins << 4, rs)
        elif self._half is None:
            self._half = pins
        else:
            whole, self._half = self._half << 4 | pins, None
            self._do(whole, rs)

    def _do(self, value: int, rs: int) -> None:
        needs_us = self._store(value) if rs else self._obey(value)
        self._ready_us = self.now_us + needs_us

    def _store(self, value: int) -> float:
        if self._in_glyphs:
            self._glyphs[self._address & 63] = value & 0x1F
            self._address = (self._address + self._step) & 63
            return DATA_US
        self._text[self._address] = value
        self._address = self._after(self._address)
        return DATA_US

    def _after(self, address: int) -> int:
        """The next address: with two lines, one line goes on at the start of the other."""
        if not self._two:
            return (address + self._step) % 80
        row, column = divmod(address, ROW)
        column += self._step
        return (row ^ 1) * ROW + column % LENGTH if not 0 <= column < LENGTH else row * ROW + column

    def _obey(self, value: int) -> float:
        """Carry out an instruction (datasheet, table 6); how long it takes, in microseconds."""
        highest = value.bit_length()
        if highest >= 7:
            self._in_glyphs = highest == 7
            self._address = value & (0x3F if highest == 7 else 0x7F)
        elif highest == 6:
            return self._function(value)
        elif highest == 5:
            self._move(value)
        elif highest == 4:
            self.on = bool(value & 4)
        elif highest == 3:
            self._step = 1 if value & 2 else -1
        elif highest:
            return self._home(clear=highest == 1)
        return QUICK_US

    def _home(self, *, clear: bool) -> float:
        if clear:
            self._text[:] = b" " * len(self._text)
            self._step = 1
        self._address, self._in_glyphs, self._shift = 0, False, 0
        return SLOW_US

    def _move(self, value: int) -> None:
        by = 1 if value & 4 else -1
        if value & 8:
            self._shift = (self._shift - by) % LENGTH
        else:
            self._address = self._after(self._address) if by > 0 else (self._address - 1) & 0x7F

    def _function(self, value: int) -> float:
        was_four, self._four = self._four, not value & 0x10
        if was_four or not self._four:  # the lower half is wired only once four bits are agreed on
            self._two = bool(value & 8)
        self._half = None
        self._woken += 1
        return AWAKE_US[self._woken - 1] if self._woken <= len(AWAKE_US) else QUICK_US

    def _code(self, row: int, column: int) -> int:
        start = self.columns if row >= 2 else 0
        return self._text[(row % 2) * ROW + (start + column + self._shift) % LENGTH]

    def cells(self) -> list[list[bytes | int]]:
        """What each place shows: the code of a built-in character, or the eight rows of dots of a taught one."""
        return [
            [self._cell(self._code(row, column)) for column in range(self.columns)] if self._lit(row) else []
            for row in range(self.rows)
        ]

    def _lit(self, row: int) -> bool:
        return self.on and (self._two or row % 2 == 0)

    def _cell(self, code: int) -> bytes | int:
        return bytes(self._glyphs[(code & 7) * 8 : (code & 7) * 8 + 8]) if code < 16 else code

    def lines(self) -> list[str]:
        """What a person reads, row by row; a row that is not driven is empty, dots that are no letter are ``▒``."""
        return ["".join(self._read(cell) for cell in row) for row in self.cells()]

    def _read(self, cell: bytes | int) -> str:
        return _OF_DOTS.get(cell, "▒") if isinstance(cell, bytes) else _OF_CODE[self.rom].get(cell, "▒")


_OF_CODE: Final = {rom: {code: character for character, code in codes.items()} for rom, codes in ROMS.items()}
_LETTERS: Final = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA1, 0x180)])) + "€→←↑↓≤≥ȘșȚț"
_OF_DOTS: Final = {
    drawn: letter for letter in reversed(_LETTERS) if (drawn := font.dots(letter)) is not None and any(drawn)
}


class VirtualDisplay:
    """The backpack with its chip, as a bus to it: every byte written sets eight pins."""

    def __init__(self, columns: int = 16, rows: int = 2, rom: str = "A00") -> None:
        """Have power since just now, and an address at which it answers."""
        self.chip = Hd44780(columns, rows, rom)
        self.bytes: deque[int] = deque(maxlen=MOST_BYTES)
        self.transfers = 0
        self.plugged = True
        self.refuses_after: int | None = None
        self._pins = 0xFF

    @property
    def light(self) -> bool:
        """Whether the backlight is on."""
        return bool(self._pins & LIGHT)

    def lines(self) -> list[str]:
        """What a person reads."""
        return self.chip.lines()

    def unplug(self) -> None:
        """Take it away: nothing answers."""
        self.plugged = False

    def plug(self) -> None:
        """Bring it back, as it is after its power came."""
        self.plugged = True
        self._pins = 0xFF
        self.chip.power_up()

    def write(self, data: bytes) -> None:
        """Take a transfer; raises ``OSError`` as the kernel does where nothing answers.

        With ``refuses_after`` it stops in the middle, once: so many bytes later no acknowledgement comes.
        """
        self.transfers += 1
        for byte in data:
            if self.refuses_after is not None:
                self.refuses_after -= 1
            if not self.plugged or (self.refuses_after or 0) < 0:
                self.refuses_after = None
                raise OSError(REMOTE_IO, "Remote I/O error")
            self.take(byte)

    def take(self, byte: int) -> None:
        """Set the pins to a byte; E falling hands a nibble to the chip."""
        self.chip.now_us += BYTE_US
        self.bytes.append(byte)
        before, self._pins = self._pins, byte
        if byte & E and not before & E and (byte ^ before) & (RS | RW):
            self.chip.complaints.append("RS or RW changed together with E")
        if before & E and not byte & E and not before & RW:
            if (byte ^ before) & 0xF0:
                self.chip.complaints.append("the data changed together with E")
            self.chip.pulse(before >> 4, before & RS)

    def pause(self, seconds: float) -> None:
        """Let so much time pass for the chip, and none for anybody else."""
        self.chip.now_us += seconds * 1e6

    def close(self) -> None:
        """Have nothing to let go."""
