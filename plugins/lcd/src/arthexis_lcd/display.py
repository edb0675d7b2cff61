"""A display that is there: brought up by the datasheet, then told only what changes.

Everything here blocks and belongs to one thread. What goes wrong on the bus is raised as the ``OSError`` it is; what
the display shows is then unknown, and ``begin`` must follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from arthexis_lcd import charset, font, hd44780

MOST_BRIDGED: Final = 1
"""So many unchanged places between two changed ones are sent along: a new transfer would cost more."""


class Bus(Protocol):
    """A way to one PCF8574."""

    def write(self, data: bytes) -> None:
        """Send these bytes in one transfer; raises ``OSError``."""

    def pause(self, seconds: float) -> None:
        """Wait at least so long before the next byte."""

    def close(self) -> None:
        """Let the bus go."""


class Display:
    """So many columns and rows of characters."""

    def __init__(self, bus: Bus, columns: int = 16, rows: int = 2, rom: str = "A00") -> None:
        """Use this bus; nothing is sent before ``begin``."""
        self._bus = bus
        self._columns, self._rows, self._rom = columns, rows, rom
        self._light = True
        self._forget()

    def _forget(self) -> None:
        self._cells: list[list[int | None]] = [[None] * self._columns for _ in range(self._rows)]
        self._slots = charset.Slots(self._rom)

    def begin(self) -> None:
        """Bring the chip up from any state, empty (HD44780 datasheet, figure 24)."""
        self._send([], light=self._light)
        self._bus.pause(hd44780.POWER_UP_S)
        self._synchronise()
        self._instruct(hd44780.FUNCTION_TWO_LINES, hd44780.DISPLAY_OFF)
        self._instruct(hd44780.CLEAR)
        self._bus.pause(hd44780.SLOW_S)
        self._instruct(hd44780.ENTRY_RIGHTWARDS, hd44780.DISPLAY_ON)
        self._forget()
        self._cells = [[ord(" ")] * self._columns for _ in range(self._rows)]

    def refresh(self) -> None:
        """Bring the chip back from whatever has happened to it, without a flicker; the next ``draw`` sends everything.

        A display that lost its power for a moment, or half a byte to a disturbance, is right again afterwards.
        """
        self._synchronise()
        self._instruct(hd44780.FUNCTION_TWO_LINES, hd44780.ENTRY_RIGHTWARDS)
        self._instruct(hd44780.HOME)
        self._bus.pause(hd44780.SLOW_S)
        self._instruct(hd44780.DISPLAY_ON)
        self._forget()

    def _synchronise(self) -> None:
        light = hd44780.LIGHT if self._light else 0
        for value, pause_s in zip(hd44780.SYNC, hd44780.SYNC_PAUSES_S, strict=True):
            self._bus.write(bytes((value << 4 | light,)) + hd44780.nibble(value, 0, light))
            self._bus.pause(pause_s)

    def _instruct(self, *codes: int) -> None:
        self._send([(0, code) for code in codes], light=self._light)

    def _send(self, instructions: Sequence[hd44780.Instruction], *, light: bool) -> None:
        self._bus.write(hd44780.wire(instructions, light=light) or bytes((hd44780.LIGHT if light else 0,)))

    def check(self) -> None:
        """Send a byte that changes nothing, to hear whether the display still answers."""
        self._send([], light=self._light)

    def draw(self, lines: Sequence[str], *, light: bool = True) -> list[str]:
        """Show these lines, and send only what changes; what is read then. Longer ones are cut, shorter ones filled."""
        padded = [line[: self._columns].ljust(self._columns) for line in [*lines, *[""] * self._rows][: self._rows]]
        fitted = [charset.legible(line, self._rom)[: self._columns].ljust(self._columns) for line in padded]
        if light != self._light:
            self._light = light
            self.check()
        slots, fresh = self._slots.arrange(fitted)
        for slot, character in fresh.items():
            self._send(hd44780.character(slot, font.dots(character) or font.BLANK), light=light)
        return [self._row(row, *charset.codes(line, self._rom, slots)) for row, line in enumerate(fitted)]

    def _row(self, row: int, codes: bytes, shown: str) -> str:
        for start, end in _runs(self._cells[row], codes):
            self._send(hd44780.text(row, start, self._columns, codes[start:end]), light=self._light)
        self._cells[row] = list(codes)
        return shown


def _runs(stands: Sequence[int | None], wanted: bytes) -> Iterator[tuple[int, int]]:
    """The stretches of a row that must be sent, as (from, to)."""
    start = end = -1
    for at, (there, code) in enumerate(zip(stands, wanted, strict=True)):
        if there == code:
            continue
        if start >= 0 and at - end > MOST_BRIDGED:
            yield start, end
            start = -1
        if start < 0:
            start = at
        end = at + 1
    if start >= 0:
        yield start, end
