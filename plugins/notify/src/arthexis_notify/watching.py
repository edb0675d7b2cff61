"""Events of what the node itself sees: stations that come and go, plugins that change. Written where they differ."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from arthexis import Connection, Context, Unavailable
from arthexis_notify import tables
from arthexis_notify.sending import found

LOOK_S: Final = 0.5
DISK_S: Final = 30.0
MEGABYTE: Final = 1 << 20
WELL: Final = 1.2
CHUNK: Final = 500
ON_ITS_WAY: Final = "migrated"
USUAL: Final = frozenset({"found", "off", "selected", "imported", "registered", "configured", ON_ITS_WAY, "active"})
"""States between which nothing went wrong: a change from one to another is no event."""
Told = tuple[str, str | None, dict[str, Any]]


class Watch:
    """Compares what is with what was, twice a second, and stores the differences as events."""

    def __init__(self, ctx: Context) -> None:
        """Begin with every plugin on its way; what has failed by now is news."""
        self._host = ctx.host
        self._ctx = ctx
        self._online: dict[str, str] = {}
        self._disk_at = ctx.clock.monotonic()
        self._low = False
        self._states = {name: state if state in USUAL else ON_ITS_WAY for name, state in self._plugins().items()}

    async def run(self) -> None:
        """Look, for ever; those who were connected when the node ended, and are not, have gone."""
        self._online = await found(self._ctx, tables.online)
        while True:
            await asyncio.sleep(LOOK_S)
            online, states = self._stations(), self._plugins()
            told = [*self._came_and_went(online), *self._changed(states), *await self._disk()]
            try:
                for start in range(0, len(told), CHUNK):
                    await self._ctx.journal.write(partial(_store, told=told[start : start + CHUNK]))
            except Unavailable as failure:
                self._ctx.log.warning("what the node sees waits to be stored: %s", failure)
                continue
            self._online, self._states = online, states

    def _stations(self) -> dict[str, str]:
        """Who is connected and approved, by folded identity."""
        return {key: link.station.id for key, link in self._host.links.items() if link.station.known}

    def _plugins(self) -> dict[str, str]:
        return {plugin.full_name: plugin.state.value for plugin in self._host.composition.plugins}

    def _came_and_went(self, online: Mapping[str, str]) -> list[Told]:
        came: list[Told] = [("station.connected", online[key], {}) for key in online.keys() - self._online.keys()]
        return came + [
            ("station.disconnected", self._online[key], {"reason": "its connection ended"})
            for key in self._online.keys() - online.keys()
        ]

    def _changed(self, states: Mapping[str, str]) -> list[Told]:
        changed = [p for p in self._host.composition.plugins if self._is_news(p.full_name, states)]
        return [
            (
                "plugin.changed",
                None,
                {
                    "plugin": plugin.name,
                    "distribution": plugin.distribution,
                    "state": plugin.state.value,
                    "reason": plugin.reason,
                    "cure": plugin.cure,
                    "configured": plugin.configured,
                },
            )
            for plugin in changed
        ]

    async def _disk(self) -> list[Told]:
        """What is to be said of the disk, looked at every half minute; well is a fifth above the line, not on it."""
        now, least = self._ctx.clock.monotonic(), self._ctx.config.disk_free_mb
        if now < self._disk_at or not least:
            return []
        self._disk_at = now + DISK_S
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._host.home)
        except OSError:
            return []
        free_mb = usage.free // MEGABYTE
        was_low, self._low = self._low, free_mb < least or (self._low and free_mb < least * WELL)
        if was_low is self._low:
            return []
        data = {"free_mb": free_mb, "percent": round(100 * usage.free / usage.total, 1)}
        return [("disk.low" if self._low else "disk.well", None, data)]

    def _is_news(self, name: str, states: Mapping[str, str]) -> bool:
        before, now = self._states.get(name, ON_ITS_WAY), states[name]
        return before != now and not (before in USUAL and now in USUAL)


def _store(db: Connection, told: list[Told]) -> None:
    for kind, station, data in told:
        db.event(kind, station, data)
        if station is not None:
            tables.note_online(db, station, online=kind == "station.connected")
