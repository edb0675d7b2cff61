"""The memory of cards: what a block is, which ones are dangerous to write, and how a driver offers them.

MIFARE Classic has blocks of 16 bytes in sectors that a key opens; the last block of a sector (its trailer) holds the
keys. MIFARE Ultralight and NTAG have pages of 4 bytes, the first four of which hold UID, locks and a one-time area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from arthexis import DomainError

CLASSIC: Final = "MIFARE Classic"
ULTRALIGHT: Final = "MIFARE Ultralight"
KEY_A: Final = 0x60
KEY_B: Final = 0x61
FACTORY_KEY: Final = b"\xff" * 6
FIRST_FREE_PAGE: Final = 4
LEAST_PAGES: Final = 16
CAPABILITY_PAGE: Final = 3
CAPABILITY: Final = 0xE1
SIZE_OF: Final = {CLASSIC: 16, ULTRALIGHT: 4}
KINDS: Final = {0x08: CLASSIC, 0x88: CLASSIC, 0x28: CLASSIC, 0x09: CLASSIC, 0x18: CLASSIC, 0x00: ULTRALIGHT}
CLASSIC_BLOCKS: Final = {0x09: 20, 0x18: 256}
USUAL_BLOCKS: Final = 64


@dataclass(frozen=True, slots=True)
class Key:
    """What opens a sector of a MIFARE Classic."""

    value: bytes = FACTORY_KEY
    kind: int = KEY_A


class Blocks(Protocol):
    """The memory of the one card that a driver has selected; each may raise ``DomainError`` and ``Unavailable``."""

    def read(self, block: int, key: Key) -> bytes:
        """16 bytes: a block of a Classic, or four pages of an Ultralight from this one on."""

    def write(self, block: int, data: bytes, key: Key) -> None:
        """Write a block of 16 bytes or a page of 4."""


def kind_of(sak: int | None) -> str:
    """What kind of memory a card has, by its SAK; raises ``DomainError`` for one without blocks."""
    found = KINDS.get(-1 if sak is None else sak)
    if found is None:
        shown = "unknown" if sak is None else f"SAK {sak:02X}"
        raise DomainError(
            f"this card ({shown}) has no blocks that can be read",
            place="card",
            cure="Use MIFARE Classic, MIFARE Ultralight or NTAG",
        )
    return found


def refused(problem: str, cure: str) -> DomainError:
    """The error for what a card does not let us do."""
    return DomainError(problem, place="card", cure=cure)


def wrong_key(block: int) -> DomainError:
    """The error for a key that does not open a sector."""
    return refused(f"the key does not open block {block}", "Give the sector's own key: --key, and --key-type")


def trailer(block: int) -> int:
    """The block of a Classic that holds the keys of this block's sector: 4 blocks a sector, 16 from block 128 on."""
    return block | (3 if block < 128 else 15)


def read(blocks: Blocks, sak: int | None, block: int, key: Key) -> bytes:
    """A block of a Classic or a page of an Ultralight; raises ``DomainError``."""
    kind = kind_of(sak)
    _within(sak, kind, block)
    return blocks.read(block, key)[: SIZE_OF[kind]]


def write(blocks: Blocks, sak: int | None, block: int, data: bytes, key: Key, *, force: bool = False) -> None:
    """Write a block or page and read it back; raises ``DomainError``.

    The manufacturer's block, sector trailers, and pages of locks and settings are not written without ``force``: a
    mistake there makes a card useless for ever. A trailer cannot be compared, because its keys cannot be read.
    """
    kind = kind_of(sak)
    _within(sak, kind, block)
    if len(data) != SIZE_OF[kind]:
        raise refused(f"{len(data)} bytes do not fill a block of {SIZE_OF[kind]}", "Give exactly as many")
    if not force and (why := _dangerous(blocks, kind, block)) is not None:
        raise refused(f"block {block} is {why}", "Write another one, or add --force if you know what you do")
    blocks.write(block, data, key)
    secret = kind == CLASSIC and trailer(block) == block
    if not secret and blocks.read(block, key)[: len(data)] != data:
        raise refused(f"block {block} does not hold what was written", "The card may be locked; read it")


def _within(sak: int | None, kind: str, block: int) -> None:
    most = CLASSIC_BLOCKS.get(sak or 0, USUAL_BLOCKS) if kind == CLASSIC else 256
    if not 0 <= block < most:
        raise refused(f"there is no block {block}", f"This card has blocks 0 to {most - 1}")


def _dangerous(blocks: Blocks, kind: str, block: int) -> str | None:
    """Why a block is not one for data, or None."""
    if kind == CLASSIC:
        return "the manufacturer's" if block == 0 else "a sector trailer (keys)" if trailer(block) == block else None
    if block < FIRST_FREE_PAGE:
        return "one of UID, locks and the one-time area"
    container = blocks.read(CAPABILITY_PAGE, Key())
    free = container[2] * 2 if container[0] == CAPABILITY else LEAST_PAGES - FIRST_FREE_PAGE
    return "beyond the pages for data (locks, settings, password)" if block >= FIRST_FREE_PAGE + free else None
