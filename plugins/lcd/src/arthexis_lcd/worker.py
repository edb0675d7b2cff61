"""The one thread that speaks to the display: it takes the newest frame, and nobody ever waits for it.

A call into the bus may take for ever; then this thread hangs, and nothing else. It is a daemon, so that it does not
keep the node from ending either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from arthexis import Unavailable
from arthexis_lcd import i2c
from arthexis_lcd.display import Bus, Display

T = TypeVar("T")
CHECK_S: Final = 2.0
"""A display on which nothing changes is asked so often whether it is still there."""
RECONNECT_S: Final = 1.0
HANGS_S: Final = 5.0
"""A call into the bus that takes longer is said to hang; a whole frame takes a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What should be seen."""

    lines: Sequence[str]
    light: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """How the display does: the lines that stand on it, or why there are none."""

    lines: Sequence[str] = ()
    trouble: Unavailable | None = None


class Worker:
    """A display, opened, drawn on, and opened again after each failure until ``leave``."""

    def __init__(
        self,
        connect: Callable[[], Bus],
        make: Callable[[Bus], Display],
        place: str,
        refresh_s: float,
    ) -> None:
        """``connect`` finds the display (raising ``Unavailable``), and ``make`` knows what it is."""
        self._connect, self._make, self._place, self._refresh_s = connect, make, place, refresh_s
        self._changed = threading.Condition()
        self._wanted = Frame(())
        self._leaving = False
        self._called_at: float | None = None
        self._look: Look | None = None
        self._thread = threading.Thread(target=self._run, name="arthexis-lcd", daemon=True)

    def start(self) -> None:
        """Begin to look for the display."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread is still there."""
        return self._thread.is_alive()

    @property
    def look(self) -> Look | None:
        """How the display does; None before that is known."""
        called_at = self._called_at
        if called_at is not None and time.monotonic() - called_at > HANGS_S:
            return Look(trouble=self.hanging)
        return self._look if self.alive or self._leaving else Look(trouble=self._ended())

    @property
    def hanging(self) -> Unavailable:
        """What is said of a bus that does not come back."""
        return Unavailable(
            "the bus hangs: a call into it does not come back",
            place=self._place,
            cure="Unplug the display and plug it in again; if that does not help, start the machine anew",
        )

    def _ended(self) -> Unavailable:
        return Unavailable(
            "the thread at the display has ended", place=self._place, cure="See the log, and restart the node"
        )

    def show(self, frame: Frame) -> None:
        """Have this frame shown, soon, in the place of any that waits."""
        with self._changed:
            self._wanted = frame
            self._changed.notify()

    def leave(self, farewell: Frame | None) -> None:
        """Show a last frame and end; returns at once."""
        with self._changed:
            self._wanted = farewell or self._wanted
            self._leaving = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            trouble = self._once()
            if trouble is not None:
                self._look = Look(trouble=trouble)
            with self._changed:
                self._changed.wait_for(lambda: self._leaving, RECONNECT_S)
                if self._leaving:
                    return

    def _once(self) -> Unavailable | None:
        """Find the display and draw on it for as long as that goes well; what ended it, or None when leaving."""
        try:
            bus = self._timed(self._connect)
        except Unavailable as trouble:
            return trouble
        try:
            self._draw_on(self._make(bus))
        except OSError as error:
            return i2c.failed(self._place, error)
        finally:
            with suppress(OSError):  # one that was unplugged may say so again
                self._timed(bus.close)
        return None

    def _draw_on(self, display: Display) -> None:
        self._timed(display.begin)
        written_at = time.monotonic()
        drawn: Frame | None = None
        self._look = Look()
        while (frame := self._next(drawn)) is not None:
            if time.monotonic() - written_at >= self._refresh_s:
                self._timed(display.refresh)
                written_at = time.monotonic()
            if frame == drawn:
                self._timed(display.check)
            self._look = Look(self._timed(partial(display.draw, frame.lines, light=frame.light)))
            drawn = frame

    def _next(self, drawn: Frame | None) -> Frame | None:
        """The newest frame as soon as there is another one, or the same again after a while; None: it is time to go."""
        with self._changed:
            self._changed.wait_for(lambda: self._leaving or self._wanted is not drawn, CHECK_S)
            if self._leaving and self._wanted is drawn:
                return None
            return self._wanted

    def _timed(self, call: Callable[[], T]) -> T:
        self._called_at = time.monotonic()
        try:
            return call()
        finally:
            self._called_at = None
