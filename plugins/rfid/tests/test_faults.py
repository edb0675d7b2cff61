"""What no driver should do: it raises what nobody foresaw, or does not come back; nobody waits for ever."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import pytest
from arthexis_rfid import readers, scanning
from arthexis_rfid.blocks import Blocks
from arthexis_rfid.cards import Card, Sighting
from arthexis_rfid.drivers.virtual import Virtual
from arthexis_rfid.readers import READY, STOPPED, UNAVAILABLE, Reader
from arthexis_rfid.settings import Reader as ReaderSettings

from arthexis import Unavailable
from plugins.rfid.tests.conftest import until

UID = "04A1B2C3"
CARD = Card(UID, uid=bytes.fromhex(UID))
FAULTS = [ValueError("odd card"), OSError(5, "Input/output error"), IndexError("no such byte")]
odd = pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)


class Odd:
    """A driver with one card in its field that never leaves; it raises what is laid into ``breaks``."""

    def __init__(self) -> None:
        self.breaks: queue.SimpleQueue[Exception] = queue.SimpleQueue()
        self.open = threading.Event()
        self.open.set()

    def watch(self) -> Iterator[tuple[Sighting, ...]]:
        while True:
            yield (CARD,)
            self.open.wait(30)
            try:
                raise self.breaks.get(timeout=0.02)
            except queue.Empty:
                continue

    def blocks(self, card: Card) -> AbstractContextManager[Blocks]:
        raise NotImplementedError


class At:
    """A reader with that driver, and what was told of it."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.faults: list[BaseException] = []
        self.driver = Odd()
        self.reader = Reader(
            ReaderSettings(name="desk", driver="virtual"),
            0.05,
            lambda _reader, _change: None,
            lambda reader: self.states.append(reader.condition.state),
            lambda _reader, error: self.faults.append(error),
        )
        self.reader.driver = self.driver

    async def card(self, wait_s: float = 5.0) -> Card:
        return await self.reader.with_card(lambda _, seen: seen, wait_s)


@asynccontextmanager
async def odd_reader() -> AsyncIterator[At]:
    at = At()
    running = asyncio.ensure_future(at.reader.run())
    try:
        await until(lambda: at.reader.condition.state == READY)
        yield at
    finally:
        at.driver.open.set()
        await readers.stopped([at.reader], [running])
    assert running.done(), "its thread goes on"


@odd
async def test_who_asked_for_what_failed_hears_of_it_and_the_next_one_is_served(error: Exception) -> None:
    def fails(_: Any, __: Card) -> None:
        raise error

    async with odd_reader() as at, asyncio.timeout(5):
        with pytest.raises(Unavailable, match="failed at what it was to do"):
            await at.reader.with_card(fails, 1.0)
        await until(lambda: at.states[-2:] == [UNAVAILABLE, READY])
        assert await at.card() == CARD
    assert at.faults == [error]


@odd
async def test_a_driver_that_raises_is_counted_and_its_reader_looked_for_again(error: Exception) -> None:
    async with odd_reader() as at, asyncio.timeout(5):
        at.driver.breaks.put(error)
        await until(lambda: at.reader.condition.state == UNAVAILABLE)
        assert type(error).__name__ in at.reader.condition.reason
        assert "tried again" in at.reader.condition.cure
        await until(lambda: at.reader.condition.state == READY)
        assert await at.card() == CARD
    assert at.faults == [error]


async def test_who_asks_while_the_reader_closes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(queue.SimpleQueue[Any]):
        """What is put into it comes after the thread has looked for the last time."""

        def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
            at.reader.stop()
            while at.reader.condition.state != STOPPED:
                time.sleep(0.01)
            time.sleep(0.1)
            super().put(item, *args, **kwargs)

    async with odd_reader() as at, asyncio.timeout(5):
        monkeypatch.setattr(at.reader, "_jobs", Late())
        with pytest.raises(Unavailable, match="closed"):
            await at.card()
    assert at.states[-1] == STOPPED


async def test_nobody_waits_for_a_driver_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "WORK_S", 0.1)
    async with odd_reader() as at, asyncio.timeout(5):
        at.driver.open.clear()
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match=r"no answer within 0\.2 s"):
            await at.card(0.1)


async def test_a_node_counts_the_fault_and_scans_on(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited, faults = Virtual._waited, [ValueError("a line that nobody can read")]

    def breaks(driver: Virtual) -> list[Card]:
        found = waited(driver)
        if found and faults:
            raise faults.pop()
        return found

    monkeypatch.setattr(Virtual, "_waited", breaks)
    async with desk() as at:
        await at.is_("ready")
        await at.ask("POST", "/readers/desk/cards", {"uid": UID}, status=202)
        assert "nobody can read" in (await at.is_("unavailable"))["reason"]
        await at.is_("ready")
        assert (await at.scan(UID))["uid"] == UID
        plugin = at.node.plugin("rfid")
        assert (plugin.errors, plugin.state) == (1, "degraded")
        assert [(fault.hook, fault.error) for fault in plugin.recent] == [
            ("reader desk", "ValueError: a line that nobody can read")
        ]
        at.node.host.contain.faults.clear()


async def test_scans_that_are_lost_are_told_of_once_in_a_while(
    desk: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scanning, "MOST_WAITING", 1)
    monkeypatch.setattr(Virtual, "_waited", crowd(500))
    async with desk() as at:
        await at.is_("ready")
        await until(lambda: "scans are lost" in caplog.text)
        await at.next_scan(0)
    assert caplog.text.count("lost") == 1


def crowd(size: int) -> Any:
    """What a reader sees when so many cards are in its field at once."""
    cards = [Card(f"{0x04000000 + number:08X}") for number in range(size)]
    return lambda _: cards
