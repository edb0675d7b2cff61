"""Drivers: one interface to readers of every kind, and the table of those there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Final, Protocol

from arthexis import DomainError
from arthexis_rfid.blocks import Blocks
from arthexis_rfid.cards import Card, Sighting
from arthexis_rfid.settings import Reader


class Driver(Protocol):
    """One reader. Its methods may wait, for half a second at most, and are called in one thread, not the node's."""

    def watch(self) -> Iterator[tuple[Sighting, ...]]:
        """Open the reader and yield what is in its field, again and again, at least every half second, until closed.

        The first is yielded as soon as the reader is ready. Raises ``Unavailable`` where it is not there or gone, with
        place and cure.
        """

    def blocks(self, card: Card) -> AbstractContextManager[Blocks]:
        """The memory of this card, between two steps of ``watch``; raises ``DomainError`` if it is not there."""


NAMES: Final[Mapping[str, str]] = {
    "pcsc": "arthexis_rfid.drivers.pcsc:Pcsc",
    "mfrc522": "arthexis_rfid.drivers.mfrc522:Mfrc522",
    "serial": "arthexis_rfid.drivers.serial_port:SerialPort",
    "keyboard": "arthexis_rfid.drivers.keyboard:Keyboard",
    "virtual": "arthexis_rfid.drivers.virtual:Virtual",
}


WITH_BLOCKS: Final = frozenset({"pcsc", "mfrc522"})
"""Those that reach the memory of a card."""


def driver(reader: Reader) -> Driver:
    """The driver of a reader, not opened yet."""
    module, _, name = NAMES[reader.driver].partition(":")
    make: Callable[[Reader], Driver] = getattr(import_module(module), name)
    return make(reader)


def no_blocks(reader: Reader) -> DomainError:
    """The error of readers that only tell a number."""
    return DomainError(
        f"a {reader.driver} reader only tells numbers",
        place=f"reader {reader.name}",
        cure="Use a reader with the driver pcsc or mfrc522",
    )
