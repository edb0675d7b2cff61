"""The display of one node: what was said to it, what runs, and the thread that draws it; from the start to the stop."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from arthexis import Unavailable
from arthexis_lcd import charset, i2c, lanes, sessions
from arthexis_lcd.display import Bus, Display
from arthexis_lcd.lanes import Lane, Message, Shown, Size
from arthexis_lcd.sessions import Running, Session
from arthexis_lcd.settings import VIRTUAL, Settings
from arthexis_lcd.virtual import VirtualDisplay
from arthexis_lcd.worker import Frame, Look, Worker

if TYPE_CHECKING:
    from arthexis import Context, Host

TICK_S: Final = 0.1
FIRST_LOOK_S: Final = 4.0
FAREWELL_S: Final = 1.5
READ_EVERY_S: Final = 2.0
MOST_MESSAGES: Final = 50
"""So many of one lane are kept; the oldest goes."""
MOST_TEXT: Final = 500
LASTS_S: Final = {Lane.ALARM: 300.0, Lane.EVENT: 30.0, Lane.SESSION: 15.0, Lane.STATUS: 60.0}
CLOCK: Final = 0
"""The serial of the page that stands when there is nothing else."""

_boards: WeakKeyDictionary[Host, Board] = WeakKeyDictionary()
_hung: WeakKeyDictionary[Host, Worker] = WeakKeyDictionary()


def board_of(host: Host) -> Board:
    """The display of a node; raises ``Unavailable`` while there is none."""
    found = _boards.get(host)
    if found is None:
        plugin = next((p for p in host.composition.plugins if p.name == "lcd"), None)
        raise Unavailable(
            (plugin.reason if plugin is not None else "") or "the display is not open",
            place="plugin lcd",
            cure=(plugin.cure if plugin is not None else "") or "arthexis plugins info lcd",
        )
    return found


def something_changed(*, urgent: bool) -> None:
    """A hook has told of a session: every node here looks at its own, soon or at once."""
    for board in list(_boards.values()):
        board.changed(urgent=urgent)


class Board:
    """Messages, sessions and the display."""

    def __init__(self, ctx: Context) -> None:
        """Belong to this node; ``open`` must follow."""
        self.ctx = ctx
        self.settings: Settings = ctx.config
        given = self.settings
        self.size = Size(given.columns, given.rows, given.step_s, given.head_s, given.shortest_s)
        self.place = given.bus if given.bus == VIRTUAL else i2c.path_of(given.bus)
        self.lines: list[str] = [" " * self.size.columns] * self.size.rows
        self._serials = itertools.count(CLOCK + 1)
        self._messages: list[Message] = []
        self._shown = Shown()
        self._running = Running()
        self._of_session: dict[int, int] = {}
        self._stale, self._read_at = True, -READ_EVERY_S
        self._name = given.name or socket.gethostname().partition(".")[0]
        self._zone = ZoneInfo(given.zone) if given.zone else ctx.host.zone
        self._worker = Worker(self._connect, self._display, str(self.place), given.refresh_s)
        self._closed = False

    def _connect(self) -> Bus:
        if self.settings.bus == VIRTUAL:
            return VirtualDisplay(self.size.columns, self.size.rows, self.settings.rom)
        return i2c.reach(self.settings.bus, self.settings.address)

    def _display(self, bus: Bus) -> Display:
        return Display(bus, self.size.columns, self.size.rows, self.settings.rom)

    # ------------------------------------------------------------------ from the start to the stop

    async def open(self) -> None:
        """Find the display; raises ``Unavailable`` where it is not there, or the bus hangs."""
        await self._after(_hung.get(self.ctx.host))
        self._worker.start()
        opened = False
        try:
            look = await self._first_look()
            if look.trouble is not None:
                raise look.trouble
            await self._read_if_possible()
            opened = True
        finally:
            if not opened:  # also where the node gives it up
                self._worker.leave(None)
                _hung[self.ctx.host] = self._worker
        _boards[self.ctx.host] = self
        self.ctx.spawn(self._run(), "the display")

    async def _after(self, before: Worker | None) -> None:
        """Wait for the thread of an earlier try to let the bus go; raises ``Unavailable`` while it does not."""
        if before is not None and not await self._ends(before):
            look = before.look or Look()
            raise look.trouble or before.hanging

    async def _ends(self, worker: Worker) -> bool:
        """Wait a moment for a thread to end; whether it has."""
        until = time.monotonic() + FAREWELL_S
        while worker.alive and time.monotonic() < until:
            await asyncio.sleep(0.01)
        return not worker.alive

    async def _first_look(self) -> Look:
        until = time.monotonic() + FIRST_LOOK_S
        while (look := self._worker.look) is None and time.monotonic() < until:
            await asyncio.sleep(0.01)
        return look or Look(trouble=self._worker.hanging)

    async def close(self) -> None:
        """Say goodbye and let the display go; one whose bus hangs is left behind."""
        self._closed = True
        _boards.pop(self.ctx.host, None)
        farewell = charset.legible(self.settings.goodbye, self.settings.rom).center(self.size.columns)
        self._worker.leave(Frame([farewell], light=self.settings.backlight))
        if not await self._ends(self._worker):
            _hung[self.ctx.host] = self._worker

    async def _run(self) -> None:
        while not self._closed:
            if self._due():
                await self._read_if_possible()
            self._tell_how_it_is()
            self._compose()
            await asyncio.sleep(TICK_S)

    def _tell_how_it_is(self) -> None:
        """Let the plugin's state say what the thread has found."""
        look = self._worker.look
        if look is None or look.trouble is None:
            self.ctx.has_all()
        else:
            self.ctx.lacks(look.trouble)

    def _compose(self) -> None:
        now = self.ctx.clock.monotonic()
        self._shown = lanes.turn(self._all(now), self._shown, now, self.size)
        lines = lanes.rows(self._shown, now, self.size)
        if lines != self.lines:
            self.lines = lines
            self._worker.show(Frame(lines, light=self.settings.backlight))

    # ------------------------------------------------------------------ what there is to show

    def say(self, text: str, lane: Lane, *, title: str = "", lasts_s: float | None = None, key: str = "") -> Message:
        """Have something shown for so long, or as its lane has it; it takes the place of one with the same key.

        The same thing said again is not shown twice, only for longer.
        """
        now = self.ctx.clock.monotonic()
        until = now + (LASTS_S[lane] if lasts_s is None else lasts_s)
        said = Message(0, lane, self._legible(text), self._legible(title).replace("\n", " "), until, key)
        same = next((m for m in self._messages if _says(m) == _says(said)), None)
        message = Message(
            same.serial if same is not None else next(self._serials), lane, said.text, said.title, until, key
        )
        kept = [m for m in self._messages if m is not same and not (key and m.key == key) and _lives(m, now)]
        self._messages = [*self._bounded(kept, lane), message]
        return message

    def _legible(self, text: str) -> str:
        lines = text.strip().splitlines()
        return "\n".join(charset.legible(line, self.settings.rom) for line in lines)[:MOST_TEXT]

    def _bounded(self, messages: list[Message], lane: Lane) -> list[Message]:
        surplus = [m for m in messages if m.lane is lane][: -MOST_MESSAGES + 1]
        return [m for m in messages if m not in surplus]

    def _all(self, now: float) -> list[Message]:
        self._messages = [m for m in self._messages if _lives(m, now) or m == self._shown.message]
        return [self._clock(), *(self._session(one) for one in self._running.sessions), *self._messages]

    def messages(self) -> Iterator[tuple[Message, float | None]]:
        """What was said and is not over, with the seconds that it has left."""
        now = self.ctx.clock.monotonic()
        for message in self._messages:
            if _lives(message, now):
                yield message, None if message.until is None else message.until - now

    def waits_behind(self, message: Message) -> str | None:
        """The lane of what is on show before this message, or None where it is on show itself at once."""
        now = self.ctx.clock.monotonic()
        on_show = lanes.turn(self._all(now), self._shown, now, self.size).message
        if on_show is None or on_show.serial == message.serial:
            return None
        return on_show.lane.name.lower()

    def _now(self) -> datetime:
        return self.ctx.clock.now()

    def _clock(self) -> Message:
        """Name and time, sessions and stations."""
        time_of_day = f"{self._now().astimezone(self._zone):%H:%M}"
        room = self.size.columns - len(time_of_day) - 1
        title = f"{charset.legible(self._name, self.settings.rom)[:room]:<{room}} {time_of_day}"
        online = len(self.ctx.host.links)
        ways = (f"{self._running.count} open, {online} online", f"{self._running.count} open, {online} on")
        told = next((way for way in ways if len(way) <= self.size.columns), ways[-1])
        return Message(CLOCK, Lane.CLOCK, told, title)

    def _session(self, session: Session) -> Message:
        serial = self._of_session.get(session.id) or next(self._serials)
        self._of_session[session.id] = serial
        told = session.told(self._now(), self.size.columns)
        return Message(serial, Lane.SESSION, told, self._legible(session.place))

    # ------------------------------------------------------------------ what runs

    def changed(self, *, urgent: bool) -> None:
        """Something happened to a session."""
        self._stale = True
        if urgent:
            self._read_at = -READ_EVERY_S

    def _due(self) -> bool:
        return self._stale and time.monotonic() - self._read_at >= READ_EVERY_S

    async def _read_if_possible(self) -> None:
        """Look at the sessions; where the database cannot be read just now, what is known of them stays."""
        try:
            await self._read()
        except Unavailable as trouble:
            self.ctx.log.warning("what runs is not known just now: %s", trouble)
            self._stale = True

    async def _read(self) -> None:
        self._stale, self._read_at = False, time.monotonic()
        database = self.ctx.host.database
        before, self._running = self._running, await database.read(sessions.running)
        open_now = {session.id for session in self._running.sessions}
        for session in before.sessions:
            if session.id not in open_now:
                await self._ended(await database.read(partial(sessions.ended, session=session)))
        self._of_session = {number: serial for number, serial in self._of_session.items() if number in open_now}

    async def _ended(self, session: Session | None) -> None:
        if session is not None:
            told = session.told(self._now(), self.size.columns)
            self.say(told, Lane.SESSION, title=f"{session.place} ended", key=f"session {session.id}")

    # ------------------------------------------------------------------ how it is seen

    def state(self) -> dict[str, Any]:
        """How the display does and what is on it, for the API."""
        look = self._worker.look or Look()
        shown = self._shown.message
        return {
            "bus": str(self.place),
            "columns": self.size.columns,
            "rows": self.size.rows,
            "light": self.settings.backlight,
            "lines": list(look.lines) or self.lines,
            "lane": shown.lane.name.lower() if shown is not None else None,
            "problem": look.trouble.problem if look.trouble is not None else None,
            "cure": look.trouble.cure if look.trouble is not None else None,
        }


def _says(message: Message) -> tuple[object, ...]:
    return message.lane, message.title, message.text, message.key


def _lives(message: Message, now: float) -> bool:
    return message.until is None or now < message.until
