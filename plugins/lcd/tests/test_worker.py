"""The thread at the display: the newest frame wins, what is unplugged comes back, and a bus that hangs holds nobody."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arthexis_lcd import worker
from arthexis_lcd.display import Display
from arthexis_lcd.virtual import VirtualDisplay
from arthexis_lcd.worker import Frame, Worker

from arthexis import Unavailable


class Slow(VirtualDisplay):
    """A display on a bus that can be made to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()

    def write(self, data: bytes) -> None:
        self.open.wait(30)
        super().write(data)


@pytest.fixture
def display() -> Iterator[Slow]:
    found = Slow()
    yield found
    found.open.set()


@pytest.fixture
def at_work(display: Slow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker that has brought the display up, impatient."""
    monkeypatch.setattr(worker, "CHECK_S", 0.05)
    monkeypatch.setattr(worker, "RECONNECT_S", 0.05)
    monkeypatch.setattr(worker, "HANGS_S", 0.2)

    def connect() -> Any:
        if not display.plugged:
            raise Unavailable("nothing answers")
        return display

    found = Worker(connect, Display, "/dev/i2c-1", 60.0)
    found.start()
    until(lambda: found.look is not None)
    yield found
    display.open.set()
    found.leave(None)
    until(lambda: not found.alive)


def until(holds: Callable[[], Any]) -> None:
    ends = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < ends, "it does not come to that"
        time.sleep(0.005)


def reads(display: Slow, *lines: str) -> bool:
    return [line.rstrip() for line in display.lines()][: len(lines)] == list(lines)


def test_of_many_frames_only_the_newest_is_drawn(display: Slow, at_work: Worker) -> None:
    display.open.clear()
    at_work.show(Frame(["first"]))
    time.sleep(0.1)
    for number in range(500):
        at_work.show(Frame([f"number {number}"]))
    before = len(display.bytes)
    display.open.set()
    until(lambda: reads(display, "number 499"))
    assert len(display.bytes) - before < 150, "two frames, not five hundred"


def test_what_is_unplugged_is_said_and_drawn_anew_when_it_is_back(display: Slow, at_work: Worker) -> None:
    at_work.show(Frame(["Příliš", "kůň"]))
    until(lambda: reads(display, "Příliš", "kůň"))
    display.unplug()
    until(lambda: at_work.look is not None and at_work.look.trouble is not None)
    display.plug()
    until(lambda: reads(display, "Příliš", "kůň"))
    until(lambda: at_work.look is not None and at_work.look.trouble is None)
    assert [line.rstrip() for line in at_work.look.lines] == ["Příliš", "kůň"]  # type: ignore[union-attr]


def test_a_bus_that_cannot_be_closed_is_looked_for_again(
    display: Slow, at_work: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close() -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(display, "close", close)
    at_work.show(Frame(["Hello"]))
    until(lambda: reads(display, "Hello"))
    display.unplug()
    until(lambda: at_work.look is not None and at_work.look.trouble is not None)
    display.plug()
    until(lambda: reads(display, "Hello"))
    assert at_work.alive


def test_a_garbled_display_is_written_anew_after_a_while(
    display: Slow, at_work: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work.show(Frame(["Hello"]))
    until(lambda: reads(display, "Hello"))
    monkeypatch.setattr(at_work, "_refresh_s", 0.1)
    display.chip.lose_a_nibble()
    display.chip.power_up()
    assert not reads(display, "Hello")
    until(lambda: reads(display, "Hello"))


def test_a_bus_that_hangs_is_said_and_holds_nobody(display: Slow, at_work: Worker) -> None:
    display.open.clear()
    begun = time.monotonic()
    at_work.show(Frame(["Hello"]))
    at_work.leave(Frame(["Goodbye"]))
    assert time.monotonic() - begun < 0.1
    until(lambda: at_work.look is not None and at_work.look.trouble is not None)
    assert "hangs" in at_work.look.trouble.problem  # type: ignore[union-attr]
    display.open.set()
    until(lambda: reads(display, "Goodbye"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_is_said(display: Slow, at_work: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "write", None)
    at_work.show(Frame(["Hello"]))
    until(lambda: not at_work.alive)
    assert at_work.look is not None
    assert at_work.look.trouble is not None
    assert "has ended" in at_work.look.trouble.problem


def test_the_farewell_is_the_last_thing_that_is_drawn(display: Slow, at_work: Worker) -> None:
    at_work.show(Frame(["Hello"]))
    at_work.leave(Frame(["Goodbye"]))
    until(lambda: not at_work.alive)
    assert reads(display, "Goodbye", "")
