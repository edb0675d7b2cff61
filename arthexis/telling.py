"""Telling: each plugin hears its live ``on_*`` hooks in order, from a queue of its own, and none waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from arthexis.plugins.states import Plugin

if TYPE_CHECKING:
    from arthexis.host import Host

log = logging.getLogger("arthexis.host")

TELL_S = 5.0
MOST_UNTOLD = 10_000


class Teller:
    """One plugin's queue of what it has not been told yet."""

    def __init__(self, host: Host, plugin: Plugin) -> None:
        """Tell this plugin; begin with nothing."""
        self._host = host
        self.plugin = plugin
        self._untold: asyncio.Queue[tuple[str, Callable[..., Any], tuple[Any, ...]]] = asyncio.Queue(MOST_UNTOLD)
        self._telling = False
        self._lost = 0

    @property
    def busy(self) -> bool:
        """Whether something waits to be told, or is being told."""
        return self._telling or not self._untold.empty()

    def put(self, hook: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Queue one call; what a plugin is too slow for is left out, and said once a thousand times."""
        if self._untold.full():
            if self._lost % 1000 == 0:
                log.warning("plugin %s is behind; live hooks are not told to it", self.plugin.name)
            self._lost += 1
            return
        self._untold.put_nowait((hook, fn, args))

    async def run(self) -> None:
        """Tell what is queued, one after the other, each under a time limit."""
        while True:
            hook, fn, args = await self._untold.get()
            if not self.plugin.standing:
                continue
            self._telling = True
            await self._host.contain.timed(TELL_S, self.plugin, fn, *args, hook=hook)
            self._telling = False


class Tellers:
    """All plugins that listen."""

    def __init__(self, host: Host) -> None:
        """Know who listens to what."""
        self._host = host
        self._tellers: dict[str, Teller] = {}
        self._listeners: dict[str, list[tuple[Teller, Callable[..., Any]]]] = {}
        for hook, implementations in host.composition.hooks.items():
            for plugin, fn in implementations if hook.startswith("on_") else ():
                teller = self._tellers.setdefault(plugin.full_name, Teller(host, plugin))
                self._listeners.setdefault(hook, []).append((teller, fn))

    @property
    def busy(self) -> bool:
        """Whether anybody has not been told everything."""
        return any(teller.busy for teller in self._tellers.values())

    def start(self) -> None:
        """Begin to tell."""
        for teller in self._tellers.values():
            self._host.spawn(teller.run(), f"telling {teller.plugin.name}")

    def tell(self, hook: str, *args: Any) -> None:
        """Tell everybody who listens, soon."""
        for teller, fn in self._listeners.get(hook, ()):
            teller.put(hook, fn, args)
