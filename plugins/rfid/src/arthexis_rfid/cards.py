"""Cards as readers see them, and the texts by which they are known.

The id of a card is its UID in upper-case hexadecimal, byte by byte as it goes over the air (ISO 14443-3): 4, 7 or 10
bytes. It fits an OCPP idTag (at most 20 characters). Readers and older systems write the same card otherwise; ``forms``
has these texts, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final

from arthexis import DomainError

ISO14443A: Final = "iso14443a"
EM4100: Final = "em4100"
TEXT: Final = "text"
TECHNOLOGIES: Final = (ISO14443A, EM4100, TEXT)
LENGTHS: Final = (4, 7, 10)
CASCADE_TAG: Final = 0x88
RANDOM: Final = 0x08
LONGEST: Final = 20
TOO_OLD: Final = "Use a reader or a driver that reads all cascade levels (UIDs of 7 bytes)"


@dataclass(frozen=True, slots=True)
class Card:
    """A card in the field of a reader: its id, and its UID where it has one. ``sak`` tells what kind of chip it is."""

    id: str
    technology: str = ISO14443A
    uid: bytes = b""
    sak: int | None = None

    @property
    def random(self) -> bool:
        """Whether the UID is made up anew each time (ISO 14443-3 §6.5.4: 4 bytes, the first 08), as phones do."""
        return self.technology == ISO14443A and len(self.uid) == 4 and self.uid[0] == RANDOM

    @property
    def masked(self) -> str:
        """The id as others may see it."""
        return masked(self.id)


@dataclass(frozen=True, slots=True)
class Misread:
    """Something in the field that cannot be told from other cards, or not be read: why, and the cure."""

    what: str
    problem: str
    cure: str


Sighting = Card | Misread


def masked(text: str) -> str:
    """An id as logs, displays and messages may hold it: its last four characters, where these are not all of it."""
    return f"*{text[-4:]}" if len(text) > 4 else "*"


def hidden(text: str, *ids: str) -> str:
    """A text with these ids masked in it."""
    return reduce(lambda said, found: said.replace(found, masked(found)), sorted(ids, key=len, reverse=True), text)


def bcc(data: bytes) -> int:
    """The block check character of a cascade level: all bytes, exclusive or."""
    return reduce(xor, data, 0)


def card(raw: bytes, technology: str = ISO14443A, sak: int | None = None) -> Card:
    """The card of these bytes, check bytes and cascade tags taken off; raises ``DomainError`` for what is no whole UID.

    A UID of 7 or 10 bytes that was cut after its first cascade level is refused: many cards share it.
    """
    uid = bytes(raw) if technology == EM4100 else _bare(bytes(raw))
    wrong = _wrong(uid, technology)
    if wrong is not None:
        raise DomainError(wrong[0], place=f"card {raw.hex().upper()}", cure=wrong[1])
    return Card(uid.hex().upper(), technology, uid, sak)


def _bare(raw: bytes) -> bytes:
    """A UID without the check byte of each cascade level and without cascade tags, where they are there and hold."""
    levels = [raw[at : at + 5] for at in range(0, len(raw), 5)]
    checked = len(raw) % 5 == 0 and all(bcc(level[:4]) == level[4] for level in levels)
    tagged = [level[0] == CASCADE_TAG for level in levels]
    if checked and len(levels) == 1:
        return raw[:4]
    if checked and tagged == [True] * (len(levels) - 1) + [False] and len(levels) <= len(LENGTHS):
        return b"".join(level[1:4] for level in levels[:-1]) + levels[-1][:4]
    if len(raw) == 8 and raw[0] == CASCADE_TAG:
        return raw[1:]
    return raw[:-1] if len(raw) in {8, 11} and bcc(raw[-5:-1]) == raw[-1] else raw


def _wrong(uid: bytes, technology: str) -> tuple[str, str] | None:
    """What keeps bytes from being a UID, and the cure."""
    if technology == EM4100:
        return None if len(uid) in {4, 5} else (f"an EM4100 number of {len(uid)} bytes", "Compare the reader's setting")
    if uid[:1] == bytes([CASCADE_TAG]) or (len(uid) == 5 and uid[0] == CASCADE_TAG):
        return "only the first part of a longer UID (it begins with the cascade tag 88): many cards share it", TOO_OLD
    if len(uid) not in LENGTHS:
        return f"a UID of {len(uid)} bytes", "A UID has 4, 7 or 10; compare the setting `reads` of the reader"
    if not any(uid):
        return "a UID of zeros", "Hold the card still, and try another one"
    return None


# ---------------------------------------------------------------------- other texts


def _decimal(uid: bytes) -> str:
    """The number as wedges type it: its last four bytes in ten digits, or a longer UID in as many as it takes."""
    return f"{int.from_bytes(uid[-4:] if len(uid) <= 5 else uid):010d}"


def _wiegand26(uid: bytes) -> str:
    """The last three bytes as a Wiegand panel shows them: facility (3 digits) and number (5 digits)."""
    return f"{uid[-3]:03d}{int.from_bytes(uid[-2:]):05d}"


def _legacy(uid: bytes) -> str:
    """What readers show that add the check byte: 10 hexadecimal digits for a UID of 4 bytes."""
    return (uid + bytes([bcc(uid)])).hex().upper() if len(uid) == 4 else ""


def _hex8(uid: bytes) -> str:
    return uid[-4:].hex().upper() if len(uid) == 5 else ""


_FORMS: Final[Mapping[str, Callable[[bytes], str]]] = {
    "decimal": _decimal,
    "decimal-reversed": lambda uid: _decimal(uid[::-1]),
    "hex8": _hex8,
    "legacy": _legacy,
    "reversed": lambda uid: uid[::-1].hex().upper(),
    "wiegand26": _wiegand26,
    "wiegand26-reversed": lambda uid: _wiegand26(uid[::-1]),
}
FORMS: Final = tuple(_FORMS)


def forms(found: Card, names: tuple[str, ...] | list[str] = FORMS) -> dict[str, str]:
    """The other texts of a card by the names of their forms; those that are no idTag or the id itself are left out.

    A card whose UID is random has none, and neither has one that is known by a text.
    """
    if not found.uid or found.random:
        return {}
    texts = {name: _FORMS[name](found.uid) for name in names}
    return {name: text for name, text in texts.items() if 0 < len(text) <= LONGEST and text != found.id}


def typed(text: str, reads: str, technology: str = ISO14443A) -> Card:
    """The card that a line of a serial or keyboard reader means; raises ``DomainError``.

    ``reads`` is how the reader writes: ``hex``, ``hex-reversed``, ``decimal``, ``decimal-reversed``, or ``text`` for
    one that reads tokens as they are.
    """
    line = text.strip()
    if reads == TEXT:
        if not 0 < len(line) <= LONGEST or not line.isprintable():
            raise DomainError(f"{line[:40]!r} cannot be an id tag", place="card", cure=f"1 to {LONGEST} characters")
        return Card(line, TEXT)
    raw = _digits(line, decimal=reads.startswith("decimal"))
    if raw is None:
        wanted = "decimal digits" if reads.startswith("decimal") else "pairs of hexadecimal digits"
        raise DomainError(f"{line[:40]!r} is not {wanted}", place="card", cure="Compare the setting `reads`")
    return card(raw[::-1] if reads.endswith("-reversed") else raw, technology)


def _digits(line: str, *, decimal: bool) -> bytes | None:
    if decimal:
        fits = line.isascii() and line.isdecimal() and len(line) <= 17
        number = int(line) if fits else -1
        lengths = [length for length in (4, 7) if 0 <= number < 1 << 8 * length]
        return number.to_bytes(lengths[0]) if lengths else None
    bare = line.replace(":", "").replace(" ", "").replace("-", "")
    try:
        return bytes.fromhex(bare) if bare.isascii() and bare.isprintable() else None
    except ValueError:
        return None


def written(text: str) -> Card:
    """The card of a UID as a person writes it; raises ``DomainError``."""
    return typed(text, "hex")
