"""A real node inside a test: composed from the named plugins only, on a free loopback port, in a folder of its own."""

from __future__ import annotations

import asyncio
import difflib
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import tomlkit

from arthexis import control, server
from arthexis.assembly import Options, assemble
from arthexis.clock import Clock
from arthexis.db import events
from arthexis.db.events import Event
from arthexis.errors import PluginError
from arthexis.host import Host
from arthexis.lifespans import context_of
from arthexis.plugins.patterns import checked, matching
from arthexis.plugins.states import Plugin, State
from arthexis.services import Notification

SETTLE_S = 5.0


class Node:
    """A running node: ``host`` is the composed one itself, ``url`` where it listens.

    A fault of a plugin that the node contained fails the test, unless the test takes it with ``faults()``.
    """

    def __init__(self, host: Host) -> None:
        """Stand on a host that listens."""
        self.host = host
        self.stopping = asyncio.Event()
        self._excused: set[str] = set()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self.host.bound_port}"

    def station_url(self, identity: str) -> str:
        """Where a station of this identity connects: ``ws://127.0.0.1:<port>/ocpp/<identity>``."""
        return self.host.station_urls(identity)[0]

    async def ask(self, request: str, **parameters: Any) -> Any:
        """Answer a request as ``arthexis`` commands do, e.g. ``ask("stations.list")``; raises ``ArthexisError``."""
        return await control.ask(self.host, request, parameters)

    async def run(self, *arguments: str) -> str:
        """Type ``arthexis`` and these words beside this node, as a process of its own; what it printed.

        Raises ``AssertionError`` with what it said where it ended with another status than 0.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ARTHEXIS")}
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "arthexis", *arguments),
            env={**kept, "ARTHEXIS_HOME": str(self.host.home), "PYTHONUTF8": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = (text.decode("utf-8", "replace").replace("\r\n", "\n") for text in await command.communicate())
        if command.returncode != 0:
            raise AssertionError(f"arthexis {' '.join(arguments)} ended with {command.returncode}:\n{out}{err}")
        return out

    async def notify(self, notifier: str, text: str, **members: Any) -> None:
        """Hand a notifier a ``Notification`` (``members`` are its other ones), as rules do; raises what it raises."""
        for plugin, found in self.host.composition.contributions.get("register_notifiers", ()):
            if found.name == notifier:
                told = Notification(text, **{"at": self.host.clock.now(), **members})
                await context_of(self.host, plugin).fitted(found.handler)(told)
                return
        raise LookupError(f"no plugin of the node brings a notifier {notifier}")

    def plugin(self, name: str) -> Plugin:
        """The plugin of this name (or ``distribution:name``); raises ``LookupError``."""
        found = self.host.composition.named(name)
        if not found:
            raise LookupError(f"no plugin {name} is installed")
        return found[0]

    async def settle(self) -> None:
        """Wait until everything that was answered is stored and every ``on_*`` hook was told."""
        async with asyncio.timeout(SETTLE_S):
            await self.host.journal.write(lambda _: None)
            while self.host.busy_telling:
                await asyncio.sleep(0.005)

    async def events(self, kind: str | None = None) -> list[Event]:
        """The latest 500 events that are stored, or those of a kind among them, the oldest first."""
        found = await self.host.database.read(lambda db: events.latest(db, 500))
        return [event for event in found if kind is None or event.kind == kind]

    def faults(self) -> list[tuple[str, BaseException]]:
        """The plugins' faults since the last call, as (plugin's name, error); they no longer fail the test."""
        taken = [(plugin.name, error) for plugin, error in self.host.contain.faults]
        self.host.contain.faults.clear()
        return taken

    def excuse(self, *names: str) -> None:
        """Let these plugins be failed without failing the test."""
        self._excused.update(names)

    def check(self) -> None:
        """Raise ``AssertionError`` for faults and failed plugins that no test asked about."""
        failed = [p for p in self.host.composition.plugins if p.state is State.FAILED and p.name not in self._excused]
        told = [f"{plugin.name} failed at {plugin.stage}: {plugin.reason}" for plugin in failed]
        told += [f"{plugin.name}: {type(error).__name__}: {error}" for plugin, error in self.host.contain.faults]
        if told:
            first = next((error for _, error in self.host.contain.faults), None)
            raise AssertionError("the node contained faults of plugins:\n  " + "\n  ".join(told)) from first


@asynccontextmanager
async def node(
    home: Path,
    *,
    plugins: Iterable[str] = (),
    config: Mapping[str, Any] | None = None,
    open_mode: bool = True,
    strict: bool = False,
    admit_pending_minutes: float = 0.0,
    clock: Clock | None = None,
    port: int = 0,
) -> AsyncIterator[Node]:
    """Run a node on ``plugins`` (patterns ``distribution:name``) with the sections of ``config``, until the block ends.

    Its role is ``bare`` unless ``config`` names one. Raises ``ArthexisError`` where it cannot run or no plugin that is
    installed is meant by one of ``plugins``; ``AssertionError`` at the end for contained faults that no test took.
    """
    options = Options(
        config=_written(home / "arthexis.toml", _sections(plugins, config or {})),
        home=home,
        port=port,
        open=open_mode,
        strict=strict,
        admit_pending_minutes=admit_pending_minutes,
    )
    running = Node(assemble(options, clock))
    _refuse_missing(running.host, plugins)
    async with server.running(running.host, running.stopping.set):
        yield running
    running.check()


def _refuse_missing(host: Host, patterns: Iterable[str]) -> None:
    """Raise ``PluginError`` for a plugin that the test names and that is not there: it would test nothing."""
    installed = [plugin.full_name for plugin in host.composition.plugins]
    for pattern in patterns:
        if not any(matching(plugin, [checked(pattern, "plugins")]) for plugin in host.composition.plugins):
            close = difflib.get_close_matches(pattern, installed, 1)
            cure = f"Did you mean {close[0]}?" if close else f"Run: pip install {pattern.partition(':')[0]}"
            raise PluginError(f"no installed plugin is meant by {pattern}", place="the node of a test", cure=cure)


def _written(path: Path, sections: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomlkit.dumps(sections), encoding="utf-8")
    return path


def _sections(plugins: Iterable[str], config: Mapping[str, Any]) -> dict[str, Any]:
    sections = {name: dict(section) for name, section in config.items()}
    of_node = {"role": "bare", **sections.get("node", {})}
    of_node["enable"] = [*of_node.get("enable", []), *plugins]
    return {**sections, "node": of_node}
