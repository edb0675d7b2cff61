"""Hardware that is none, at the level of bytes: cards of ISO 14443 type A, and an MFRC522 with its registers."""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Any

FACTORY_TRAILER = bytes.fromhex("FFFFFFFFFFFFFF078069FFFFFFFFFFFF")
ACK, NAK = 0x0A, 0x04
Bits = list[int]


def crc_a(data: bytes) -> bytes:
    value = 0x6363
    for byte in data:
        for bit in range(8):
            value = value >> 1 ^ 0x8408 if (value ^ byte >> bit) & 1 else value >> 1
    return value.to_bytes(2, "little")


def bits_of(data: bytes) -> Bits:
    return [byte >> bit & 1 for byte in data for bit in range(8)]


def bytes_of(bits: Bits) -> bytes:
    padded = bits + [0] * (-len(bits) % 8)
    return bytes(sum(bit << n for n, bit in enumerate(padded[at : at + 8])) for at in range(0, len(padded), 8))


class Card:
    """A card: MIFARE Classic 1K by default, Ultralight with ``sak=0``. ``blocks`` are its memory."""

    def __init__(self, uid: str, sak: int = 0x08) -> None:
        self.uid, self.sak = bytes.fromhex(uid), sak
        self.state, self.level, self.opened, self.writing = "idle", 0, -1, -1
        size, many = (16, 64) if sak == 0x08 else (4, 45)
        self.blocks = [bytearray(size) for _ in range(many)]
        self.read_only: set[int] = set()
        if sak == 0x08:
            for sector in range(16):
                self.blocks[4 * sector + 3][:] = FACTORY_TRAILER
        else:
            self.blocks[3][:] = bytes.fromhex("E1101200")  # NTAG213: 144 bytes

    @property
    def levels(self) -> list[bytes]:
        """The five bytes of each cascade level."""
        cut = [self.uid[at : at + 3] for at in range(0, len(self.uid) - 4, 3)]
        parts = [b"\x88" + part for part in cut] + [self.uid[-4:]]
        return [part + bytes([reduce(xor, part)]) for part in parts]

    def hear(self, frame: Bits) -> Bits | None:
        """The answer to a frame, as bits; None: silence."""
        if len(frame) == 7:
            return self._wake(bytes_of(frame)[0])
        data = bytes_of(frame)
        if self.state == "ready" and data[0] in (0x93, 0x95, 0x97):
            return self._ready(data, frame)
        if self.state == "active" and len(frame) % 8 == 0:
            answer = self._active(data)
            return None if answer is None else bits_of(answer) if isinstance(answer, bytes) else bits_of(answer[0])[:4]
        self.state = "halt" if self.state == "halt" else "idle"
        return None

    def _wake(self, code: int) -> Bits | None:
        if code == 0x52 or (code == 0x26 and self.state != "halt"):
            self.state, self.level, self.opened, self.writing = "ready", 0, -1, -1
            return bits_of(bytes([0x04 if len(self.uid) == 4 else 0x44 if len(self.uid) == 7 else 0x84, 0]))
        return None

    def _ready(self, data: bytes, frame: Bits) -> Bits | None:
        if (0x93, 0x95, 0x97)[self.level] != data[0]:
            return None
        own = self.levels[self.level]
        if data[1] == 0x70:
            if data[2:7] != own or crc_a(data[:7]) != data[7:9]:
                self.state = "idle"
                return None
            self.level += 1
            last = self.level == len(self.levels)
            self.state = "active" if last else "ready"
            sak = bytes([self.sak if last else 0x04])
            return bits_of(sak + crc_a(sak))
        known = (data[1] >> 4) * 8 + (data[1] & 7) - 16
        mine = bits_of(own)
        return mine[known:] if mine[:known] == frame[16 : 16 + known] else None

    def _active(self, data: bytes) -> bytes | tuple[bytes] | None:
        body, good = data[:-2], crc_a(data[:-2]) == data[-2:]
        if body == b"\x50\x00":
            self.state = "halt"
            return None
        if self.writing >= 0:
            block, self.writing = self.writing, -1
            return self._store(block, body, good)
        if not good or not self._allowed(data[1]):
            self.state = "idle"
            return (bytes([NAK]),)
        if data[0] == 0x30:
            return self._read(data[1])
        if data[0] == 0xA0 and self.sak == 0x08:
            self.writing = data[1]
            return (bytes([ACK]),)
        return self._store(data[1], body[2:], good) if data[0] == 0xA2 and self.sak == 0 else (bytes([NAK]),)

    def _allowed(self, block: int) -> bool:
        return block < len(self.blocks) and (self.sak != 0x08 or self.opened == block // 4)

    def _read(self, block: int) -> bytes:
        if self.sak == 0x08:
            found = bytes(self.blocks[block])
            found = bytes(6) + found[6:] if block % 4 == 3 else found
        else:
            found = b"".join(bytes(self.blocks[(block + n) % len(self.blocks)]) for n in range(4))
        return found + crc_a(found)

    def _store(self, block: int, data: bytes, good: bool) -> tuple[bytes]:
        if not good or block in self.read_only:
            self.state = "idle"
            return (bytes([NAK]),)
        self.blocks[block][:] = data
        return (bytes([ACK]),)

    def open(self, kind: int, block: int, key: bytes, uid4: bytes) -> bool:
        """Whether a key opens the sector of a block."""
        trailer = self.blocks[block // 4 * 4 + 3]
        own = bytes(trailer[:6] if kind == 0x60 else trailer[10:])
        fits = self.state == "active" and key == own and uid4 == self.uid[-4:]
        self.opened = block // 4 if fits else -1
        self.state = "active" if fits else "idle"
        return fits


class Mfrc522Chip:
    """The registers of an MFRC522 with cards in its field; ``transfer`` is what its SPI does."""

    def __init__(self, *cards: Card, version: int = 0x92) -> None:
        self.cards = list(cards)
        self.version = version
        self.transfers = 0
        self.closed = False
        self.absent = False
        self._reset()

    def _reset(self) -> None:
        self.registers = bytearray(64)
        self.registers[0x14] = 0x80
        self.fifo = bytearray()

    def transfer(self, data: bytes) -> bytes:
        self.transfers += 1
        if self.absent:
            return b"\xff" * len(data)
        if data[0] & 0x80:
            wanted = [byte >> 1 & 0x3F for byte in data[:-1]]
            return b"\0" + bytes(self._read(register) for register in wanted)
        for value in data[1:]:
            self._write(data[0] >> 1 & 0x3F, value)
        return bytes(len(data))

    def close(self) -> None:
        self.closed = True

    def _read(self, register: int) -> int:
        if register == 0x09:
            return self.fifo.pop(0) if self.fifo else 0
        return {0x0A: len(self.fifo), 0x37: self.version}.get(register, self.registers[register])

    def _write(self, register: int, value: int) -> None:
        if register == 0x09:
            self.fifo.append(value)
        elif register == 0x0A:
            if value & 0x80:
                self.fifo.clear()
        elif register == 0x04:
            old = self.registers[4]
            self.registers[4] = old | value & 0x7F if value & 0x80 else old & ~value & 0x7F
        elif register == 0x08:  # software can only clear the crypto bit
            self.registers[8] &= value
        else:
            self.registers[register] = value
            self._act(register, value)

    def _act(self, register: int, value: int) -> None:
        if register == 0x01:
            if value & 0x0F == 0x0F:
                self._reset()
            elif value & 0x0F == 0x0E:
                self._authenticate()
        elif register == 0x0D and value & 0x80 and self.registers[1] & 0x0F == 0x0C:
            self._transceive(value)

    def _authenticate(self) -> None:
        frame, self.fifo = bytes(self.fifo), bytearray()
        opened = [card.open(frame[0], frame[1], frame[2:8], frame[8:12]) for card in self._in_field("active")]
        self.registers[8] |= 0x08 if any(opened) else 0
        self.registers[4] |= 0x10 if any(opened) else 0x01

    def _in_field(self, state: str = "") -> list[Card]:
        on = self.registers[0x14] & 3 == 3
        return [card for card in self.cards if on and (not state or card.state == state)]

    def _transceive(self, framing: int) -> None:
        bits, self.fifo = bits_of(bytes(self.fifo)), bytearray()
        if framing & 7:
            bits = bits[: len(bits) - 8 + (framing & 7)]
        answers = [answer for card in self._in_field() if (answer := card.hear(bits)) is not None]
        self.registers[0x06] = 0
        if not answers:
            self.registers[4] |= 0x01
            return
        align = framing >> 4 & 7
        merged, collision = _merged(answers)
        if collision is not None:
            self.registers[0x06] = 0x08
            sent = len(bits) - 16 if len(bits) > 16 else 0
            position = sent // 8 * 8 + align + collision + 1
            self.registers[0x0E] = (position & 0x1F) if position <= 32 else 0x20
        self.fifo += bytes_of([0] * align + merged)
        self.registers[0x0C] = (align + len(merged)) % 8
        self.registers[4] |= 0x30


def _merged(answers: list[Bits]) -> tuple[Bits, int | None]:
    """What an antenna hears when cards answer at once: up to the first bit that differs, then nothing that counts."""
    for place, column in enumerate(zip(*answers, strict=False)):
        if len(set(column)) > 1:
            longest = max(answers, key=len)
            return longest[:place] + [0] * (len(longest) - place), place
    return max(answers, key=len), None


def patched(monkeypatch: Any, chip: Mfrc522Chip) -> None:
    """Put the chip where the driver opens its SPI device."""
    monkeypatch.setattr("arthexis_rfid.drivers.mfrc522.Spi", lambda *_: chip)
