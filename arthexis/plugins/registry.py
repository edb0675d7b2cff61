"""Registration: pluggy checks and orders the hooks, and each becomes a plain tuple before the first message.

pluggy calls synchronously and stops at the first error, so the host never calls through it while it runs: ``decide_*``
and ``on_*`` are walked here, each implementation contained.
"""

from __future__ import annotations

import asyncio
import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
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
    Notifier,
    Operation,
    Protocol,
    Route,
    Service,
    Subscriber,
    Tables,
)
from arthexis.plugins import trace
from arthexis.plugins.contain import Contain, attempt, collect, fits, spoken, told
from arthexis.plugins.contain import kind as named
from arthexis.plugins.states import Plugin, State

DECIDE_S = 0.8
"""For so long one plugin may think: with what else a decision takes, its station has an answer within a second."""
DECIDE_TOGETHER_S = 3.0

Implementation = tuple[Plugin, Callable[..., Any]]
Contribution = tuple[Plugin, Any]

# Each hook that collects: what it yields, and what may exist only once.
KINDS: dict[str, tuple[type, Callable[[Any], object]]] = {
    "register_config": (Config, lambda c: c),
    "register_protocols": (Protocol, lambda c: c.subprotocol),
    "register_actions": (Action, lambda c: (c.protocol, c.name)),
    "register_operations": (Operation, lambda c: (c.protocol, c.name)),
    "register_data_transfers": (DataTransfer, lambda c: c.key),
    "register_services": (Service, lambda c: c.interface),
    "register_tables": (Tables, lambda c: c.migrations),
    "register_commands": (Command, lambda c: c.name),
    "register_routes": (Route, lambda c: c.key),
    "register_jobs": (Job, lambda c: c.name),
    "register_diagnoses": (Diagnosis, lambda c: c.name),
    "register_notifiers": (Notifier, lambda c: c.name),
    "register_subscribers": (Subscriber, lambda c: c.name),
}


class Registry:
    """pluggy's manager and the plugins it holds."""

    def __init__(self, patience_s: float) -> None:
        """Know the host's hooks and no plugin; a ``register_*`` hook may take so many seconds."""
        self._patience_s = patience_s
        self._traces = trace.wanted()
        self.manager = pluggy.PluginManager("arthexis")
        self.manager.add_hookspecs(hookspecs)
        self._hooks = sorted(name for name in vars(self.manager.hook) if not name.startswith("_"))
        self._plugins: dict[str, Plugin] = {}

    def register(self, plugin: Plugin) -> None:
        """Hand a plugin's module to pluggy; a misspelt hook or a wrong signature fails the plugin."""
        _, error = attempt(self.manager.register, plugin.module, plugin.full_name)
        wrong, broken = attempt(lambda: self._misspelt(plugin) or self._misshapen(plugin))
        if isinstance(error, pluggy.PluginValidationError):
            wrong, _ = attempt(self._misargued, plugin)
        elif error is not None or broken is not None:
            wrong = None
        if wrong is None and (error is not None or broken is not None):
            wrong = spoken(error or broken), "Compare its hooks with docs/hooks.md"
        if wrong is not None:
            reason, cure = wrong
            self._unregister(plugin)
            plugin.fail(State.REGISTERED, reason, plugin.or_off(cure))
            return
        self._plugins[plugin.full_name] = plugin
        plugin.retired = tuple(self._retired(plugin))
        plugin.climb(State.REGISTERED)

    def remove(self, plugin: Plugin) -> None:
        """Take a plugin that failed later out again."""
        if self._plugins.pop(plugin.full_name, None) is not None:
            self._unregister(plugin)

    def _unregister(self, plugin: Plugin) -> None:
        if self.manager.has_plugin(plugin.full_name):
            self.manager.unregister(name=plugin.full_name)

    def _retired(self, plugin: Plugin) -> Iterator[str]:
        """What of this plugin a later host will not understand any more."""
        for caller in self.manager.get_hookcallers(plugin.module) or []:
            if caller.spec is None:
                continue
            mine = (i for i in caller.get_hookimpls() if i.plugin_name == plugin.full_name)
            used = {name for implementation in mine for name in implementation.argnames}
            warned = [caller.spec.warn_on_impl]
            warned += [warning for name, warning in (caller.spec.warn_on_impl_args or {}).items() if name in used]
            yield from (str(warning) for warning in warned if warning is not None)

    def _misspelt(self, plugin: Plugin) -> tuple[str, str] | None:
        """Reason and cure of a hook of this plugin that the host does not specify."""
        callers = self.manager.get_hookcallers(plugin.module) or []
        for caller in callers:
            if not caller.has_spec() and not any(i.optionalhook for i in caller.get_hookimpls()):
                gone = hookspecs.GONE.get(caller.name)
                if gone is not None:
                    return f"the hook {caller.name} is gone since {gone.gone_in}", f"Its author must use {gone.instead}"
                close = difflib.get_close_matches(caller.name, self._hooks, 1)
                cure = f"Did you mean {close[0]}?" if close else "See docs/hooks.md for the hooks there are"
                return f"there is no hook {caller.name}", cure
        return None

    def _misshapen(self, plugin: Plugin) -> tuple[str, str] | None:
        """Reason and cure of a hook that is the wrong kind of function for its family."""
        for caller in self.manager.get_hookcallers(plugin.module) or []:
            for implementation in caller.get_hookimpls():
                if implementation.plugin_name == plugin.full_name and caller.has_spec():
                    said = _shape(caller.name, implementation)
                    if said is not None:
                        return f"{caller.name} {said[0]}", said[1]
        return None

    def _misargued(self, plugin: Plugin) -> tuple[str, str] | None:
        """Reason and cure of a hook of this plugin that asks for an argument which the host does not give."""
        for name in dir(plugin.module):
            options = self.manager.parse_hookimpl_opts(plugin.module, name)
            hook = options and (options.get("specname") or name)
            if hook not in self._hooks:
                continue
            there = list(inspect.signature(getattr(hookspecs, hook)).parameters)
            asked = inspect.signature(getattr(plugin.module, name)).parameters.values()
            lacking = [p.name for p in asked if p.default is p.empty and p.name not in there]
            if lacking:
                kind = "async " if hook.startswith(("decide_", "on_")) else ""
                close = difflib.get_close_matches(lacking[0], there, 1)
                cure = f"Did you mean {close[0]}?" if close else f"Write: {kind}def {hook}({', '.join(there)})"
                return f"{hook} has no argument {lacking[0]}; it has {', '.join(there) or 'none'}", cure
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
            call = trace.traced_hook(plugin, hook, fn) if self._traces else fn
            yielded, error = _collected(functools.partial(collect, self._patience_s, call), kind, key)
            rivals = list(dict.fromkeys(taken[k] for c in yielded if error is None and (k := key(c)) in taken))
            if error is not None:
                reason = f"{hook}: {told(error)}"
                plugin.fail(State.REGISTERED, reason, f"Mend it, or run: arthexis plugins disable {plugin.full_name}")
            for rival in rivals:
                _clash(hook, plugin, rival)
                self.remove(rival)
            if plugin.state is State.FAILED:
                self.remove(plugin)
            else:
                found += [(plugin, c) for c in yielded]
            taken.update((key(c), plugin) for c in yielded)
        return [(plugin, c) for plugin, c in found if plugin.state is not State.FAILED]


def _shape(hook: str, implementation: pluggy.HookImpl) -> tuple[str, str] | None:
    """What is wrong with an implementation's kind of function, and the cure."""
    function = implementation.function
    if implementation.hookwrapper or implementation.wrapper:
        return "is a wrapper, and the host does not call wrappers", "Implement the hook itself"
    runs = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(inspect.unwrap(function))
    if hook.startswith(("decide_", "on_")):
        return None if runs else ("is no coroutine function", f"Write: async def {hook}(...)")
    if hook == "lifespan":
        bare = runs or inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
        return ("is no async context manager", "Put @asynccontextmanager under @hookimpl") if bare else None
    plain = not runs and not inspect.isasyncgenfunction(function)
    return None if plain else ("is asynchronous, but is called while composing", f"Write: def {hook}():")


def _collected(
    gather: Callable[[], tuple[list[Any], BaseException | None]], kind: type, key: Callable[[Any], object]
) -> tuple[list[Any], BaseException | None]:
    """What one hook yields, and what is wrong with it."""
    yielded, error = gather()
    wrong = next(([c] for c in yielded if not fits(c, kind)), None)
    if error is None and wrong is not None:
        error = TypeError(f"yielded {named(wrong[0])} instead of {kind.__name__}")
    keys, unusable = attempt(lambda: [(key(c), hash(key(c))) for c in yielded]) if error is None else (None, error)
    if keys is not None and len(set(keys)) < len(keys):
        unusable = ValueError(f"yielded the same {kind.__name__} twice")
    return ([], unusable) if unusable is not None else (yielded, None)


def _clash(hook: str, plugin: Plugin, rival: Plugin) -> None:
    """Two plugins offer the same thing: neither is preferred in silence, both are named and refused."""
    what = hook.removeprefix("register_").replace("_", " ")
    for one, other in ((plugin, rival), (rival, plugin)):
        one.fail(
            State.REGISTERED,
            f"{what}: {one.full_name} and {other.full_name} both offer the same",
            f"Choose one: arthexis plugins enable {one.full_name} --instead-of {other.full_name}",
        )


def _fitted(implementation: pluggy.HookImpl) -> Callable[..., Any]:
    """The function, called with as many of the hook's arguments as it takes (pluggy lets it leave some out)."""
    function: Callable[..., Any] = implementation.function
    spec = inspect.signature(getattr(hookspecs, implementation.opts.get("specname") or function.__name__))
    wanted = [place for place, name in enumerate(spec.parameters) if name in implementation.argnames]
    if len(wanted) == len(spec.parameters):
        return function

    @functools.wraps(function)
    def fitted(*args: Any) -> Any:
        return function(*(args[place] for place in wanted))

    return fitted


class Deciders:
    """The implementations of one ``decide_*`` hook: asked in order, the first answer that is not None wins."""

    def __init__(
        self,
        hook: str,
        contain: Contain,
        implementations: Sequence[Implementation],
        kind: type,
        closed: Any,
        unsound: Callable[[Any], str | None],
    ) -> None:
        """Expect sound answers of ``kind``; a fault answers ``closed`` where that is not None, else passes on."""
        self._hook = hook
        self._contain = contain
        self._implementations = tuple(implementations)
        self._kind = kind
        self._closed = closed
        self._unsound = unsound

    def __bool__(self) -> bool:
        """Whether anybody is asked at all."""
        return bool(self._implementations)

    async def ask(self, *args: Any) -> Any:
        """The plugins' answer, or None if none has an opinion."""
        loop = asyncio.get_running_loop()
        until = loop.time() + DECIDE_TOGETHER_S
        for plugin, fn in self._implementations:
            if not plugin.standing:
                continue
            left = max(0.0, min(DECIDE_S, until - loop.time()))
            answer, error = await self._contain.timed(left, plugin, fn, *args, hook=self._hook, unsound=self._wrong)
            if error is not None and self._closed is not None:
                return self._closed
            if error is None and answer is not None:
                return answer
        return None

    def _wrong(self, answer: Any) -> str | None:
        """What keeps an answer from being one, or None."""
        if answer is None:
            return None
        if not isinstance(answer, self._kind):
            return f"{named(answer)} instead of {self._kind.__name__}"
        return self._unsound(answer)
