"""What a scan does: it is stored and told, and then what its reader is set to follows.

A card never runs a program, and what it holds is never anything but text.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from msgspec import Struct, structs

from arthexis import (
    ArthexisError,
    Connection,
    Context,
    DomainError,
    NotFound,
    Notification,
    Notifications,
    Unavailable,
    Wish,
    tags,
)
from arthexis_rfid import cards
from arthexis_rfid.cards import Card, Misread, hidden, masked
from arthexis_rfid.presence import SCANNED, Change
from arthexis_rfid.readers import READY, UNAVAILABLE, Reader, stopped
from arthexis_rfid.settings import Does, Settings

UNKNOWN: Final = "Unknown"
KEPT: Final = 200
MOST_WAITING: Final = 1_000
SHOWN_S: Final = 10.0
STANDING_S: Final = 0.05
LATELY_S: Final = 10.0
"""What may be wrong with every scan is told of at most so often."""
MOST_START_S: Final = 120.0
"""So long a station's answer to a start is waited for; the operation itself ends before that by default."""
START: Final = "RemoteStartTransaction"


class Scan(Struct, kw_only=True, frozen=True):
    """Something that happened at a reader: a card came (``scanned``), stays (``held``) or went (``removed``).

    ``id_tag`` is the tag that the card is known as, else its UID; ``status`` what the table of tags says of it, or
    Unknown. ``said`` is what came of it, in a few words, with ids masked: it goes to the log, displays and messages.
    ``others`` are in full the ids that it speaks of: the tags that the card may be, or the forms known otherwise.
    """

    number: int
    change: str
    reader: str
    uid: str
    id_tag: str
    status: str
    technology: str
    random: bool
    said: str
    others: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Mode:
    """What a scan at a reader does now, and until when that is so (None: as it is configured)."""

    does: Does
    station: str = ""
    connector: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What the table of tags knows of a card, and what was done about it in the same commit (as in ``Scan``)."""

    id_tag: str
    status: str
    said: str = ""
    others: tuple[str, ...] = ()


def look_up(db: Connection, card: Card, forms: Iterable[Any], at: datetime) -> Found:
    """The tag that a card is known as: by its id or an alias, else by these forms, if they name no more than one."""
    exact = _tag(db, card.id, at)
    if exact is not None:
        return exact
    others = {found.id_tag: found for text in cards.forms(card, [*forms]).values() if (found := _tag(db, text, at))}
    if len(others) > 1:
        names = tuple(sorted(others))
        return Found(card.id, UNKNOWN, f"it may be any of {', '.join(map(masked, names))}", names)
    return next(iter(others.values()), Found(card.id, UNKNOWN))


def _tag(db: Connection, text: str, at: datetime) -> Found | None:
    name, found = tags.known_as(db, text), tags.find(db, text)
    return Found(name, tags.judged(found, at).status) if name is not None and found is not None else None


def release(db: Connection, card: Card, forms: Iterable[Any], at: datetime, note: str) -> Found:
    """Let an unknown card in, with the aliases of these forms that are free."""
    tags.add(db, card.id, at, note=note)
    taken: dict[str, str] = {}
    for name, alias in cards.forms(card, [*forms]).items():
        try:
            tags.add_alias(db, card.id, alias)
        except DomainError:
            taken[name] = alias
    told = ", ".join(f"{name} {masked(alias)}" for name, alias in taken.items())
    said = f"released; known otherwise already, so no alias: {told}" if taken else "released"
    return Found(card.id, "Accepted", said, tuple(taken.values()))


class Scanning:
    """The readers of a node, what they are set to do, and what happened at them lately."""

    def __init__(self, ctx: Context) -> None:
        """Belong to this node; ``open`` must follow."""
        self.ctx = ctx
        settings: Settings = ctx.config
        self.readers = {
            each.name: Reader(each, settings.retry_s, self._changed, self._conditions, self._fault)
            for each in settings.readers
        }
        self.scans: deque[Scan] = deque(maxlen=KEPT)
        self._modes: dict[str, Mode] = {}
        self._said: dict[tuple[str, str], float] = {}
        self._waiting: asyncio.Queue[tuple[Reader, Change]] = asyncio.Queue(MOST_WAITING)
        self._news = asyncio.Condition()
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Begin to watch."""
        self.ctx.spawn(self._follow(), "scans")
        self.ctx.spawn(self._begin(), "standing")
        for reader in self.readers.values():
            self._tasks.append(self.ctx.spawn(reader.run(), f"reader {reader.name}"))

    async def close(self) -> None:
        """Let go of the readers."""
        await stopped([*self.readers.values()], self._tasks)

    def reader(self, name: str) -> Reader:
        """A reader by its name; raises ``NotFound``."""
        found = self.readers.get(name)
        if found is None:
            cure = f"There is {', '.join(self.readers)}" if self.readers else "Name one in [[plugins.rfid.readers]]"
            raise NotFound(f"no reader {name}", place="rfid", cure=cure)
        return found

    # ------------------------------------------------------------------ modes

    def mode(self, reader: Reader) -> Mode:
        """What a scan does now."""
        given = self._modes.get(reader.name)
        if given is not None and given.until is not None and given.until > self.ctx.clock.now():
            return given
        self._modes.pop(reader.name, None)
        own = reader.settings
        return Mode(own.on_scan, own.station, own.connector)

    def set_mode(self, reader: Reader, mode: Mode, for_s: float) -> Mode:
        """Let scans do something else for so many seconds."""
        given = replace(mode, until=self.ctx.clock.now() + timedelta(seconds=for_s))
        self._modes[reader.name] = given
        return given

    def end_mode(self, reader: Reader) -> Mode:
        """Let scans do again what is configured."""
        self._modes.pop(reader.name, None)
        return self.mode(reader)

    # ------------------------------------------------------------------ how readers are

    def _conditions(self, reader: Reader) -> None:
        """Say how a reader is now."""
        condition = reader.condition
        if condition.state == UNAVAILABLE:
            self.ctx.log.warning("reader %s: %s. %s", reader.name, condition.reason, condition.cure)
        elif condition.state == READY:
            self.ctx.log.info("reader %s is ready", reader.name)
        self._stand()

    def _fault(self, reader: Reader, error: BaseException) -> None:
        """Count what a driver was not to raise."""
        self.ctx.host.contain.count(self.ctx.plugin, error, f"reader {reader.name}")

    async def _begin(self) -> None:
        """Say how the readers are once the plugin is at work; what was heard before that counted for nothing."""
        while not self.ctx.plugin.at_work:
            await asyncio.sleep(STANDING_S)
        self._stand()

    def _stand(self) -> None:
        """The plugin is unavailable while none of its readers is there."""
        conditions = [each.condition for each in self.readers.values()]
        if conditions and all(each.state == UNAVAILABLE for each in conditions):
            first = next(each for each in self.readers.values())
            told = f"reader {first.name}: {first.condition.reason}"
            self.ctx.lacks(Unavailable(told, cure=first.condition.cure))
        elif any(each.state == READY for each in conditions):
            self.ctx.has_all()

    # ------------------------------------------------------------------ scans

    def _changed(self, reader: Reader, change: Change) -> None:
        if isinstance(change.seen, Misread) and (change.kind != SCANNED or self._said_lately(reader, "misread")):
            return
        if not self._waiting.full():
            self._waiting.put_nowait((reader, change))
        elif not self._said_lately(reader, "lost"):
            self.ctx.log.warning("reader %s is faster than the node; scans are lost", reader.name)

    def _said_lately(self, reader: Reader, what: str) -> bool:
        """Whether this was told of a reader just now: a line full of noise tells of it once in a while."""
        now = self.ctx.clock.monotonic()
        lately = now - self._said.get((reader.name, what), -LATELY_S) < LATELY_S
        if not lately:
            self._said[reader.name, what] = now
        return lately

    async def _follow(self) -> None:
        while True:
            reader, change = await self._waiting.get()
            try:
                await self._take(reader, change)
            except ArthexisError as error:
                if not self._said_lately(reader, "not taken"):
                    told = hidden(str(error), change.seen.id) if isinstance(change.seen, Card) else str(error)
                    self.ctx.log.warning("reader %s: scans are lost: %s", reader.name, told)

    async def _take(self, reader: Reader, change: Change) -> None:
        if isinstance(change.seen, Misread):
            seen = change.seen
            self.ctx.log.warning("reader %s: %s: %s. %s", reader.name, seen.what, seen.problem, seen.cure)
            await self._tell(reader, "Card not read", seen.problem)
            return
        card, mode = change.seen, self.mode(reader)
        scan = await self.ctx.journal.write(self._stored(reader, card, change.kind, mode))
        if self.ctx.plugin.ailing:
            self.ctx.host.contain.worked(self.ctx.plugin, f"reader {reader.name}")
        if change.kind == SCANNED:
            scan = structs.replace(scan, said=await self._act(reader, scan, mode, card))
        self._number += 1
        self.scans.append(structs.replace(scan, number=self._number))
        async with self._news:
            self._news.notify_all()

    def _stored(self, reader: Reader, card: Card, kind: str, mode: Mode) -> Callable[[Connection], Scan]:
        """What writes the event of a change, and for a scan what its mode does to the table of tags."""
        at, own = self.ctx.clock.now(), reader.settings

        def store(db: Connection) -> Scan:
            found = look_up(db, card, own.known_as, at)
            if kind == SCANNED and found.status == UNKNOWN:
                found = self._unknown(db, reader, card, mode, found, at)
            data: dict[str, Any] = {
                "reader": reader.name,
                "uid": card.id,
                "id_tag": found.id_tag,
                "status": found.status,
                "technology": card.technology,
                "random": card.random,
            }
            db.event(f"tag.{kind}", None, data)
            return Scan(number=0, change=kind, said=found.said, others=found.others, at=at, **data)

        return store

    def _unknown(self, db: Connection, reader: Reader, card: Card, mode: Mode, found: Found, at: datetime) -> Found:
        """What is done about a card that nobody knows; a random UID is of no use the next time."""
        if mode.does not in {"inbox", "release"}:
            return found
        if card.random:
            return replace(found, said="its UID changes each time, so it cannot be let in")
        if mode.does == "release" and not found.said:
            return release(db, card, reader.settings.aliases, at, f"released at reader {reader.name}")
        tags.keep_unknown(db, card.id, f"reader {reader.name}", at)
        return replace(found, said=found.said or "waits for release")

    async def _act(self, reader: Reader, scan: Scan, mode: Mode, card: Card) -> str:
        """Do what follows the commit, tell people of it, and return what is to be said."""
        said = scan.said
        if mode.does == "start" and scan.status == "Accepted":
            said = await self._start(reader, scan, mode, card)
        told = f"{scan.status}: {said}" if said else scan.status
        self.ctx.log.info("reader %s: card %s is %s", reader.name, card.masked, told)
        if mode.does != "none":
            title = {"Accepted": "Card accepted", UNKNOWN: "Unknown card"}.get(scan.status, f"Card {scan.status}")
            await self._tell(reader, title, f"{card.masked} {said}".strip())
        return said

    async def _start(self, reader: Reader, scan: Scan, mode: Mode, card: Card) -> str:
        payload: dict[str, Any] = {"idTag": scan.id_tag}
        if mode.connector:
            payload["connectorId"] = mode.connector
        wish = Wish(requested_by=f"reader {reader.name}")
        if self.ctx.host.connected(mode.station) is None:
            self.ctx.log.warning(
                "reader %s: %s is not connected, so it is not told to start", reader.name, mode.station
            )
            return f"{mode.station} is not connected"
        try:
            uid = await self.ctx.host.operations.send(mode.station, START, payload, wish)
            self.ctx.spawn(self._outcome(reader, mode.station, card, uid), f"start {uid}")
        except ArthexisError as error:
            told = hidden(str(error), scan.uid, scan.id_tag)
            self.ctx.log.warning("reader %s: %s is not told to start: %s", reader.name, mode.station, told)
            return hidden(f"{mode.station}: {error.problem}", scan.uid, scan.id_tag)
        return f"starts {mode.station}"

    async def _outcome(self, reader: Reader, station: str, card: Card, uid: str) -> None:
        """Tell people where the station did not accept the start; no other scan waits for that."""
        try:
            record = await self.ctx.host.operations.wait(uid, MOST_START_S)
        except ArthexisError as error:
            self.ctx.log.warning("reader %s: what became of the start is not known: %s", reader.name, error)
            return
        if record["state"] != "Accepted":
            self.ctx.log.warning("reader %s: %s did not start: %s", reader.name, station, record["state"])
            await self._tell(reader, f"{station} did not start", f"{card.masked} {record['state']}")

    async def _tell(self, reader: Reader, title: str, text: str) -> None:
        """Tell people, where a plugin does that and the reader is set to."""
        service = cast("Notifications | None", self.ctx.host.service(Notifications)) if reader.settings.tell else None
        if service is None:
            return
        told = Notification(
            text,
            title,
            lifetime_s=SHOWN_S,
            key=f"rfid {reader.name}",
            kind="tag.scanned",
            at=self.ctx.clock.now(),
        )
        try:
            await service.notify(told)
        except ArthexisError as error:
            self.ctx.log.warning("reader %s: nobody could be told: %s", reader.name, error)

    async def after(self, number: int, wait_s: float, reader: str | None = None) -> list[Scan]:
        """What happened behind this number, the oldest first; waits so long for something to happen."""

        def news() -> list[Scan]:
            return [scan for scan in self.scans if scan.number > number and reader in {None, scan.reader}]

        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._news:
                await self._news.wait_for(news)
        return news()

    @property
    def newest(self) -> int:
        """The number of the latest."""
        return self._number
