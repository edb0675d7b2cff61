"""What stands on the display, drawn: in dots for a page (SVG), in a frame for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from arthexis_lcd import font

CELL_X, CELL_Y = font.WIDTH + 1, font.HEIGHT + 1
DOT: Final = 0.86
MARGIN: Final = 4
SCALE: Final = 4
LIT = ("#12306b", "#1d4596", "#f2f6ff")
DARK = ("#10192b", "#152037", "#7f8da8")
"""Colours of the glass, of a dot that is off, and of one that is on."""
_BOX: Final = ("┌", "─", "┐", "│", "└", "┘")
_PLAIN: Final = ("+", "-", "+", "|", "+", "+")


def svg(lines: Sequence[str], *, light: bool) -> str:
    """The rows as an SVG document, each character in five by eight dots; its title is what can be read."""
    columns = max((len(line) for line in lines), default=0)
    width, height = columns * CELL_X - 1 + 2 * MARGIN, len(lines) * CELL_Y - 1 + 2 * MARGIN
    glass, off, on = LIT if light else DARK
    read = escape("\n".join(line.rstrip() for line in lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}"'
        f' width="{width * SCALE}" height="{height * SCALE}">'
        f"<title>{read}</title>"
        f'<rect width="{width}" height="{height}" rx="2" fill="{glass}"/>'
        f'<path fill="{off}" d="{_path(lines, lit=False)}"/><path fill="{on}" d="{_path(lines, lit=True)}"/></svg>\n'
    )


def _path(lines: Sequence[str], *, lit: bool) -> str:
    """All dots that are on, or all that are off, as one path."""
    return "".join(
        f"M{x} {y}h{DOT}v{DOT}h-{DOT}z"
        for row, line in enumerate(lines)
        for column, character in enumerate(line)
        for x, y in _dots(character, MARGIN + column * CELL_X, MARGIN + row * CELL_Y, lit=lit)
    )


def _dots(character: str, left: int, top: int, *, lit: bool) -> Iterator[tuple[int, int]]:
    rows = font.dots(character) or font.dots("?") or font.BLANK
    for y, row in enumerate(rows):
        for x in range(font.WIDTH):
            if bool(row >> (font.WIDTH - 1 - x) & 1) is lit:
                yield left + x, top + y


def framed(lines: Sequence[str], encoding: str) -> list[str]:
    """The rows in a frame, in characters that this encoding has."""
    first, across, second, side, third, fourth = _BOX if _has(encoding, "".join(_BOX)) else _PLAIN
    columns = max((len(line) for line in lines), default=0)
    kept = [line.encode(encoding, "replace").decode(encoding) for line in lines]
    return [
        f"{first}{across * columns}{second}",
        *(f"{side}{line.ljust(columns)}{side}" for line in kept),
        f"{third}{across * columns}{fourth}",
    ]


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
