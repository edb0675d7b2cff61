"""PC/SC readers, such as the ACR122U: the reader speaks with the card, and pcscd or Windows with the reader.

Commands are those of PC/SC part 3 (storage cards): get data, load key, authenticate, read binary, update binary.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from arthexis import DomainError, Unavailable
from arthexis_rfid import blocks, cards
from arthexis_rfid.blocks import Blocks, Key
from arthexis_rfid.cards import Card, Misread, Sighting
from arthexis_rfid.drivers import winscard
from arthexis_rfid.drivers.winscard import CardTrouble, Connected, Look
from arthexis_rfid.settings import Reader

WAIT_S: Final = 0.4
TRIES: Final = 3
GET_UID: Final = bytes([0xFF, 0xCA, 0x00, 0x00, 0x00])
DONE: Final = 0x9000
STORAGE: Final = bytes.fromhex("A000000306")  # the registered id of PC/SC in the ATR of a storage card
CHIPS: Final = {0x0001: 0x08, 0x0002: 0x18, 0x0026: 0x09, 0x0003: 0x00, 0x003A: 0x00, 0x0036: 0x08, 0x0037: 0x08}
"""SAK of the chips that the ATR of a storage card names (PC/SC part 3 supplement)."""


def sak_of(atr: bytes) -> int | None:
    """The SAK that a storage card with this answer to reset has; None for other cards."""
    at = atr.find(STORAGE)
    return CHIPS.get(int.from_bytes(atr[at + 6 : at + 8])) if at >= 0 else None


def uid_of(connected: Connected, atr: bytes) -> Sighting:
    """The card that is talked to."""
    uid, status = connected.transmit(GET_UID)
    if status != DONE:
        said = f"the reader has no UID for it (status {status:04X})"
        return Misread(atr.hex().upper(), said, "Use a contactless card; a card with contacts has none")
    try:
        return cards.card(uid, sak=sak_of(atr))
    except DomainError as error:
        return Misread(uid.hex().upper(), error.problem, error.cure)


class Memory:
    """The blocks of the card that is talked to."""

    def __init__(self, connected: Connected, kind: str) -> None:
        """Read and write by this connection; ``kind`` is the card's kind of memory."""
        self._connected = connected
        self._locked = kind == blocks.CLASSIC

    def _open(self, block: int, key: Key) -> None:
        """Open the sector of a block with this key, even if it is open: the reader may remember another one."""
        load = bytes([0xFF, 0x82, 0x00, 0x00, 0x06]) + key.value
        authenticate = bytes([0xFF, 0x86, 0x00, 0x00, 0x05, 0x01, 0x00, block, key.kind, 0x00])
        for apdu in (load, authenticate) if self._locked else ():
            _, status = self._transmit(apdu)
            if status != DONE:
                raise blocks.wrong_key(block)

    def _transmit(self, apdu: bytes) -> tuple[bytes, int]:
        try:
            return self._connected.transmit(apdu)
        except CardTrouble:
            raise blocks.refused("the card is gone", "Hold it still against the reader") from None

    def read(self, block: int, key: Key) -> bytes:
        """16 bytes from a block on."""
        self._open(block, key)
        data, status = self._transmit(bytes([0xFF, 0xB0, block >> 8, block & 0xFF, 0x10]))
        if status != DONE or len(data) != 16:
            raise blocks.refused(f"block {block} cannot be read (status {status:04X})", "The card does not allow it")
        return data

    def write(self, block: int, data: bytes, key: Key) -> None:
        """Write a block of 16 bytes or a page of 4."""
        self._open(block, key)
        _, status = self._transmit(bytes([0xFF, 0xD6, block >> 8, block & 0xFF, len(data)]) + data)
        if status != DONE:
            raise blocks.refused(f"block {block} cannot be written (status {status:04X})", "The card does not allow it")


class Pcsc:
    """The driver of a reader behind PC/SC: the one whose name holds ``device``, or the first."""

    def __init__(self, reader: Reader) -> None:
        """Be about this reader."""
        self._wanted = reader.device
        self._service: winscard.Pcsc | None = None
        self._name = ""

    def _found(self, names: list[str]) -> str:
        for name in names:
            if self._wanted.casefold() in name.casefold():
                return name
        if not names:
            problem, cure = winscard.SAID[winscard.NO_READERS]
            raise Unavailable(problem, place="PC/SC", cure=cure)
        told = ", ".join(names)
        raise Unavailable(f"no reader is called {self._wanted}", place="PC/SC", cure=f"There is {told}")

    def watch(self) -> Iterator[tuple[Sighting, ...]]:
        """Wait for cards; see ``Driver``."""
        service = self._service = winscard.Pcsc()
        try:
            self._name = self._found(service.readers())
            there: tuple[Sighting, ...] = ()
            look, tries = Look(False, b""), 0
            while True:
                before, look = look, service.wait(self._name, 0.0 if not tries else WAIT_S)
                tries += 1
                if look != before or not there:
                    there = self._seen(service, look)
                yield there
        finally:
            self._service = None
            service.close()

    def _seen(self, service: winscard.Pcsc, look: Look) -> tuple[Sighting, ...]:
        """The card that a look tells of; it is asked again where it moves."""
        for _ in range(TRIES if look.present else 0):
            try:
                with service.connect(self._name) as connected:
                    return (uid_of(connected, look.atr),)
            except CardTrouble:
                time.sleep(0.05)
        return ()

    @contextmanager
    def blocks(self, card: Card) -> Iterator[Blocks]:
        """The memory of a card; see ``Driver``."""
        gone = blocks.refused("the card is gone", "Hold it still against the reader")
        if self._service is None:
            raise gone
        try:
            connected = self._service.connect(self._name)
        except CardTrouble:
            raise gone from None
        with connected:
            try:
                uid, status = connected.transmit(GET_UID)
            except CardTrouble:
                raise gone from None
            if status != DONE or uid != card.uid:
                raise gone
            yield Memory(connected, blocks.kind_of(card.sak))
