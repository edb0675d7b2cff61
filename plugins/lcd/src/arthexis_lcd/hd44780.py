"""The HD44780 behind a PCF8574: instructions as the bytes that are sent over the wire, and the pauses between them.

The expander's outputs P0 to P7 are RS, RW, E, the backlight, and D4 to D7 (the wiring of every common backpack). An
instruction is two nibbles, and a nibble is taken when E falls, so each costs two bytes: E high, E low. RS must stand
before E rises, so a byte that sets it goes ahead where it changes. At the PCF8574's 100 kHz a byte takes 90 µs, more
than twice what any instruction but *clear* and *home* needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

RS: Final = 0x01
RW: Final = 0x02
E: Final = 0x04
LIGHT: Final = 0x08

CLEAR: Final = 0x01
HOME: Final = 0x02
ENTRY_RIGHTWARDS: Final = 0x06
DISPLAY_OFF: Final = 0x08
DISPLAY_ON: Final = 0x0C
FUNCTION_TWO_LINES: Final = 0x28
CGRAM: Final = 0x40
DDRAM: Final = 0x80

POWER_UP_S: Final = 0.05
"""At least 40 ms after the supply has come (datasheet, figure 24)."""
FIRST_S: Final = 0.005
"""At least 4.1 ms after the first of the three nibbles that fetch the chip out of any state."""
SECOND_S: Final = 0.0002
"""At least 100 µs after the second."""
SLOW_S: Final = 0.003
"""Clear and home take 1.52 ms at 270 kHz, and oscillators differ."""

SYNC: Final = (0x3, 0x3, 0x3, 0x2)
"""Three times *eight bits*, which ends every half-received instruction, then *four bits*."""
SYNC_PAUSES_S: Final = (FIRST_S, SECOND_S, SECOND_S, SECOND_S)

Instruction = tuple[int, int]
"""RS (0: an instruction, 1: data) and eight bits."""


def nibble(value: int, rs: int, light: int) -> bytes:
    """Four bits with a pulse of E."""
    lines = value << 4 | rs | light
    return bytes((lines | E, lines))


def wire(instructions: Iterable[Instruction], *, light: bool) -> bytes:
    """Instructions and data as the bytes of one transfer."""
    return b"".join(_pieces(instructions, LIGHT if light else 0))


def _pieces(instructions: Iterable[Instruction], light: int) -> Iterator[bytes]:
    stands = -1
    for rs, value in instructions:
        if rs != stands:
            yield bytes(((value & 0xF0) | rs | light,))
            stands = rs
        yield nibble(value >> 4, rs, light)
        yield nibble(value & 0x0F, rs, light)


def at(row: int, column: int, columns: int) -> int:
    """The instruction that puts the cursor at a place; the third and fourth rows go on where the first two end."""
    return DDRAM | ((0x40 if row % 2 else 0x00) + (columns if row >= 2 else 0) + column)


def text(row: int, column: int, columns: int, codes: bytes) -> list[Instruction]:
    """Write these codes from a place on."""
    return [(0, at(row, column, columns)), *((RS, code) for code in codes)]


def character(slot: int, dots: bytes) -> list[Instruction]:
    """Teach the chip one of its eight own characters; the cursor is elsewhere afterwards."""
    return [(0, CGRAM | slot << 3), *((RS, row) for row in dots)]
