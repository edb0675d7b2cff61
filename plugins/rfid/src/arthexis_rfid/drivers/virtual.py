"""A reader without hardware, for tests and demonstrations: cards are presented by a command, or written to a file.

``device`` may be a file or a FIFO: each line that is written to it is a card that is held against the reader.
"""

from __future__ import annotations

import os
import queue
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

from arthexis import Unavailable
from arthexis_rfid.blocks import Blocks
from arthexis_rfid.cards import ISO14443A, Card, Sighting
from arthexis_rfid.drivers import no_blocks
from arthexis_rfid.drivers.lines import Lines
from arthexis_rfid.settings import Reader

WAIT_S: Final = 0.05
ROOM: Final = 4096
CURE: Final = "Make it, for example with: mkfifo"


class Virtual:
    """The driver of a reader that is none."""

    def __init__(self, reader: Reader) -> None:
        """Be about this reader."""
        self._reader = reader
        self._presented: queue.SimpleQueue[Card] = queue.SimpleQueue()

    def present(self, card: Card) -> None:
        """Hold a card against the reader for a moment; from any thread."""
        self._presented.put(card)

    def watch(self) -> Iterator[tuple[Sighting, ...]]:
        """Look at what is presented and at the file; see ``Driver``."""
        lines = Lines(self._reader.option("reads", "hex"), self._reader.option("technology", ISO14443A))
        file = self._opened() if self._reader.device else None
        try:
            yield ()
            while True:
                found = [*self._waited(), *lines.feed(self._read(file) if file is not None else b"")]
                yield tuple(dict.fromkeys(found))
        finally:
            if file is not None:
                os.close(file)

    def _opened(self) -> int:
        """The file, at its end, or the FIFO, which is opened for both so that it does not end with its writers."""
        device = self._reader.device
        try:
            fifo = stat.S_ISFIFO(os.stat(device).st_mode)
            if fifo:
                return os.open(device, os.O_RDWR | os.O_NONBLOCK)
            file = os.open(device, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise Unavailable(error.strerror or str(error), place=device, cure=f"{CURE} {device}") from None
        os.lseek(file, 0, os.SEEK_END)
        return file

    def _read(self, file: int) -> bytes:
        try:
            if not os.path.exists(self._reader.device):
                raise Unavailable("the file is gone", place=self._reader.device, cure=f"{CURE} {self._reader.device}")
            return os.read(file, ROOM)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Unavailable(error.strerror or str(error), place=self._reader.device, cure=CURE) from None

    def _waited(self) -> list[Card]:
        """What was presented within a moment."""
        try:
            return [self._presented.get(timeout=WAIT_S)]
        except queue.Empty:
            return []

    def blocks(self, card: Card) -> AbstractContextManager[Blocks]:
        """None: there is no card."""
        raise no_blocks(self._reader)
