"""What plugins give the host: frozen records, yielded by the ``register_*`` hooks and never changed afterwards.

Nothing here runs anything. A duplicate (two actions of one name, two routes of one path) is refused while
composing, naming both distributions.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

    from aiohttp.web import Request
    from msgspec import Struct
    from sqlalchemy import MetaData

    from arthexis.charging.station import Station
    from arthexis.db.events import Event
    from arthexis.db.statements import Connection
    from arthexis.host import Host
    from arthexis.lifespans import Context
    from arthexis.ocppj.inbound import Call


ACCESS: Final = ("viewer", "operator", "administrator")
_PATH = re.compile(r"(/([A-Za-z0-9._~-]+|{[a-z][a-z0-9_]*}))+").fullmatch
EVERY: Final = "*"
"""Among the kinds of a subscriber: whatever happens."""
CONTEXT: Final = "ctx"
LONGEST_VENDOR: Final = 255
LONGEST_MESSAGE: Final = 50
_PUBLIC_PATH = re.compile(
    r"/[A-Za-z0-9._~-]+(/([A-Za-z0-9._~-]+|{[a-z][a-z0-9_]*}))*(/{[a-z][a-z0-9_]*:\.\*})?"
).fullmatch
_NOTIFIER = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*").fullmatch
_HOSTS_OWN: Final = frozenset({"api", "ocpp", "health", "plain.css"})
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Fault(Enum):
    """Why a CALL is answered with a CALLERROR; each protocol version names these in its own words."""

    UNREADABLE = "unreadable"
    ENVELOPE = "envelope"
    UNKNOWN_MEMBER = "unknown member"
    MISSING = "missing member"
    TYPE = "wrong type"
    VALUE = "value out of range"
    UNKNOWN_ACTION = "unknown action"
    ACTION_OFF = "action switched off"
    NOT_ACCEPTED = "station not accepted"
    INTERNAL = "internal"


def _expect(what: str, holds: bool, wanted: str) -> None:
    """Raise ``TypeError`` where the author wrote something that could only fail later, and elsewhere."""
    if not holds:
        raise TypeError(f"{what} must be {wanted}")


def _name(value: object) -> bool:
    """Whether a value is text that says something and compares as text does."""
    plain = type(value).__eq__ is str.__eq__ and type(value).__hash__ is str.__hash__
    return isinstance(value, str) and plain and bool(value)


def _coroutine_function(fn: Any) -> bool:
    candidates = (fn, inspect.unwrap(fn), type(fn).__call__) if callable(fn) else ()
    return any(inspect.iscoroutinefunction(candidate) for candidate in candidates)


def context_goes(handler: Callable[..., Any], arguments: int) -> int | str | None:
    """Where a handler called with so many arguments takes the context: its place among them, ``"named"``, or None.

    Whoever has a parameter ``ctx`` gets it there, before, between or after those arguments, by name where it stands
    further back or is keyword-only; else it is the first parameter after those arguments that has no default, or what
    ``*args`` takes after them. What a decorator takes as ``*args`` is for the function that it wraps. Raises
    ``TypeError`` where the call would fail.
    """
    try:
        signature = inspect.signature(handler, follow_wrapped=False)
        if any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
            signature = inspect.signature(handler)
    except ValueError:
        return None
    place = _context_place(list(signature.parameters.values()), arguments)
    given: list[object] = [None] * (arguments + isinstance(place, int))
    signature.bind(*given, **({CONTEXT: None} if place == "named" else {}))
    return place


def _context_place(parameters: list[inspect.Parameter], arguments: int) -> int | str | None:
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    names = [p.name for p in positional[: arguments + 1]]
    if CONTEXT in names:
        return names.index(CONTEXT)
    after = positional[arguments:]
    if after and after[0].default is inspect.Parameter.empty:
        return arguments
    if any(p.name == CONTEXT and p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY} for p in parameters):
        return "named"
    rest = any(p.kind is p.VAR_POSITIONAL for p in parameters) and len(positional) == arguments
    return arguments if rest else None


def _callable_with(handler: Callable[..., Any], arguments: int) -> bool:
    """Whether a handler can be called with so many arguments, and the context where it takes that."""
    try:
        context_goes(handler, arguments)
    except TypeError:
        return False
    return True


def _takes(function: Callable[..., Any], arguments: int) -> bool:
    """Whether a function can be called with just so many arguments."""
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _expect_decodable(what: str, kind: Any) -> None:
    """Raise ``TypeError`` with msgspec's own reason for a type that it cannot decode."""
    try:
        msgspec.json.Decoder(kind)
    except (TypeError, NameError) as problem:
        raise TypeError(f"{what} must be a type that msgspec can decode: {problem}") from None


def _decisions(hooks: object) -> bool:
    return isinstance(hooks, tuple) and all(str(hook).startswith("decide_") for hook in hooks)


def _struct(kind: object) -> bool:
    return isinstance(kind, type) and hasattr(kind, "__struct_fields__")


@dataclass(frozen=True, slots=True)
class Message:
    """One action of a protocol version and the Structs of its request and its answer."""

    action: str
    request: type[Struct]
    response: type[Struct]

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("action", _name(self.action), "text")
        _expect(f"request and response of {self.action}", _struct(self.request) and _struct(self.response), "Structs")


@dataclass(frozen=True, slots=True)
class Protocol:
    """One OCPP-J version: how it is offered, what its messages are and what its errors are called.

    ``unrefusable`` names the actions that carry money and are answered whatever they contain (repair mode).
    ``aliases`` maps an enum member that stations really send to the one they mean, per wire name of the field;
    ``fallbacks`` gives the member for a field whose text means nothing at all. ``names`` maps what stations call a
    member (its letters without case, or the bare text where it has none) to the members that it may stand for.
    ``units`` names the unit of members that are plain numbers, so that "12.5 kWh" can be read.
    """

    subprotocol: str
    messages: tuple[Message, ...]
    errors: Mapping[Fault, str]
    unrefusable: frozenset[str] = frozenset()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("subprotocol", _name(self.subprotocol), "text")
        _expect("messages", all(isinstance(m, Message) for m in self.messages), "a tuple of Message")
        _expect("errors", isinstance(self.errors, Mapping), "a mapping of Fault to the protocol's word")


@dataclass(frozen=True, slots=True)
class Action:
    """A CALL from a station and the coroutine function that answers it: ``async (station, call) -> answer Struct``.

    The answer leaves after everything the handler wrote is committed. ``early`` is the one exception (Heartbeat).
    ``replay_s``: for how long the same message id with the same content on one socket gets the very same bytes back.
    ``before_acceptance``: answered even while the station's registration is not accepted (BootNotification).
    ``asks`` names the ``decide_*`` hooks that the handler asks, for ``arthexis plugins explain``.
    """

    name: str
    handler: Callable[[Station, Call[Any]], Awaitable[Any]]
    protocol: str = "ocpp1.6"
    early: bool = False
    replay_s: float = 60.0
    before_acceptance: bool = False
    asks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("name", _name(self.name), "the action's name")
        _expect(f"asks of {self.name}", _decisions(self.asks), "a tuple of decide_* hooks")
        _expect(f"handler of {self.name}", _coroutine_function(self.handler), "a coroutine function (async def)")
        _expect(f"handler of {self.name}", _callable_with(self.handler, 2), "a function of (station, call)")


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation that somebody asks for: the station's row and identity, and the payload as far as it was given.

    ``payload`` is plain OCPP JSON in camel case; ``host`` is the node.
    """

    host: Host
    station_id: int
    station: str
    payload: Mapping[str, Any]
    requested_by: str = "node"


@dataclass(frozen=True, slots=True)
class Ended:
    """An operation that has ended: ``state`` is how; ``answer`` the station's answer, or None where there is none.

    ``left`` is false where its frame never left, so that the station cannot have heard of it.
    """

    host: Host
    station_id: int
    station: str
    payload: Mapping[str, Any]
    state: str
    answer: Any
    at: datetime
    left: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that came of an operation after its answer: in a few words, and whether that was the last of it.

    ``sure`` false: it may as well have come of another operation of its kind, which gets it if that one is sure.
    ``shared``: it answers every operation that awaits it, as a boot does every Reset before it.
    """

    said: str
    done: bool = True
    sure: bool = True
    shared: bool = False


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What an operation leads to after its answer, recognised by the station's own events.

    Awaited for ``within_s`` seconds after one of the answers in ``after``; ``fits`` is asked for each event of
    ``kinds`` ("message" is a CALL that was answered). ``missing`` is what is said when nothing came.
    """

    after: frozenset[str]
    kinds: frozenset[str]
    within_s: float
    fits: Callable[[Mapping[str, Any], Event], Seen | None]
    missing: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A CALL of ours to a station, declared once: the API and the command line offer it by themselves.

    ``name`` is the action, whose request and answer the protocol describes; ``help`` tells of its members by wire name,
    with units; ``filled`` names those that may be left out because we fill them in, ``named`` those that may be given
    as the name of what ``fill`` puts there. ``queues`` false: never kept for a
    station that is offline. ``resend``: may be sent again after a crash. ``dangerous``: for many stations at once their
    number must be confirmed. ``while_pending`` false: refused while the station's registration is Pending.

    ``prepare`` may ask hooks and returns what else the payload needs; ``fill`` completes the payload in the commit that
    queues the operation; ``check`` looks at the whole request (all three may raise ``DomainError``); ``finished`` runs
    in the commit that ends it. ``shown`` masks what must not be kept: only its result is stored and logged, so that an
    operation it has masked cannot wait for an offline station; what it has masked is masked in the answer too.
    ``shown_answer`` masks the JSON of an answer (or of its whole frame) for the row and the log.
    ``key_payload`` makes the request that gives a station the key of these hexadecimal digits, where this operation
    is the one that does. ``asks`` names the ``decide_*`` hooks that ``prepare`` asks.
    """

    name: str
    summary: str
    protocol: str = "ocpp1.6"
    help: Mapping[str, str] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    queues: bool = True
    resend: bool = False
    dangerous: bool = False
    while_pending: bool = True
    timeout_s: float | None = None
    prepare: Callable[[Asked], Awaitable[Mapping[str, Any]]] | None = None
    fill: Callable[[Connection, Asked], Mapping[str, Any]] | None = None
    check: Callable[[Any], None] | None = None
    shown: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    shown_answer: Callable[[bytes], bytes] | None = None
    key_payload: Callable[[str], Mapping[str, Any]] | None = None
    finished: Callable[[Connection, Ended], None] | None = None
    follow_up: FollowUp | None = None
    asks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("name", _name(self.name), "the action's name")
        _expect(f"summary of {self.name}", _name(self.summary), "a few words")
        wanted = "a coroutine function (async def)"
        _expect(f"prepare of {self.name}", self.prepare is None or _coroutine_function(self.prepare), wanted)
        for member in ("fill", "check", "shown", "finished"):
            fn = getattr(self, member)
            plain = fn is None or (callable(fn) and not _coroutine_function(fn))
            _expect(f"{member} of {self.name}", plain, "a plain function")


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """A vendor's message: ``async (station, data)`` or ``async (station, data, ctx)``.

    Returning None accepts; text goes back verbatim; a dict or Struct as JSON text; raising ``Reject`` rejects.
    With ``message_id`` None the handler takes every message id of the vendor that has no handler of its own.
    ``data`` is the Struct (or any type msgspec knows) that the text is decoded to before the handler sees it.
    Vendors and messages are told apart without regard to case (CiString255 and CiString50, OCPP 1.6 §7).
    After ``WITHIN_S`` seconds the station is answered Rejected.
    """

    WITHIN_S: ClassVar[float] = 5.0

    vendor_id: str
    message_id: str | None
    handler: Callable[..., Any]
    data: Any = None

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("vendor_id", _name(self.vendor_id), "text")
        _expect("message_id", self.message_id is None or _name(self.message_id), "text or None")
        _expect("vendor_id", len(self.vendor_id) <= LONGEST_VENDOR, f"at most {LONGEST_VENDOR} characters")
        _expect("message_id", len(self.message_id or "") <= LONGEST_MESSAGE, f"at most {LONGEST_MESSAGE} characters")
        what = f"{self.vendor_id} {self.message_id or 'any message'}"
        _expect(f"handler of {what}", callable(self.handler), "a function")
        taken = "a function of (station, data) or (station, data, ctx)"
        _expect(f"handler of {what}", _callable_with(self.handler, 2), taken)
        _expect_decodable(f"data of {what}", self.data)

    @property
    def key(self) -> tuple[str, str | None]:
        """What may exist only once: vendor and message, without regard to case."""
        return self.vendor_id.casefold(), None if self.message_id is None else self.message_id.casefold()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a station that may explain it: ``wrong`` if it wants to be mended, and a command for that."""

    said: str
    wrong: bool = False
    command: str | None = None

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("said", isinstance(self.said, str), "text")
        _expect("wrong", isinstance(self.wrong, bool), "True or False")
        _expect("command", self.command is None or isinstance(self.command, str), "text or None")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a plugin knows of a station for ``arthexis why``: ``look(db, station)`` yields findings, and only reads."""

    name: str
    look: Callable[[Connection, Station], Iterable[Finding]]

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("name", _name(self.name), "text")
        plain = _callable_with(self.look, 2) and not _coroutine_function(self.look)
        _expect(f"look of {self.name}", plain, "a plain function of (db, station)")


@dataclass(frozen=True, slots=True)
class Service:
    """An implementation of a Protocol class of ``arthexis.services`` that other plugins may ask for."""

    interface: type
    implementation: object

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("interface", isinstance(self.interface, type), "a class of arthexis.services")


@dataclass(frozen=True, slots=True)
class Tables:
    """A distribution's own tables and the folder of its alembic revisions, ``"package:folder"``."""

    metadata: MetaData
    migrations: str

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("migrations", _name(self.migrations) and ":" in self.migrations, '"package:folder"')


@dataclass(frozen=True, slots=True)
class Command:
    """A click command under ``arthexis``, imported only when it is used: ``target`` is ``"module:attribute"``."""

    name: str
    target: str
    help: str

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("name", _name(self.name), "the command's name")
        _expect(f"target of {self.name}", _name(self.target) and ":" in self.target, '"module:attribute"')


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What the handler of a route gets, decoded and checked.

    ``params`` is the route's Struct of path and query members (without one: the path's members by name, as text),
    ``body`` what the route's ``body`` type says. ``access`` is the caller's level and ``caller`` its token's name;
    ``http`` is the request itself.
    """

    host: Host
    params: Any
    body: Any
    access: str
    caller: str
    http: Request


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns where 200 or the headers will not do; ``value`` is anything msgspec encodes."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP route below ``/api/v1``, described so that the API document (OpenAPI 3.1) is made from it.

    ``path`` names its members in braces (``/acme/prices/{station}``). ``handler`` is ``async (request)`` with an
    ``ApiRequest`` and returns what ``answer`` says (a Struct, a dict, a list), an ``Answer``, or an aiohttp response.
    ``access`` is the least access level that may use it: viewer, operator or administrator.

    ``params`` is a Struct of the path's and the query's members; query members that it does not name are refused.
    ``body`` and ``answer`` are types msgspec knows; a body whose members all have defaults may be left out.
    ``statuses`` are the successful answers and their meaning, ``conflicts`` says that 409 may come,
    ``headers`` explains request headers that are read. ``media`` is what the answer is, where it is not JSON.
    ``timeout_s`` is how long the handler may take; None for one that moves files or streams as long as its reader
    listens.
    ``refine`` may change the route's operation object before it enters the document of a node.

    ``public`` routes are for those who have no API token, stations above all: they are served at ``path`` itself, not
    below ``/api/v1``, nobody is asked for a token, and the API document does not show them. Their handler decides
    itself whom it serves; ``access`` and ``caller`` of its request are empty. The last member of such a path may be
    written ``{name:.*}``: all that is left, slashes included, and maybe nothing.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    access: str = "operator"
    summary: str = ""
    description: str = ""
    params: type[Struct] | None = None
    body: Any = None
    answer: Any = None
    statuses: Mapping[int, str] = field(default_factory=lambda: {200: "Done"})
    conflicts: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"
    topic: str = ""
    public: bool = False
    timeout_s: float | None = 60.0
    refine: Callable[[Host, dict[str, Any]], None] | None = None

    def __post_init__(self) -> None:
        """Refuse a route that could never be served."""
        _expect("method", self.method in METHODS, f"one of {', '.join(METHODS)}")
        written = _PUBLIC_PATH if self.public else _PATH
        _expect("path", written(str(self.path)) is not None, "written like /acme/prices/{station}")
        _expect("path", not (self.public and self.path.split("/")[1] in _HOSTS_OWN), "none of the host's own")
        _expect(f"handler of {self.path}", _coroutine_function(self.handler), "a coroutine function (async def)")
        _expect(f"handler of {self.path}", _callable_with(self.handler, 1), "a function of (request) or (request, ctx)")
        _expect("access", self.access in ACCESS, f"one of {', '.join(ACCESS)}")
        named = {f.encode_name for f in msgspec.structs.fields(self.params)} if self.params is not None else None
        missing = [name for name in self.members if named is not None and name not in named]
        _expect(f"params of {self.path}", not missing, f"a Struct with {', '.join(missing)}")

    @property
    def members(self) -> list[str]:
        """The names of the path's members."""
        return re.findall(r"{([^}:]*)[^}]*}", self.path)

    @property
    def place(self) -> str:
        """Where it is served: a public route at its own path, any other below ``/api/v1``."""
        return self.path if self.public else f"/api/v1{self.path}"

    @property
    def key(self) -> tuple[str, str]:
        """What may exist only once: the method, and the path whatever its members are called."""
        return self.method, re.sub(r"{[^}]*}", "{}", self.place)


@dataclass(frozen=True, slots=True)
class Config:
    """The msgspec Struct of a plugin's settings, section ``[plugins.<name>]`` of arthexis.toml."""

    struct: type[Struct]

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("struct", _struct(self.struct), "a msgspec Struct")


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done later or regularly: ``async (ctx, args)`` with what it was put with; it may run twice.

    Put by ``host.jobs.put(db, name, args, run_at=…, key=…)`` within a commit, or every ``every_s`` seconds by itself.
    A try that raises or takes longer than ``timeout_s`` is repeated ``retries`` times, after ``backoff_s`` doubled
    each time; then the job has failed and waits for an operator.
    """

    name: str
    handler: Callable[[Context, dict[str, Any]], Awaitable[None]]
    every_s: float | None = None
    retries: int = 5
    backoff_s: float = 5.0
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("name", _name(self.name), "text that stays the same for ever")
        _expect(f"handler of {self.name}", _coroutine_function(self.handler), "a coroutine function (async def)")
        _expect(f"handler of {self.name}", _takes(self.handler, 2), "a function of (ctx, args)")
        _expect(f"every_s of {self.name}", self.every_s is None or self.every_s > 0, "seconds above 0, or None")
        _expect(f"retries of {self.name}", self.retries >= 0, "0 or more")
        _expect(f"timeout_s of {self.name}", self.timeout_s > 0 and self.backoff_s >= 0, "seconds above 0")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A durable reader of events: at least once, in order per station, waiting while its plugin is off.

    ``kinds`` are the kinds of events that it reads; ``"*"`` among them is every kind, also those of other plugins.
    Where they depend on the settings, it is a function of these, asked once at the start.
    ``handler`` is ``async (event)`` or ``async (event, ctx)``. It raises ``Unavailable`` while what it needs is not
    there: it is asked again until that is back. An event at which it fails ten times in another way is given up, with
    an error in the log.
    """

    name: str
    kinds: frozenset[str] | Callable[[Any], frozenset[str]]
    handler: Callable[..., Awaitable[None]]

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("name", _name(self.name), "text that stays the same for ever")
        sound = callable(self.kinds) or isinstance(self.kinds, (frozenset, set))
        _expect("kinds", sound, "a frozenset of event kinds, or a function of the settings that returns one")
        _expect(f"handler of {self.name}", _coroutine_function(self.handler), "a coroutine function (async def)")
        _expect(f"handler of {self.name}", _callable_with(self.handler, 1), "a function of (event) or (event, ctx)")


@dataclass(frozen=True, slots=True)
class Notifier:
    """A way to reach people: ``async (notification)`` or ``async (notification, ctx)`` with a ``Notification``.

    ``name`` is what rules call it. It is called by whoever sends notifications (``arthexis-notify``), one at a time,
    and has ``within_s`` seconds. It raises ``Unavailable`` while it cannot (it gets the same one again, later), and
    ``DomainError`` for one that it can never show. It may get one twice. ``summary`` says in a few words where it goes.
    """

    name: str
    handler: Callable[..., Awaitable[None]]
    summary: str = ""
    within_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the types."""
        _expect("name", _NOTIFIER(str(self.name)) is not None, "written like mail or acme.pager")
        _expect(f"handler of {self.name}", _coroutine_function(self.handler), "a coroutine function (async def)")
        _expect(f"within_s of {self.name}", 0 < self.within_s <= 300, "seconds, above 0 and up to 300")
        taken = "a function of (notification) or (notification, ctx)"
        _expect(f"handler of {self.name}", _callable_with(self.handler, 1), taken)
