"""Tracing: with ``ARTHEXIS_TRACE=1`` every call into a plugin is a line of the log; without it nothing is different.

What is traced is wrapped while the node is composed, so that no message pays for the question whether it is. A line
names the plugin, the hook or handler, how long it took and how it ended. Of arguments only what is harmless is written:
stations, kinds, numbers; id tags are masked, and texts, payloads and what an exception says are left out.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import fields, replace
from enum import Enum
from types import GeneratorType
from typing import Any

from arthexis import hookspecs
from arthexis.contributions import Service
from arthexis.plugins.states import Plugin

log = logging.getLogger("arthexis.trace")

VARIABLE = "ARTHEXIS_TRACE"
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
OFF = frozenset({"", "0", "false", "no", "off"})
TAGS = frozenset({"id_tag", "tag"})
NAMED = {"Station": "id", "Event": "kind", "Plugin": "name"}


def wanted() -> bool:
    """Whether ``ARTHEXIS_TRACE`` asks for it; then the trace goes to standard error, whatever the log's level is."""
    if os.environ.get(VARIABLE, "").strip().lower() in OFF:
        return False
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(FORMAT))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return True


def traced_hook(plugin: Plugin, hook: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """An implementation of a hook that also writes each of its calls to the log."""
    if hook == "lifespan":
        return _traced_lifespan(plugin, fn)
    names = tuple(inspect.signature(getattr(hookspecs, hook)).parameters)
    return _traced(plugin, hook, fn, names, awaits=hook.startswith(("decide_", "on_")))


def _traced(
    plugin: Plugin, what: str, fn: Callable[..., Any], names: Sequence[str] = (), *, awaits: bool
) -> Callable[..., Any]:
    """A function of a plugin that also writes each of its calls to the log; ``names`` are those of its arguments."""
    if awaits:

        @functools.wraps(fn)
        async def awaited(*args: Any, **named: Any) -> Any:
            with _Timed(plugin, _call(what, args, names)) as ended:
                return ended(await fn(*args, **named))

        return awaited

    @functools.wraps(fn)
    def called(*args: Any, **named: Any) -> Any:
        with _Timed(plugin, _call(what, args, names)) as ended:
            found = fn(*args, **named)
            return ended(list(found) if isinstance(found, GeneratorType) else found)

    return called


def _traced_lifespan(plugin: Plugin, make: Callable[..., Any]) -> Callable[..., Any]:
    """A plugin's ``lifespan`` that writes how long it took to open and to close."""

    @asynccontextmanager
    async def both(made: AbstractAsyncContextManager[None]) -> Any:
        with _Timed(plugin, "lifespan: open") as ended:
            await made.__aenter__()
            ended(None)
        yield
        with _Timed(plugin, "lifespan: close") as ended:
            ended(await made.__aexit__(None, None, None))

    @functools.wraps(make)
    def opened(*args: Any) -> Any:
        made = make(*args)
        return both(made) if isinstance(made, AbstractAsyncContextManager) else made

    return opened


def traced_contribution(plugin: Plugin, contribution: Any) -> Any:
    """A contribution whose functions are traced; what holds none is left as it is."""
    if isinstance(contribution, Service):
        return contribution
    name = getattr(contribution, "name", None) or getattr(contribution, "path", None) or _vendor(contribution)
    kind = type(contribution).__name__
    functions = {
        one.name: _traced(plugin, f"{kind} {name}: {one.name}", fn, awaits=_awaits(fn))
        for one in fields(contribution)
        if callable(fn := getattr(contribution, one.name)) and not isinstance(fn, type)
    }
    return replace(contribution, **functions) if functions else contribution


def _awaits(fn: Any) -> bool:
    return any(inspect.iscoroutinefunction(one) for one in (fn, inspect.unwrap(fn), fn.__call__))


def _vendor(contribution: Any) -> str:
    vendor, message = getattr(contribution, "vendor_id", ""), getattr(contribution, "message_id", None)
    return f"{vendor}/{message}" if message is not None else str(vendor)


class _Timed:
    """Write one line when the block ends; the block hands what came of it to what it gets."""

    def __init__(self, plugin: Plugin, call: str) -> None:
        self._plugin, self._call, self._ended = plugin, call, "ended"
        self._began = time.perf_counter()

    def __enter__(self) -> Callable[[Any], Any]:
        return self._note

    def _note(self, answer: Any) -> Any:
        self._ended = _told(answer)
        return answer

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        took_ms = 1000 * (time.perf_counter() - self._began)
        if kind is not None:
            given_up = issubclass(kind, (asyncio.CancelledError, GeneratorExit))
            self._ended = "cancelled, or took too long" if given_up else f"raised {kind.__name__}"
        name = self._plugin.name
        log.info("plugin %s: %s: %.2f ms: %s", name, self._call, took_ms, self._ended, extra={"plugin": name})


def _call(what: str, args: Sequence[Any], names: Sequence[str]) -> str:
    shown = [_shown(arg, names[place] if place < len(names) else "") for place, arg in enumerate(args)]
    return f"{what}({', '.join(shown)})"


def _shown(value: Any, name: str) -> str:
    """An argument as it may be written."""
    start = f"{name}=" if name else ""
    if name in TAGS and isinstance(value, str):
        return f"{start}{masked(value)}"
    if value is None or isinstance(value, (bool, int, float, Enum)):
        return f"{start}{value}"
    kind = type(value).__name__
    if not type(value).__module__.startswith("arthexis"):
        return f"{start}<{kind}>"
    said = getattr(value, NAMED[kind], "") if kind in NAMED else ""
    return f"{start}{kind} {said}" if said else f"{start}<{kind}>"


def _told(answer: Any) -> str:
    """What came of a call, as it may be written: its kind, its status, how many there were."""
    if answer is None:
        return "None"
    if isinstance(answer, (bool, int)):
        return str(answer)
    if isinstance(answer, list):
        return f"{len(answer)} of {type(answer[0]).__name__}" if answer else "nothing"
    status = getattr(answer, "status", None)
    known = type(answer).__module__.startswith("arthexis") and isinstance(status, (str, int))
    return f"{type(answer).__name__} {status}" if known else type(answer).__name__


def masked(id_tag: str) -> str:
    """An id tag as logs may hold it: its last two characters, where it is long enough to hide the rest."""
    return f"…{id_tag[-2:]}" if len(id_tag) > 4 else "…"
