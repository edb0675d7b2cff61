"""The watchdog: a thread that says which plugin keeps the event loop from turning, and in which line of which file.

Everything on a node waits while code on the loop does not return: nothing can break it off from within the process.
What can be done is to name it at once, and to count it against its plugin as soon as the loop turns again. The
thread looks at the stack of the loop's thread, so that calls into plugins need not say that they begin: a message
pays nothing for this. The journal's and the readers' threads are looked at too.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NamedTuple

from arthexis.plugins.contain import LOOP
from arthexis.plugins.states import Plugin

if TYPE_CHECKING:
    from arthexis.host import Host

log = logging.getLogger("arthexis.watchdog")

LOOK_S: Final = 0.1
OTHERS_S: Final = 1.0
"""How often the threads of the database are looked at."""
BLOCKED_S: Final = 0.5
"""For so long the loop may stand still before a plugin is named for it."""
HELD_S: Final = 5.0
"""For so long one call may hold the journal's thread or a reader's: they wait for the disk and for other processes."""
STARVED_S: Final = 0.3
"""A look that comes so much too late says that the process itself stood still; that time is nobody's fault."""
THREADS: Final = ("arthexis-journal", "arthexis-reader")


class Place(NamedTuple):
    """A plugin's code on a stack: its outermost frame, and the innermost line of it that runs.

    The frame itself, not its address, which the next call may get: that the same call still runs is what counts.
    """

    plugin: Plugin
    frame: FrameType
    line: str


@dataclass(slots=True)
class _Seen:
    """A frame of a plugin, look after look, since a moment (monotonic seconds); ``said_s`` was logged last."""

    place: Place
    since: float
    said_s: float = 0.0


class Watchdog:
    """Watches the loop of one node. ``turned`` is when it last turned (monotonic seconds), kept by the host's sweep."""

    def __init__(self, host: Host, period_s: float) -> None:
        """Watch this node, whose sweep says every ``period_s`` seconds that the loop turns."""
        self._host = host
        self._period_s = period_s
        self.owners = owners(host.composition.plugins)
        self._over = threading.Event()
        self._seen: dict[int, _Seen] = {}
        self.turned = time.monotonic()

    def start(self) -> None:
        """Begin to look; called on the loop's thread."""
        self._loop_thread = threading.get_ident()
        self.turned = time.monotonic()
        threading.Thread(target=self._watch, name="arthexis-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        looked = others = time.monotonic()
        while not self._over.wait(LOOK_S):
            now = time.monotonic()
            late, looked = now - looked - LOOK_S, now
            for seen in self._seen.values() if late > STARVED_S else ():
                seen.since += late
            if now > self.turned + self._period_s:
                self._judge(self._loop_thread, sys._current_frames(), BLOCKED_S, now)
            elif self._seen:
                self._seen.pop(self._loop_thread, None)
            if now > others:
                others = now + OTHERS_S
                self._look_at_others(now)

    def _look_at_others(self, now: float) -> None:
        stacks = sys._current_frames()
        for thread in threading.enumerate():
            if thread.ident is not None and thread.name.startswith(THREADS):
                self._judge(thread.ident, stacks, HELD_S, now)

    def _judge(self, thread: int, stacks: Mapping[int, FrameType], patience_s: float, now: float) -> None:
        """Look at one thread: is a plugin's frame on it that was there before?"""
        place = blamed(stacks.get(thread), self.owners)
        seen = self._seen.get(thread)
        if place is None:
            self._seen.pop(thread, None)
            return
        if seen is None or seen.place.frame is not place.frame:
            self._seen[thread] = seen = _Seen(place, now)
        held_s = now - seen.since
        if held_s >= max(patience_s, 2 * seen.said_s):
            self._name(thread, seen, place, held_s)

    def _name(self, thread: int, seen: _Seen, place: Place, held_s: float) -> None:
        """Say who holds a thread; the first time it is counted too, once the loop turns."""
        first, seen.said_s = not seen.said_s, held_s
        if first and not self._over.is_set():
            hook = _hook(self._host.loop, place.plugin) if thread == self._loop_thread else LOOP
            self._host.loop.call_soon_threadsafe(self._count, thread, seen, place, hook)
        what = "blocks the event loop" if thread == self._loop_thread else "holds a thread of the database"
        log.error(
            "plugin %s %s in %s for at least %.1f s; if it goes on: arthexis plugins disable %s",
            place.plugin.name,
            what,
            place.line,
            held_s,
            place.plugin.full_name,
            extra={"plugin": place.plugin.name},
        )

    def _count(self, thread: int, seen: _Seen, place: Place, hook: str) -> None:
        """On the loop, when it turns again."""
        if thread == self._loop_thread:
            said = f"blocked the event loop for at least {time.monotonic() - seen.since:.1f} s in {place.line}"
        else:
            said = f"holds a thread of the database in {place.line}"
        self._host.contain.count(place.plugin, TimeoutError(said), hook)


def _hook(loop: asyncio.AbstractEventLoop, plugin: Plugin) -> str:
    """Which of a plugin's hooks runs on the loop, where its task says so."""
    task = asyncio.current_task(loop)
    name = task.get_name() if task is not None else ""
    return name.removeprefix(f"{plugin.name}: ") if name.startswith(f"{plugin.name}: ") else LOOP


def owners(plugins: list[Plugin]) -> dict[str, Plugin]:
    """Which plugin a module is of: its own by name, and for a package of several the first of them."""
    found: dict[str, Plugin] = {}
    for plugin in plugins:
        if plugin.module is not None:
            found[plugin.module.__name__] = plugin
            found.setdefault(plugin.module.__name__.partition(".")[0], plugin)
    found.pop("arthexis", None)
    return found


def blamed(frame: FrameType | None, owners: Mapping[str, Plugin]) -> Place | None:
    """Whose code stands on a stack: the plugin whose package was entered last, with the innermost line of it."""
    ours = [found for found in _outward(frame) if _package(found) in owners]
    if not ours:
        return None
    package = _package(ours[0])
    within = [found for found in ours if _package(found) == package]
    exact = [owners[name] for found in within if (name := _module(found)) in owners]
    code = ours[0].f_code
    line = f"{Path(code.co_filename).name}:{ours[0].f_lineno} ({code.co_name})"
    return Place(exact[-1] if exact else owners[package], within[-1], line)


def culprit(error: BaseException, owners: Mapping[str, Plugin]) -> Plugin | None:
    """Whose code raised an error that nobody took, or None."""
    traceback, innermost = error.__traceback__, None
    while traceback is not None:
        innermost, traceback = traceback.tb_frame, traceback.tb_next
    place = blamed(innermost, owners)
    return place.plugin if place is not None else None


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    """A stack from its innermost frame to its outermost."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if type(name) is str else ""


def _package(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]
