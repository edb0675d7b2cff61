"""MFRC522 over SPI: the chip's registers, and ISO 14443-3 type A on top of them, all cascade levels.

After NXP's data sheet MFRC522 (rev. 3.9) and ISO/IEC 14443-3. Needs neither the reset nor the interrupt pin. Where
several cards are in the field each is selected in turn: collisions are resolved bit by bit, and a card that was read
is halted until the next look.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from arthexis import DomainError, Unavailable
from arthexis_rfid import blocks, cards
from arthexis_rfid.blocks import Blocks, Key
from arthexis_rfid.cards import Card, Misread, Sighting, bcc
from arthexis_rfid.drivers.spi import Bus, Spi
from arthexis_rfid.settings import Reader

# registers (data sheet, table 20)
COMMAND, COM_IRQ, ERROR, STATUS_2, FIFO_DATA, FIFO_LEVEL = 0x01, 0x04, 0x06, 0x08, 0x09, 0x0A
CONTROL, BIT_FRAMING, COLL, MODE, TX_CONTROL, TX_ASK = 0x0C, 0x0D, 0x0E, 0x11, 0x14, 0x15
T_MODE, T_PRESCALER, T_RELOAD_H, T_RELOAD_L, VERSION = 0x2A, 0x2B, 0x2C, 0x2D, 0x37

# commands
IDLE, TRANSCEIVE, MF_AUTHENT, SOFT_RESET = 0x00, 0x0C, 0x0E, 0x0F

# bits
TIMER_IRQ, ERROR_IRQ, IDLE_IRQ, RX_IRQ, ALL_IRQ = 0x01, 0x02, 0x10, 0x20, 0x7F
COLL_ERR, HARD_ERRORS = 0x08, 0x13  # of the error register: collision; protocol, parity, buffer overflow
NO_POSITION, POSITION = 0x20, 0x1F
CRYPTO_ON, ANTENNA, FLUSH, START_SEND = 0x08, 0x03, 0x80, 0x80

# what cards understand
REQA, WUPA, HLTA, SELECT_CODES = 0x26, 0x52, b"\x50\x00", (0x93, 0x95, 0x97)
READ, WRITE_CLASSIC, WRITE_PAGE, ACK = 0x30, 0xA0, 0xA2, 0x0A
MORE_LEVELS = 0x04

SETUP: Final = (
    (T_MODE, 0x8D),  # the timer starts by itself after sending
    (T_PRESCALER, 0x3E),  # 6.78 MHz / 3390: 2000 ticks a second
    (T_RELOAD_H, 0),
    (T_RELOAD_L, 30),  # 15 ms without an answer: nobody there
    (TX_ASK, 0x40),  # 100 % ASK, as type A wants it
    (MODE, 0x3D),  # CRC preset 6363
)
COMMAND_S: Final = 0.1
POLL_S: Final = 0.1
CHECK_EVERY: Final = 10
MOST_CARDS: Final = 8
WIRING: Final = "Compare the wiring: 3.3 V (never 5 V), GND, SDA to CE0, SCK, MOSI, MISO; and `device`"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a card sent: bytes, and how many bits of the last one count (0: all).

    ``collision`` is the first bit (from 1; 0: nobody knows which) at which several cards answered differently.
    """

    data: bytes
    last_bits: int = 0
    collision: int | None = None


def crc_a(data: bytes) -> bytes:
    """The two check bytes of type A (ISO 14443-3 §6.2.4), the low one first."""
    value = 0x6363
    for byte in data:
        low = byte ^ value & 0xFF
        low = (low ^ low << 4) & 0xFF
        value = value >> 8 ^ low << 8 ^ low << 3 ^ low >> 4
    return value.to_bytes(2, "little")


class Chip:
    """The registers of an MFRC522, and frames through them."""

    def __init__(self, bus: Bus, place: str) -> None:
        """Reset the chip and switch its field on; raises ``Unavailable`` where none answers."""
        self._bus = bus
        self._place = place
        self.version = 0
        self.setup()

    def setup(self) -> None:
        """Bring the chip to where it can talk to cards; raises ``Unavailable``."""
        self.set(COMMAND, SOFT_RESET)
        time.sleep(0.005)
        self.check()
        for register, value in SETUP:
            self.set(register, value)
        self.set(TX_CONTROL, self.get(TX_CONTROL) | ANTENNA)

    def check(self) -> None:
        """Raise ``Unavailable`` where no chip answers any more."""
        self.version = self.get(VERSION)
        if self.version in {0x00, 0xFF}:
            problem = f"no MFRC522 answers (its version register reads {self.version:02X})"
            raise Unavailable(problem, place=self._place, cure=WIRING)

    @property
    def lost_its_field(self) -> bool:
        """Whether the chip was reset behind our back, as a dip of its supply does."""
        return self.get(TX_CONTROL) & ANTENNA != ANTENNA

    def get(self, register: int) -> int:
        """A register."""
        return self._bus.transfer(bytes([0x80 | register << 1, 0]))[1]

    def set(self, register: int, *values: int) -> None:
        """Write a register; several values one after the other, as the FIFO takes them."""
        self._bus.transfer(bytes([register << 1, *values]))

    def _fifo(self) -> bytes:
        many = self.get(FIFO_LEVEL) & 0x7F
        return self._bus.transfer(bytes([0x80 | FIFO_DATA << 1] * many + [0]))[1:] if many else b""

    def _run(self, command: int, data: bytes, framing: int, ends: int) -> bool:
        """Run a command on some bytes; whether it ended by itself and without an error that spoils it."""
        self.set(COMMAND, IDLE)
        self.set(COM_IRQ, ALL_IRQ)
        self.set(FIFO_LEVEL, FLUSH)
        self.set(FIFO_DATA, *data)
        self.set(BIT_FRAMING, framing)
        self.set(COMMAND, command)
        if command == TRANSCEIVE:
            self.set(BIT_FRAMING, START_SEND | framing)
        until = time.monotonic() + COMMAND_S
        while not (raised := self.get(COM_IRQ)) & ends:
            if raised & TIMER_IRQ or time.monotonic() > until:
                return False
        return not self.get(ERROR) & HARD_ERRORS

    def exchange(self, data: bytes, *, bits: int = 0, at_bit: int = 0) -> Answer | None:
        """Send a frame and return the answer; None where nothing sensible comes.

        ``bits`` of its last byte are sent (0: all); the first bit of the answer lies at ``at_bit`` of its first byte.
        """
        if not self._run(TRANSCEIVE, data, at_bit << 4 | bits, RX_IRQ | IDLE_IRQ):
            return None
        collided = self.get(ERROR) & COLL_ERR
        where = self.get(COLL) if collided else 0
        position = (0 if where & NO_POSITION else where & POSITION or 32) if collided else None
        return Answer(self._fifo(), self.get(CONTROL) & 7, position)

    def checked(self, data: bytes) -> bytes | None:
        """Send a frame with its check bytes; the answer without its own, or None where they are wrong or nothing comes.

        An answer of four bits (ACK or NAK) comes as its one byte.
        """
        answer = self.exchange(data + crc_a(data))
        if answer is None or answer.collision is not None:
            return None
        if answer.last_bits == 4 and len(answer.data) == 1:
            return bytes([answer.data[0] & 0x0F])
        body, check = answer.data[:-2], answer.data[-2:]
        return body if len(answer.data) > 2 and crc_a(body) == check else None

    def authenticate(self, block: int, key: Key, uid4: bytes) -> bool:
        """Open the sector of a block of a MIFARE Classic; ``uid4`` are the last four bytes of its UID."""
        ended = self._run(MF_AUTHENT, bytes([key.kind, block]) + key.value + uid4, 0, IDLE_IRQ)
        return ended and bool(self.get(STATUS_2) & CRYPTO_ON)

    def end_crypto(self) -> None:
        """Talk in clear again."""
        self.set(STATUS_2, self.get(STATUS_2) & ~CRYPTO_ON & 0xFF)


class Field:
    """The cards in the field of a chip."""

    def __init__(self, chip: Chip) -> None:
        """Talk through this chip."""
        self._chip = chip
        self._chip.set(COLL, 0)  # bits after a collision are cleared, so that they can be chosen

    def wake(self, *, also_halted: bool) -> bool:
        """Ask for cards (REQA), with ``also_halted`` for those too that were read before (WUPA)."""
        self._chip.end_crypto()
        return self._chip.exchange(bytes([WUPA if also_halted else REQA]), bits=7) is not None

    def halt(self) -> None:
        """Send the selected card to sleep until the next WUPA; it does not answer."""
        self._chip.exchange(HLTA + crc_a(HLTA))

    def all(self) -> tuple[Sighting, ...]:
        """Every card that answers, one after the other; one that does not go to sleep ends the look."""
        found: list[Sighting] = []
        awake = self.wake(also_halted=True)
        while awake and len(found) < MOST_CARDS and (card := self.next()) is not None and card not in found:
            found.append(card)
            self.halt()
            awake = self.wake(also_halted=False)
        return tuple(found)

    def next(self) -> Sighting | None:
        """Select one of the cards that are awake; None where they cannot be told apart this time."""
        uid, sak = b"", 0
        for code in SELECT_CODES:
            part = self._anticollide(code)
            selected = self._select(code, part) if part is not None else None
            if part is None or selected is None:
                return None
            sak = selected
            if not sak & MORE_LEVELS:
                return _card(uid + part, sak)
            uid += part[1:]
        return Misread(uid.hex().upper(), "it asks for a fourth cascade level", "This is no card of ISO 14443-3")

    def _anticollide(self, code: int) -> bytes | None:
        """The four bytes of a cascade level of one card, its check byte compared (ISO 14443-3 §6.5.3)."""
        known, level = 0, bytearray(5)
        for _ in range(33):
            whole, bits = divmod(known, 8)
            frame = bytes([code, (2 + whole) << 4 | bits]) + bytes(level[: whole + bool(bits)])
            answer = self._chip.exchange(frame, bits=bits, at_bit=bits)
            if answer is None or len(answer.data) < 5 - whole:
                return None
            keep = level[whole] & (1 << bits) - 1
            level[whole:] = answer.data[: 5 - whole]
            level[whole] = level[whole] & ~((1 << bits) - 1) & 0xFF | keep
            if answer.collision is None:
                return bytes(level[:4]) if bcc(bytes(level[:4])) == level[4] else None
            if not known < answer.collision <= 32:
                return None
            known = answer.collision
            level[(known - 1) // 8] |= 1 << (known - 1) % 8
            level[(known + 7) // 8 :] = bytes(5 - (known + 7) // 8)
        return None

    def _select(self, code: int, part: bytes) -> int | None:
        """Select the card with this part of a UID; its SAK."""
        answer = self._chip.checked(bytes([code, 0x70]) + part + bytes([bcc(part)]))
        return answer[0] if answer is not None and len(answer) == 1 else None

    def select(self, uid: bytes) -> int | None:
        """Select the card with this UID and no other; its SAK, or None where it does not answer."""
        if not self.wake(also_halted=True):
            return None
        sak = None
        for code, part in zip(SELECT_CODES, _levels(uid), strict=False):
            sak = self._select(code, part)
            if sak is None:
                return None
        return sak


def _levels(uid: bytes) -> list[bytes]:
    """A UID as its cascade levels, each but the last behind the cascade tag."""
    cut = [uid[at : at + 3] for at in range(0, len(uid) - 4, 3)]
    return [bytes([cards.CASCADE_TAG]) + part for part in cut] + [uid[-4:]]


def _card(uid: bytes, sak: int) -> Sighting:
    try:
        return cards.card(uid, sak=sak)
    except DomainError as error:
        return Misread(uid.hex().upper(), error.problem, error.cure)


class Memory:
    """The blocks of the card that is selected."""

    def __init__(self, chip: Chip, field: Field, card: Card) -> None:
        """Read and write this card."""
        self._chip = chip
        self._field = field
        self._card = card
        self._open: tuple[int, Key] | None = None

    def _ready(self, block: int, key: Key) -> None:
        """Open the sector of a block, if this card has any; after a failure the card must be selected anew."""
        if blocks.kind_of(self._card.sak) != blocks.CLASSIC or self._open == (blocks.trailer(block), key):
            return
        self._select()
        if not self._chip.authenticate(block, key, self._card.uid[-4:]):
            self._chip.end_crypto()
            raise blocks.wrong_key(block) if self._field.select(self._card.uid) is not None else _gone()
        self._open = (blocks.trailer(block), key)

    def _select(self) -> None:
        self._open = None
        if self._field.select(self._card.uid) is None:
            raise _gone()

    def read(self, block: int, key: Key) -> bytes:
        """16 bytes from a block on."""
        self._ready(block, key)
        answer = self._chip.checked(bytes([READ, block]))
        if answer is None or len(answer) != 16:
            self._select()
            raise blocks.refused(f"block {block} cannot be read", "The card does not allow it, or has no such block")
        return answer

    def write(self, block: int, data: bytes, key: Key) -> None:
        """Write a block of 16 bytes or a page of 4."""
        self._ready(block, key)
        classic = len(data) == blocks.SIZE_OF[blocks.CLASSIC]
        for step in [bytes([WRITE_CLASSIC, block]), data] if classic else [bytes([WRITE_PAGE, block]) + data]:
            if self._chip.checked(step) != bytes([ACK]):
                self._select()
                raise blocks.refused(f"block {block} cannot be written", "The card does not allow it with this key")


def _gone() -> DomainError:
    return blocks.refused("the card is gone", "Hold it still against the reader")


class Mfrc522:
    """The driver of a reader with this chip."""

    def __init__(self, reader: Reader) -> None:
        """Be about this reader."""
        self._device = reader.device or "/dev/spidev0.0"
        self._speed_hz = reader.option("speed_hz", 1_000_000)
        self._chip: Chip | None = None

    def watch(self) -> Iterator[tuple[Sighting, ...]]:
        """Look at the field ten times a second; see ``Driver``."""
        bus = Spi(self._device, self._speed_hz)
        try:
            chip = self._chip = Chip(bus, self._device)
            field, looks = Field(chip), 0
            while True:
                yield field.all()
                time.sleep(POLL_S)
                looks += 1
                if looks % CHECK_EVERY == 0:
                    chip.check()
                if chip.lost_its_field:
                    chip.check()
                    chip.setup()
                    field = Field(chip)
        finally:
            self._chip = None
            bus.close()

    @contextmanager
    def blocks(self, card: Card) -> Iterator[Blocks]:
        """The memory of a card; see ``Driver``."""
        if self._chip is None:
            raise _gone()
        field = Field(self._chip)
        if field.select(card.uid) is None:
            raise _gone()
        try:
            yield Memory(self._chip, field, card)
        finally:
            self._chip.end_crypto()
            field.halt()
