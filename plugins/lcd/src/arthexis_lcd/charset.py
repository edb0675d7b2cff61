"""Which characters a display has of its own, which it is taught, and how everything else is written instead.

An HD44780 comes with one of two character memories: A00 (Japanese, on nearly every cheap module) or A02 (European).
Eight more characters can be drawn; a text in Spanish, German, French or Czech needs no more at a time.
"""

# ruff: noqa: RUF001 - letters that look alike are told apart here

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from arthexis_lcd import font

_ASCII: Final = {chr(code): code for code in range(0x20, 0x7F)}
_A00_OWN: Final = {
    "¥": 0x5C, "→": 0x7E, "←": 0x7F, "·": 0xA5, "°": 0xDF, "α": 0xE0, "ä": 0xE1, "ß": 0xE2, "µ": 0xE4, "√": 0xE8,
    "¢": 0xEC, "ñ": 0xEE, "ö": 0xEF, "∞": 0xF3, "Ω": 0xF4, "ü": 0xF5, "Σ": 0xF6, "π": 0xF7, "÷": 0xFD, "█": 0xFF,
}  # fmt: skip
_A02_OWN: Final = {
    "↑": 0x18, "↓": 0x19, "→": 0x1A, "←": 0x1B, "≤": 0x1C, "≥": 0x1D, "α": 0x90, "π": 0x93, "Σ": 0x94, "Ω": 0x9A,
    "∞": 0x9C, "¡": 0xA1, "¢": 0xA2, "£": 0xA3, "¥": 0xA5, "§": 0xA7, "ª": 0xAA, "«": 0xAB, "°": 0xB0, "±": 0xB1,
    "µ": 0xB5, "·": 0xB7, "º": 0xBA, "»": 0xBB, "¿": 0xBF,
}  # fmt: skip

ROMS: Final[Mapping[str, Mapping[str, int]]] = {
    "A00": {character: code for character, code in _ASCII.items() if character not in "\\~"} | _A00_OWN,
    "A02": _ASCII | _A02_OWN | {chr(code): code for code in range(0xC0, 0x100)},
}
"""The codes of the characters that each memory holds."""

SLOTS: Final = 8
UNKNOWN: Final = "?"
_WRITTEN: Final = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": ",", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-",
        "…": "...", "•": "·", "μ": "µ", "ẞ": "SS", "⚠": "!", "✓": "+", "×": "x", "‹": "<", "›": ">",
        "\u00ad": None, "\u200b": None, "\u200d": None, "\ufeff": None, "\ufe0f": None,
    }
)  # fmt: skip
_BASES: Final = {
    "æ": "a", "Æ": "A", "œ": "o", "Œ": "O", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d",
    "Ð": "D", "þ": "p", "Þ": "P", "ß": "s", "ħ": "h", "ı": "i", "¿": "?", "¡": "!", "«": "<", "»": ">", "€": "E",
    "£": "L", "\\": "/", "~": "-", "·": ".", "°": "o", "µ": "u", "×": "x", "≤": "<", "≥": ">", "§": "S", "→": ">",
    "←": "<", "↑": "^", "↓": "v", "÷": "/", "±": "+", "¢": "c", "¥": "Y",
}  # fmt: skip


def legible(text: str, rom: str) -> str:
    """A text in characters that the display has or can be taught, one for each place; what it cannot show is ``?``.

    Control characters and line ends become spaces.
    """
    plain = unicodedata.normalize("NFC", text.translate(_WRITTEN))
    return "".join(_legible(character, ROMS[rom]) for character in plain)


def _legible(character: str, codes: Mapping[str, int]) -> str:
    if character in codes or (font.dots(character) is not None):
        return character
    if character.isspace() or unicodedata.category(character).startswith("C"):
        return " "
    if unicodedata.combining(character):
        return ""
    return _without_marks(character, codes)


def _without_marks(character: str, codes: Mapping[str, int]) -> str:
    """A letter with as many of its marks as can be drawn (ế becomes ê), a ligature as its letters, else ``?``."""
    parts = unicodedata.normalize("NFKD", character)
    for many in range(len(parts) - 1, 1, -1):
        nearer = unicodedata.normalize("NFC", parts[:many])
        if len(nearer) == 1 and (nearer in codes or font.dots(nearer) is not None):
            return nearer
    bare = "".join(part for part in parts if not unicodedata.combining(part))
    told = bare if bare != character else _BASES.get(character, "")
    return told if told and all(part in codes for part in told) else UNKNOWN


def base(character: str, rom: str) -> str:
    """What stands for a character that would have to be drawn while all eight places are taken."""
    bare = _BASES.get(character) or unicodedata.normalize("NFD", character)[0]
    return bare if bare in ROMS[rom] else UNKNOWN


class Slots:
    """The eight characters that the display is taught, and which of them was needed last."""

    def __init__(self, rom: str) -> None:
        """Begin with none taught."""
        self._rom = rom
        self._taught: dict[str, int] = {}  # the least recently needed first

    def arrange(self, lines: Iterable[str]) -> tuple[dict[str, int], dict[int, str]]:
        """Make room for what these lines need: the slot of each character, and the slots that must be taught anew.

        Where they need more than eight, the most frequent ones get a slot. Lines are ``legible``.
        """
        needed = Counter(c for line in lines for c in line if c not in ROMS[self._rom])
        wanted = [character for character, _ in needed.most_common(SLOTS)]
        fresh: dict[int, str] = {}
        for character in wanted:
            if character in self._taught:
                self._taught[character] = self._taught.pop(character)
        for character in wanted:
            if character not in self._taught:
                slot = self._free(wanted)
                self._taught[character] = slot
                fresh[slot] = character
        return {character: self._taught[character] for character in wanted}, fresh

    def _free(self, wanted: list[str]) -> int:
        if len(self._taught) < SLOTS:
            return len(self._taught)
        oldest = next(character for character in self._taught if character not in wanted)
        return self._taught.pop(oldest)


def codes(line: str, rom: str, slots: Mapping[str, int]) -> tuple[bytes, str]:
    """A line's codes for the display, and the line as it is then read."""
    shown = "".join(c if c in ROMS[rom] or c in slots else base(c, rom) for c in line)
    return bytes(slots[c] if c in slots else ROMS[rom][c] for c in shown), shown
