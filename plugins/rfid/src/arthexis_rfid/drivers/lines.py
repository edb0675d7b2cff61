"""Bytes of a reader that only tells numbers, as the cards they mean."""

from __future__ import annotations

from typing import Final

from arthexis import DomainError
from arthexis_rfid import cards
from arthexis_rfid.cards import Misread, Sighting, bcc

LONGEST = 64
STX, ETX = 0x02, 0x03
FRAME = 14
WRONG_CHECK: Final = Misread(
    "frame", "frames with a wrong check byte", "Is the speed 9600 (`baud`)? Compare also the wires and the 5 V supply"
)


class Lines:
    """Cuts what comes into lines; what is longer than any number is thrown away."""

    def __init__(self, reads: str, technology: str) -> None:
        """Expect numbers that are written so."""
        self._reads = reads
        self._technology = technology
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Sighting]:
        """The cards whose lines are complete now."""
        found = []
        for byte in data:
            if byte in b"\r\n":
                line, self._rest = bytes(self._rest), bytearray()
                if line.strip(b"\x02\x03\x00 "):
                    found.append(self._card(line.strip(b"\x02\x03\x00 ")))
            elif len(self._rest) <= LONGEST:
                self._rest.append(byte)
        return found

    def _card(self, line: bytes) -> Sighting:
        text = line.decode("ascii", "replace")[:LONGEST]
        try:
            return cards.typed(text, self._reads, self._technology)
        except DomainError as error:
            return Misread(text, error.problem, error.cure)


class Rdm6300:
    """Frames of RDM6300 and its kin: STX, ten hexadecimal digits, two of their check byte, ETX.

    Whatever lies between frames is passed over. So is what fails the check, but a whole frame of that is told of;
    ``spoiled`` counts both.
    """

    def __init__(self) -> None:
        """Wait for a frame."""
        self._rest = bytearray()
        self.spoiled = 0

    def feed(self, data: bytes) -> list[Sighting]:
        """The cards whose frames are complete now."""
        self._rest += data
        found: list[Sighting] = []
        while (start := self._rest.find(STX)) >= 0 and len(self._rest) - start >= FRAME:
            frame = bytes(self._rest[start : start + FRAME])
            number = _checked(frame)
            if number is None:
                self.spoiled += 1
                found += [WRONG_CHECK] if frame[-1] == ETX else []
                del self._rest[: start + 1]
            else:
                found.append(cards.card(number, cards.EM4100))
                del self._rest[: start + FRAME]
        if start < 0:
            self._rest.clear()
        else:
            del self._rest[:start]
        return found


def _checked(frame: bytes) -> bytes | None:
    digits = frame[1:-1]
    if frame[-1] != ETX or not digits.isalnum():
        return None
    try:
        number = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return None
    return number[:5] if bcc(number[:5]) == number[5] else None
