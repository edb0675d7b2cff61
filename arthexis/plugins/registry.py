"""Registration: pluggy checks and orders the hooks, and each becomes a plain tuple before the first message.

pluggy calls synchronously and stops at the first error, so the host never calls through it while it runs: ``decide_*``
and ``on_*`` are walked here, each implementation contained.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pluggy

from arthexis import hookspecs
from arthexis.contributions import (
    Action,
    Command,
    Config,
    DataTransfer,
    Diagnosis,
    Job,
    Operation,
    Protocol,
    Route,
    Service,
    Subscriber,
    Tables,
)
from arthexis.plugins.contain import Contain, collect
from arthexis.plugins.states import Plugin, State

log = logging.getLogger("arthexis.plugins")

DECIDE_S = 1.0
DECIDE_TOGETHER_S = 3.0
TELL_S = 5.0

Implementation = tuple[Plugin, Callable[..., Any]]
Contribution = tuple[Plugin, Any]

# Each hook that collects: what it yields, and what may exist only once.
KINDS: dict[str, tuple[type, Callable[[Any], object]]] = {
    "register_config": (Config, lambda c: c),
    "register_protocols": (Protocol, lambda c: c.subprotocol),
    "register_actions": (Action, lambda c: (c.protocol, c.name)),
    "register_operations": (Operation, lambda c: (c.protocol, c.name)),
    "register_data_transfers": (DataTransfer, lambda c: (c.vendor_id, c.message_id)),
    "register_services": (Service, lambda c: c.interface),
    "register_tables": (Tables, lambda c: c.migrations),
    "register_commands": (Command, lambda c: c.name),
    "register_routes": (Route, lambda c: (c.method, c.path)),
    "register_jobs": (Job, lambda c: c.name),
    "register_diagnoses": (Diagnosis, lambda c: c.name),
    "register_subscribers": (Subscriber, lambda c: c.name),
}


class Registry:
    """pluggy's manager and the plugins it holds."""

    def __init__(self) -> None:
        """Know the host's hooks and no plugin."""
        self.manager = pluggy.PluginManager("arthexis")
        self.manager.add_hookspecs(hookspecs)
        self._hooks = sorted(name for name in vars(self.manager.hook) if not name.startswith("_"))
        self._plugins: dict[str, Plugin] = {}

    def register(self, plugin: Plugin) -> None:
        """Hand a plugin's module to pluggy; a misspelt hook or a wrong signature fails the plugin."""
        try:
            self.manager.register(plugin.module, plugin.full_name)
        except (pluggy.PluginValidationError, ValueError) as error:
            self._unregister(plugin)
            plugin.fail(State.REGISTERED, _first_line(error), "Compare its hooks with docs/hooks.md")
            return
        misspelt = self._misspelt(plugin)
        if misspelt is not None:
            self._unregister(plugin)
            close = difflib.get_close_matches(misspelt, self._hooks, 1)
            cure = f"Did you mean {close[0]}?" if close else "See docs/hooks.md for the hooks there are"
            plugin.fail(State.REGISTERED, f"there is no hook {misspelt}", cure)
            return
        self._plugins[plugin.full_name] = plugin
        plugin.climb(State.REGISTERED)

    def remove(self, plugin: Plugin) -> None:
        """Take a plugin that failed later out again."""
        if self._plugins.pop(plugin.full_name, None) is not None:
            self._unregister(plugin)

    def _unregister(self, plugin: Plugin) -> None:
        if self.manager.has_plugin(plugin.full_name):
            self.manager.unregister(name=plugin.full_name)

    def _misspelt(self, plugin: Plugin) -> str | None:
        """A hook of this plugin that the host does not specify."""
        callers = self.manager.get_hookcallers(plugin.module) or []
        for caller in callers:
            if not caller.has_spec() and not any(i.optionalhook for i in caller.get_hookimpls()):
                return caller.name
        return None

    def implementations(self, hook: str) -> tuple[Implementation, ...]:
        """Who implements a hook, in the order in which they are asked."""
        caller = getattr(self.manager.hook, hook)
        found = [i for i in reversed(caller.get_hookimpls()) if i.plugin_name in self._plugins]
        return tuple((self._plugins[i.plugin_name], _fitted(i)) for i in found)

    def collect(self, hook: str) -> list[Contribution]:
        """What all plugins yield from a ``register_*`` hook; a fault or a duplicate fails the plugin that has it."""
        kind, key = KINDS[hook]
        found: list[Contribution] = []
        taken: dict[object, Plugin] = {}
        for plugin, fn in self.implementations(hook):
            yielded, error = collect(fn)
            wrong = next((c for c in yielded if not isinstance(c, kind)), None)
            if error is None and wrong is not None:
                error = TypeError(f"yielded {type(wrong).__name__} instead of {kind.__name__}")
            rival = next((taken[k] for c in yielded if (k := _key(key, c)) in taken), None)
            if error is not None:
                reason = f"{hook}: {type(error).__name__}: {error}"
                plugin.fail(State.REGISTERED, reason, f"Mend it, or run: arthexis plugins disable {plugin.full_name}")
            elif rival is not None:
                _clash(hook, plugin, rival)
            else:
                taken.update((_key(key, c), plugin) for c in yielded)
                found += [(plugin, c) for c in yielded]
                continue
            self.remove(plugin)
        return [(plugin, c) for plugin, c in found if plugin.state is not State.FAILED]


def _clash(hook: str, plugin: Plugin, rival: Plugin) -> None:
    """Two plugins offer the same thing: neither is preferred in silence, both are named and refused."""
    what = hook.removeprefix("register_").replace("_", " ")
    for one, other in ((plugin, rival), (rival, plugin)):
        one.fail(
            State.REGISTERED,
            f"{what}: {one.full_name} and {other.full_name} both offer the same",
            f"Choose one: arthexis plugins enable {one.full_name} --instead-of {other.full_name}",
        )


def _key(key: Callable[[Any], object], contribution: Any) -> object:
    try:
        return key(contribution)
    except AttributeError:
        return contribution


def _fitted(implementation: pluggy.HookImpl) -> Callable[..., Any]:
    """The function, called with as many of the hook's arguments as it takes (pluggy lets it leave some out)."""
    function: Callable[..., Any] = implementation.function
    spec = inspect.signature(getattr(hookspecs, implementation.opts.get("specname") or function.__name__))
    wanted = [place for place, name in enumerate(spec.parameters) if name in implementation.argnames]
    if len(wanted) == len(spec.parameters):
        return function
    return lambda *args: function(*(args[place] for place in wanted))


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


class Deciders:
    """The implementations of one ``decide_*`` hook: asked in order, the first answer that is not None wins."""

    def __init__(self, contain: Contain, implementations: Sequence[Implementation], kind: type, closed: Any) -> None:
        """Expect answers of ``kind``; a fault answers ``closed`` where that is not None, else passes on."""
        self._contain = contain
        self._implementations = tuple(implementations)
        self._kind = kind
        self._closed = closed

    def __bool__(self) -> bool:
        """Whether anybody is asked at all."""
        return bool(self._implementations)

    async def ask(self, *args: Any) -> Any:
        """The plugins' answer, or None if none has an opinion."""
        loop = asyncio.get_running_loop()
        until = loop.time() + DECIDE_TOGETHER_S
        for plugin, fn in self._implementations:
            left = min(DECIDE_S, until - loop.time())
            answer, error = await self._contain.timed(max(left, 0.0), plugin, fn, *args)
            if error is None and answer is not None and not isinstance(answer, self._kind):
                error = TypeError(f"answered {type(answer).__name__} instead of {self._kind.__name__}")
                self._contain.count(plugin, error)
            if error is not None and self._closed is not None:
                return self._closed
            if error is None and answer is not None:
                return answer
        return None


async def tell(contain: Contain, implementations: Iterable[Implementation], *args: Any) -> None:
    """Tell everybody, one after the other; a fault is counted and the next is told."""
    for plugin, fn in implementations:
        _, error = await contain.timed(TELL_S, plugin, fn, *args)
        if error is not None:
            log.warning("plugin %s was not told: %s", plugin.name, error, extra={"plugin": plugin.name})
