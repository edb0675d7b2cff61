"""Readers on a serial port: RDM6300 and its kin (125 kHz), and any that writes a line for each card."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

import serial

from arthexis import Unavailable
from arthexis_rfid.blocks import Blocks
from arthexis_rfid.cards import ISO14443A, Card, Sighting
from arthexis_rfid.drivers import no_blocks
from arthexis_rfid.drivers.lines import Lines, Rdm6300
from arthexis_rfid.settings import Reader

WAIT_S: Final = 0.2
ROOM: Final = 256
CURES: Final = {
    errno.ENOENT: ("there is no such port", "Plug the reader in; its lasting name stands in /dev/serial/by-id"),
    errno.ENODEV: ("there is no such port", "Plug the reader in; its lasting name stands in /dev/serial/by-id"),
    errno.EACCES: (
        "this user may not use it",
        "Add the node's user to the group dialout: sudo usermod -aG dialout USER, then start the node anew",
    ),
    errno.EBUSY: ("another program uses it", "End the other program (a modem manager, a console on the port)"),
    errno.EAGAIN: ("another program uses it", "End the other program (a modem manager, a console on the port)"),
}


class SerialPort:
    """The driver of a reader on a serial port."""

    def __init__(self, reader: Reader) -> None:
        """Be about this reader."""
        self._reader = reader

    def _opened(self) -> serial.Serial:
        baud = self._reader.option("baud", 9600)
        try:
            return serial.Serial(self._reader.device, baud, timeout=WAIT_S, exclusive=True)
        except ValueError as error:
            raise Unavailable(str(error), place=self._reader.device, cure="Compare `baud`") from None
        except serial.SerialException as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: serial.SerialException) -> Unavailable:
        problem, cure = CURES.get(error.errno or 0, (str(error), "Compare `device`, and plug the reader in again"))
        return Unavailable(problem, place=self._reader.device, cure=cure)

    def watch(self) -> Iterator[tuple[Sighting, ...]]:
        """Listen; see ``Driver``."""
        option = self._reader.option
        rdm6300 = option("frames", "lines") == "rdm6300"
        parser = Rdm6300() if rdm6300 else Lines(option("reads", "hex"), option("technology", ISO14443A))
        port = self._opened()
        try:
            yield ()
            while True:
                data = port.read(1)
                yield tuple(dict.fromkeys(parser.feed(data + port.read(min(port.in_waiting, ROOM)))))
        except (serial.SerialException, OSError):
            raise Unavailable("the reader was unplugged", place=self._reader.device, cure="Plug it in again") from None
        finally:
            port.close()

    def blocks(self, card: Card) -> AbstractContextManager[Blocks]:
        """None: it only tells numbers."""
        raise no_blocks(self._reader)
