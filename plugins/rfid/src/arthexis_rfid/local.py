"""Readers used by a command itself, where no node runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from arthexis import Invalid
from arthexis_rfid.cards import Card
from arthexis_rfid.drivers import Driver
from arthexis_rfid.presence import SCANNED, Change
from arthexis_rfid.readers import STARTING, Reader, stopped
from arthexis_rfid.settings import Reader as ReaderSettings
from arthexis_rfid.settings import Settings

T = TypeVar("T")
OPEN_S: Final = 3.0

Heard = tuple[Reader, Change | None]


@asynccontextmanager
async def _watching(
    readers: list[ReaderSettings], retry_s: float
) -> AsyncIterator[tuple[list[Reader], asyncio.Queue[Heard]]]:
    """Readers at work, and what is heard of them: changes, and None where one is in another condition."""
    heard: asyncio.Queue[Heard] = asyncio.Queue()
    made = [
        Reader(
            each,
            retry_s,
            lambda reader, change: heard.put_nowait((reader, change)),
            lambda reader: heard.put_nowait((reader, None)),
        )
        for each in readers
    ]
    running = asyncio.gather(*(reader.run() for reader in made))
    try:
        yield made, heard
    finally:
        await stopped(made, [running])
    if running.done():
        running.result()


async def conditions(settings: Settings) -> list[dict[str, Any]]:
    """How each reader is, as ``GET /rfid/readers`` would tell."""
    async with _watching(settings.readers, settings.retry_s) as (readers, heard):
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_S):
                while any(reader.condition.state == STARTING for reader in readers):
                    await heard.get()
        return [
            {
                "name": reader.name,
                "driver": reader.settings.driver,
                "device": reader.settings.device,
                "state": reader.condition.state,
                "does": reader.settings.on_scan,
                "reason": reader.condition.reason,
                "cure": reader.condition.cure,
            }
            for reader in readers
        ]


def _of(settings: Settings, name: str | None) -> list[ReaderSettings]:
    found = [reader for reader in settings.readers if name in {None, reader.name}]
    if not found:
        cure = f"There is {', '.join(reader.name for reader in settings.readers) or 'none'}"
        raise Invalid(f"no reader {name}", place="--reader", cure=cure)
    return found


def _told(reader: Reader, change: Change) -> dict[str, Any]:
    """A change as ``GET /rfid/scans`` would tell, without what only the table of tags knows."""
    seen = change.seen
    if isinstance(seen, Card):
        told = {"uid": seen.id, "technology": seen.technology, "random": seen.random, "said": ""}
    else:
        told = {"uid": seen.what, "technology": "", "random": False, "said": f"{seen.problem}. {seen.cure}"}
    return {**told, "reader": reader.name, "change": change.kind, "id_tag": told["uid"], "status": "", "others": ()}


async def watch(
    settings: Settings, name: str | None, for_s: float | None, say: Callable[[dict[str, Any]], None]
) -> None:
    """Say everything that happens at the readers, until the time is over."""
    async with _watching(_of(settings, name), settings.retry_s) as (_, heard):
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                while True:
                    reader, change = await heard.get()
                    say(_told(reader, change) if change is not None else _condition(reader))


def _condition(reader: Reader) -> dict[str, Any]:
    """That a reader is in another condition, in the shape of a change."""
    now = reader.condition
    said = f"{now.reason}. {now.cure}" if now.reason else ""
    return {
        "reader": reader.name,
        "change": now.state,
        "uid": "-",
        "id_tag": "-",
        "status": "",
        "random": False,
        "said": said,
    }


async def scan(settings: Settings, name: str | None, for_s: float) -> dict[str, Any] | None:
    """The next card that comes; None where none does in time."""
    async with _watching(_of(settings, name), settings.retry_s) as (_, heard):
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                while True:
                    reader, change = await heard.get()
                    if change is not None and change.kind == SCANNED:
                        return _told(reader, change)
    return None


async def on_card(own: ReaderSettings, retry_s: float, wait_s: float, work: Callable[[Driver, Card], T]) -> T:
    """What ``work(driver, card)`` gives with the card that is or comes there; raises ``ArthexisError``."""
    async with _watching([own], retry_s) as ((reader,), _):
        return await reader.with_card(work, wait_s)


async def card(own: ReaderSettings, retry_s: float, wait_s: float) -> Card:
    """The card that is or comes there; raises ``ArthexisError``."""
    return await on_card(own, retry_s, wait_s, lambda _, seen: seen)
