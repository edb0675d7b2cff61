"""Explain: who would be asked for something, in which order, with which time-out, and what happens otherwise.

Read from the composition alone: nothing is called, and no file of the node is opened. A name may mean several things
(DataTransfer is an action and an operation); each is told.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from arthexis.contributions import EVERY, Action, DataTransfer, Operation
from arthexis.errors import NotFound
from arthexis.host import LIVE
from arthexis.operations import PREPARE_S
from arthexis.plugins.compose import HOOKS
from arthexis.plugins.registry import DECIDE_S, DECIDE_TOGETHER_S, KINDS
from arthexis.plugins.states import Plugin, State
from arthexis.subscribers import HANDLE_S, TRIES, kinds_of
from arthexis.telling import TELL_S

if TYPE_CHECKING:
    from arthexis.host import Host

NAMES = (*KINDS, *HOOKS)
OTHERWISE = {
    "decide_connection": "admitted, where its key is right",
    "decide_boot": "Accepted, or what the operator decided of the station before",
    "decide_authorization": "what the tag's own row says; an unknown tag is Invalid",
    "decide_connector": "the free connector that fits best",
}
ON_FAULT = {
    "decide_connection": "refused: a fault or a time-out closes the door",
    "decide_boot": "the next is asked",
    "decide_authorization": "Invalid: a fault or a time-out lets nobody charge",
    "decide_connector": "the next is asked",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One who would be asked; ``skipped`` says why it would not be. ``within_s`` None: no limit of its own."""

    plugin: str
    state: str
    code: str
    within_s: float | None
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that a name means: who is asked for it, in this order, and what happens otherwise or on a fault."""

    kind: str
    name: str
    summary: str
    asked: tuple[Asked, ...]
    otherwise: str
    on_fault: str = ""
    together_s: float | None = None
    asks: tuple[Meaning, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return asdict(self)


def explain(host: Host, name: str) -> dict[str, Any]:
    """Everything that a name means on this node; raises ``NotFound`` with the closest names that mean something."""
    meanings = [meaning for look in LOOKS for meaning in look(host, name)]
    if not meanings:
        raise NotFound(f"nothing is called {name}", place="plugins explain", cure=_meant(name, known(host)))
    return {"name": name, "meanings": [meaning.to_dict() for meaning in meanings]}


def known(host: Host) -> set[str]:
    """Every name that can be explained on this node."""
    composed = host.composition
    keys = {hook: [c for _, c in found] for hook, found in composed.contributions.items()}
    named = ("register_operations", "register_commands", "register_jobs", "register_subscribers", "register_notifiers")
    return {
        *(message for dialect in host.dialects.values() for message in dialect.messages),
        *(action.name for _, action in composed.actions),
        *(c.name for hook in named for c in keys.get(hook, [])),
        *(transfer.vendor_id for _, transfer in composed.data_transfers),
        *(f"{t.vendor_id}/{t.message_id}" for _, t in composed.data_transfers if t.message_id is not None),
        *(route.place for _, route in composed.routes),
        *(service.interface.__name__ for _, service in composed.services),
        *(kind for plugin, subscriber in composed.subscribers for kind in kinds_of(plugin, subscriber)[0] - {EVERY}),
        *LIVE,
        *NAMES,
        *(plugin.name for plugin in composed.plugins),
    }


def _meant(name: str, names: Iterable[str]) -> str:
    folded = {known_name.lower(): known_name for known_name in names}
    close = [folded[found] for found in difflib.get_close_matches(name.lower(), folded, 3)]
    listed = " or ".join(close)
    return (
        f"Did you mean {listed}?" if close else "Name an action, operation, hook, vendor, route, command, job or event"
    )


def _asked(host: Host, plugin: Plugin, fn: Any, within_s: float | None, label: str) -> Asked:
    """One who would be asked; ``label`` is what the host calls this among the plugin's hooks."""
    code = fn if isinstance(fn, str) else _code(fn)
    return Asked(plugin.full_name, plugin.state.value, code, within_s, _skipped(host, plugin, label))


def _skipped(host: Host, plugin: Plugin, label: str) -> str:
    """Why it would not be asked just now, or nothing."""
    if not plugin.standing:
        return f"it is {plugin.state}"
    if host.contain.rests(plugin, label):
        return f"it is suspended until {plugin.ailments[label].until_at:%H:%M:%S} UTC"
    return "it is unavailable" if label.startswith("subscriber ") and plugin.state is State.UNAVAILABLE else ""


def _code(fn: Any) -> str:
    """``module.function``, as an author finds it."""
    inner = inspect.unwrap(fn)
    return f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__name__)}"


# ---------------------------------------------------------------------- what a name may mean


def _actions(host: Host, name: str) -> Iterator[Meaning]:
    """A CALL of stations: its handler, and the decisions that this one asks for."""
    limit_s = host.settings.stations.handler_timeout_s
    for subprotocol, dialect in host.dialects.items():
        ready = {(action.protocol, action.name): (p, action) for p, action in host.composition.actions}
        if name not in dialect.messages and (subprotocol, name) not in ready:
            continue
        found = ready.get((subprotocol, name))
        yield Meaning(
            kind="action",
            name=name,
            summary=f"A CALL that stations of {subprotocol} make",
            asked=(_asked(host, found[0], found[1].handler, limit_s, f"action {name}"),) if found is not None else (),
            otherwise=f"CALLERROR {dialect.code(dialect.fault_of(name))}",
            on_fault="CALLERROR InternalError; the station sends it again",
            asks=_decisions(host, found[1]) if found is not None else (),
        )


def _decisions(host: Host, asking: Action | Operation) -> tuple[Meaning, ...]:
    return tuple(meaning for hook in asking.asks for meaning in _hooks(host, hook))


def _operations(host: Host, name: str) -> Iterator[Meaning]:
    """A CALL of ours: the plugin that declares it, and what it does before."""
    for plugin, operation in host.composition.operations:
        if operation.name == name:
            within_s = operation.timeout_s or host.settings.stations.call_timeout_s
            code = operation.prepare or "declares it; the payload goes as it was given"
            limit_s = PREPARE_S if operation.prepare is not None else None
            yield Meaning(
                kind="operation",
                name=name,
                summary=f"{operation.summary}. The station has {within_s:g} s to answer",
                asked=(_asked(host, plugin, code, limit_s, f"operation {name}"),),
                otherwise="refused: no plugin knows it",
                on_fault="refused, and nothing is sent",
                asks=_decisions(host, operation),
            )


def _hooks(host: Host, name: str) -> Iterator[Meaning]:
    """A hook: who implements it."""
    if name not in NAMES:
        return
    family = name.partition("_")[0]
    limits = {"decide": DECIDE_S, "on": TELL_S}
    within_s = limits.get(family, host.settings.node.plugin_timeout_s)
    nobody = (
        "nothing happens" if family == "on" else "nothing is opened" if name == "lifespan" else "nothing is offered"
    )
    yield Meaning(
        kind="hook",
        name=name,
        summary=HOW.get(family, "Opened in this order, closed in reverse"),
        asked=tuple(_asked(host, p, fn, within_s, name) for p, fn in _implementing(host, name)),
        otherwise=OTHERWISE.get(name, nobody),
        on_fault=ON_FAULT.get(name, "it is counted, and nobody else notices" if family == "on" else "the plugin fails"),
        together_s=DECIDE_TOGETHER_S if family == "decide" else None,
    )


HOW = {
    "decide": "Asked in this order; the first answer that is not None counts",
    "on": "Told to all of them at once, after the commit",
    "register": "Called once while the node is composed",
}


def _implementing(host: Host, hook: str) -> list[tuple[Plugin, Any]]:
    if hook in KINDS:
        owners = dict.fromkeys(plugin for plugin, _ in host.composition.contributions.get(hook, []))
        return [(plugin, getattr(plugin.module, hook, hook)) for plugin in owners]
    return list(host.composition.hooks.get(hook, ()))


def _vendors(host: Host, name: str) -> Iterator[Meaning]:
    """A vendor's DataTransfer, by vendorId or vendorId/messageId; letters' case does not count."""
    vendor, slash, message = name.partition("/")
    found = [(p, t) for p, t in host.composition.data_transfers if t.vendor_id.lower() == vendor.lower()]
    if not found:
        if slash and "." in vendor:
            yield Meaning(
                kind="data transfer",
                name=name,
                summary="A message of a vendor whom no plugin here knows",
                asked=(),
                otherwise="UnknownVendorId",
            )
        return
    exact = [(p, t) for p, t in found if t.message_id is not None and t.message_id.lower() == message.lower()]
    rest = [(p, t) for p, t in found if t.message_id is None]
    chosen = (exact or rest)[:1] if slash else found
    yield Meaning(
        kind="data transfer",
        name=name,
        summary="A vendor's message: the handler of the message id, else the one for all others of the vendor",
        asked=tuple(_transfer(host, plugin, transfer) for plugin, transfer in chosen),
        otherwise="UnknownMessageId",
        on_fault="Rejected",
    )


def _transfer(host: Host, plugin: Plugin, transfer: DataTransfer) -> Asked:
    label = f"data transfer {transfer.vendor_id}/{transfer.message_id or '*'}"
    code = f"{_code(transfer.handler)} for {transfer.message_id or 'any'}"
    return _asked(host, plugin, code, DataTransfer.WITHIN_S, label)


def _routes(host: Host, name: str) -> Iterator[Meaning]:
    """An HTTP route, by its path or ``METHOD path``."""
    method, _, path = name.rpartition(" ")
    for plugin, route in host.composition.routes:
        if path in (route.place, route.path) and method.upper() in ("", route.method):
            who = "anybody" if route.public else f"a token with the access {route.access}"
            yield Meaning(
                kind="route",
                name=f"{route.method} {route.place}",
                summary=f"{route.summary or 'A route'}, for {who}",
                asked=(_asked(host, plugin, route.handler, route.timeout_s, f"route {route.method} {route.path}"),),
                otherwise="404",
                on_fault="500, and it is counted",
            )


def _named(
    hook: str, kind: str, host: Host, name: str, *, told: Callable[[Host, Any], tuple[Any, ...]]
) -> Iterator[Meaning]:
    """A contribution that has a name: a command, a job, a notifier."""
    for plugin, found in host.composition.contributions.get(hook, []):
        if found.name == name:
            summary, fn, within_s, otherwise, on_fault = told(host, found)
            yield Meaning(
                kind, name, summary, (_asked(host, plugin, fn, within_s, f"{kind} {name}"),), otherwise, on_fault
            )


def _of_command(_: Host, command: Any) -> tuple[Any, ...]:
    return command.help, command.target, None, "there is no such command", "a message and an exit status"


def _of_job(_: Host, job: Any) -> tuple[Any, ...]:
    when = f"every {job.every_s:g} s" if job.every_s is not None else "when somebody puts it"
    again = f"tried again {job.retries} times, after {job.backoff_s:g} s doubled each time; then it waits for you"
    return f"Work that is done {when}", job.handler, job.timeout_s, "it waits until its plugin is on", again


def _of_notifier(_: Host, notifier: Any) -> tuple[Any, ...]:
    summary = notifier.summary or "A way to reach people"
    return summary, notifier.handler, notifier.within_s, "nobody is reached", "it gets the notification again"


def _events(host: Host, name: str) -> Iterator[Meaning]:
    """A kind of event: durable readers first, then the live hook."""
    kinds = [(p, s, kinds_of(p, s)[0]) for p, s in host.composition.subscribers]
    readers = [(p, s) for p, s, read in kinds if name in read or (EVERY in read and "." in name)]
    hook = LIVE.get(name)
    if hook is None and not any(name in read for _, _, read in kinds):
        return
    yield Meaning(
        kind="event",
        name=name,
        summary="Durable readers get it at least once, in order",
        asked=tuple(_asked(host, p, s.handler, HANDLE_S, f"subscriber {s.name}") for p, s in readers),
        otherwise="it is kept 30 days for who reads later",
        on_fault=f"asked again, {TRIES} times, then it is given up with an error in the log",
        asks=tuple(_hooks(host, hook)) if hook is not None else (),
    )


def _services(host: Host, name: str) -> Iterator[Meaning]:
    """An interface of ``arthexis.services``."""
    for plugin, service in host.composition.services:
        if service.interface.__name__ == name:
            yield Meaning(
                kind="service",
                name=name,
                summary="Offered to other plugins: host.service() gives it",
                asked=(_asked(host, plugin, type(service.implementation), None, "service"),),
                otherwise="host.service() is None",
            )


def _plugins(host: Host, name: str) -> Iterator[Meaning]:
    """A plugin itself: its hooks, by their names."""
    for plugin in host.composition.named(name):
        mine = [hook for hook in NAMES if any(p is plugin for p, _ in _implementing(host, hook))]
        yield Meaning(
            kind="plugin",
            name=plugin.full_name,
            summary=f"{plugin.state}{f': {plugin.reason}' if plugin.reason else ''}",
            asked=tuple(_asked(host, plugin, hook, None, hook) for hook in mine),
            otherwise=plugin.cure or "nothing is asked of it",
        )


LOOKS: tuple[Callable[[Host, str], Iterator[Meaning]], ...] = (
    _actions,
    _operations,
    _hooks,
    _vendors,
    _routes,
    partial(_named, "register_commands", "command", told=_of_command),
    partial(_named, "register_jobs", "job", told=_of_job),
    partial(_named, "register_notifiers", "notifier", told=_of_notifier),
    _events,
    _services,
    _plugins,
)
