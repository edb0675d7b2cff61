"""Notifications over HTTP: what people were told, rules and notifiers, saying something, taking notice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from arthexis import Answer, ApiRequest, Context, Notification, Route
from arthexis_notify import tables
from arthexis_notify.desk import Desk, desk_of
from arthexis_notify.rules import Priority, Rule

S = TypeVar("S", bound=Struct)
PATH: Final = "/notify"
WITHIN: Final = 366 * 86400
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.-]*$", max_length=100, description="A notifier's name")]
NoNul = r"^[^\x00]*$"


class Delivery(Struct, kw_only=True):
    """How a notifier stands to a notification: waiting, sent, expired, replaced or given up."""

    notifier: str
    state: str
    tries: int
    next_at: datetime | None
    done_at: datetime | None
    error: str | None


class Told(Struct, kw_only=True):
    """A notification. ``rule`` is the one that made it, where one did; ``repeats`` how often it came again."""

    id: int
    rule: str | None
    kind: str
    station: str | None
    connector: int | None
    priority: str
    title: str
    text: str
    at: datetime
    lifetime_s: float | None
    over_at: datetime | None
    repeats: int
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    deliveries: list[Delivery]


class ToldList(Struct, kw_only=True):
    """Part of what people were told, the latest first; ``next`` is the cursor of what follows."""

    items: list[Told]
    next: str | None


class RuleList(Struct, kw_only=True):
    """The rules that hold, and what is wrong with them. ``written`` false: they are the house's."""

    items: list[Rule]
    written: bool
    suppressed: dict[str, int]
    problems: list[str]


class NotifierState(Struct, kw_only=True):
    """A notifier: ``error`` is its latest trouble, ``paused_until`` when it is asked again."""

    name: str
    plugin: str
    summary: str
    state: str
    error: str | None
    paused_until: datetime | None
    waiting: int
    sent: int
    expired: int
    replaced: int
    given_up: int


class NotifierList(Struct, kw_only=True):
    """Every notifier."""

    items: list[NotifierState]
    next: None = None


class ListTold(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which part of what people were told."""

    station: Annotated[str, Meta(max_length=255, pattern=NoNul, description="Only of this station")] | None = None
    rule: Annotated[str, Meta(max_length=100, pattern=NoNul, description="Only of this rule")] | None = None
    state: (
        Annotated[
            str,
            Meta(pattern="^(waiting|sent|expired|replaced|given up)$", description="Only where a delivery is so"),
        ]
        | None
    ) = None
    unacknowledged: Annotated[bool, Meta(description="Only what nobody has taken notice of")] = False
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most")] = 100
    cursor: Annotated[str, Meta(pattern="^[0-9a-f]{1,7}$", description="`next` of the answer before")] | None = None


class OfNotification(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which notification."""

    notification: Annotated[int, Meta(ge=1, le=2**31 - 1, description="Its number")]


class OfNotifier(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which notifier."""

    name: Name


class Say(Struct, kw_only=True, forbid_unknown_fields=True):
    """Say something to people."""

    text: Annotated[str, Meta(min_length=1, max_length=1000, pattern=NoNul, description="What is said")]
    to: Annotated[list[Name], Meta(max_length=50, description="By which notifiers; none: by all that are set up")] = []
    priority: Annotated[Priority, Meta(description="How urgent it is")] = "event"
    title: Annotated[str, Meta(max_length=120, pattern=NoNul, description="A few words above it")] = ""
    lifetime_s: Annotated[float, Meta(gt=0, lt=WITHIN, description="Not sent or shown after so long")] | None = None
    key: Annotated[str, Meta(max_length=100, pattern=NoNul, description="Replaces an older one with the same")] = ""
    station: Annotated[str, Meta(max_length=255, pattern=NoNul, description="Which it is about")] | None = None


class Tried(Struct, kw_only=True):
    """A notifier took a notification."""

    notifier: str
    took: bool = True


def _shaped(kind: type[S], row: Mapping[str, Any]) -> S:
    return msgspec.convert({name: row[name] for name in kind.__struct_fields__}, kind)


def shown(row: Mapping[str, Any]) -> Told:
    """A notification as the API shows it; when a delivery is tried next is told only while it waits."""
    deliveries = [
        _shaped(Delivery, {**each, "next_at": each["next_at"] if each["state"] == tables.WAITING else None})
        for each in row["deliveries"]
    ]
    return _shaped(Told, {**row, "deliveries": deliveries})


async def list_(request: ApiRequest) -> ToldList:
    """What people were told."""
    asked: ListTold = request.params
    rows = await request.host.database.read(
        lambda db: tables.rows(
            db,
            of_station=asked.station,
            rule=asked.rule,
            state=asked.state,
            unacknowledged=asked.unacknowledged,
            before=int(asked.cursor, 16) if asked.cursor is not None else None,
            limit=asked.limit + 1,
        )
    )
    items = [shown(row) for row in rows[: asked.limit]]
    return ToldList(items=items, next=f"{items[-1].id:x}" if len(rows) > asked.limit else None)


async def show(request: ApiRequest) -> Told:
    """One notification; raises ``NotFound``."""
    return shown(await request.host.database.read(lambda db: tables.get(db, request.params.notification)))


async def acknowledge(request: ApiRequest, ctx: Context) -> Told:
    """Note who has taken notice; the first one stays."""
    number, by, at = request.params.notification, request.caller, ctx.clock.now()
    return shown(await ctx.journal.write(lambda db: tables.acknowledge(db, number, by, at)))


async def say(request: ApiRequest, ctx: Context) -> Answer:
    """Say something; raises ``NotFound`` for a notifier that there is not."""
    new: Say = request.body
    said = Notification(
        new.text, new.title, new.priority, new.lifetime_s, new.key, new.station, kind="said", at=ctx.clock.now()
    )
    number = await desk_of(ctx.host).say(said, new.to)
    row = await ctx.host.database.read(lambda db: tables.get(db, number))
    return Answer(shown(row), 202, {"Location": f"/api/v1{PATH}/notifications/{number}"})


async def rules(_request: ApiRequest, ctx: Context) -> RuleList:
    """The rules that hold."""
    desk = desk_of(ctx.host)
    problems = [f"rule {rule}: there is no notifier {name}. {cure}" for rule, name, cure in desk.strangers()]
    return RuleList(
        items=list(desk.settings.in_force),
        written=desk.settings.rules is not None,
        suppressed=await ctx.host.database.read(tables.suppressed),
        problems=problems,
    )


async def notifiers(_request: ApiRequest, ctx: Context) -> NotifierList:
    """Every notifier, and how it does."""
    desk = desk_of(ctx.host)
    counts = await ctx.host.database.read(tables.counts)
    gone = sorted(name for name, many in counts.items() if name not in desk.lanes and many.get(tables.WAITING))
    items = [_state(desk, name, counts.get(name, {})) for name in [*sorted(desk.lanes), *gone]]
    return NotifierList(items=items)


def _state(desk: Desk, name: str, counts: Mapping[str, int]) -> NotifierState:
    lane = desk.lanes.get(name)
    at_work = lane is not None and lane.plugin.at_work
    state = "gone" if lane is None else "ready" if at_work and lane.error is None else "in trouble"
    error = lane.error if lane is not None else "nobody brings it now"
    if lane is not None and not at_work:
        error = error or f"plugin {lane.plugin.name} is {lane.plugin.state}"
    return NotifierState(
        name=name,
        plugin=lane.plugin.full_name if lane is not None else "",
        summary=lane.notifier.summary if lane is not None else "",
        state=state,
        error=error,
        paused_until=lane.paused_until if lane is not None else None,
        waiting=counts.get(tables.WAITING, 0),
        sent=counts.get(tables.SENT, 0),
        expired=counts.get(tables.EXPIRED, 0),
        replaced=counts.get(tables.REPLACED, 0),
        given_up=counts.get(tables.GIVEN_UP, 0),
    )


async def test(request: ApiRequest, ctx: Context) -> Tried:
    """Give a notifier a notification at once, and say how that went; if it took it, what waits for it follows."""
    lane = desk_of(ctx.host).lane(request.params.name)
    said = Notification("If you can read this, it works.", "A test", lifetime_s=60.0, kind="test", at=ctx.clock.now())
    await ctx.call(lane.plugin, lane.notifier.handler, said, within_s=lane.notifier.within_s)
    lane.hurry()
    return Tried(notifier=lane.name)


ONE: Final = f"{PATH}/notifications/{{notification}}"
ROUTES: Final = (
    Route(
        "GET",
        f"{PATH}/notifications",
        list_,
        "viewer",
        "List what people were told, the latest first",
        params=ListTold,
        answer=ToldList,
        topic="notifications",
    ),
    Route(
        "POST",
        f"{PATH}/notifications",
        say,
        "operator",
        "Say something to people",
        "It is kept, and every notifier has it soon; one that is not there now gets it later, unless it expires.",
        body=Say,
        answer=Told,
        statuses={202: "It is kept, and is on its way"},
        topic="notifications",
    ),
    Route("GET", ONE, show, "viewer", "Show a notification", params=OfNotification, answer=Told, topic="notifications"),
    Route(
        "POST",
        f"{ONE}/acknowledge",
        acknowledge,
        "operator",
        "Take notice of a notification",
        "The first who does is kept.",
        params=OfNotification,
        answer=Told,
        topic="notifications",
    ),
    Route("GET", f"{PATH}/rules", rules, "viewer", "List the rules", answer=RuleList, topic="notifications"),
    Route(
        "GET",
        f"{PATH}/notifiers",
        notifiers,
        "viewer",
        "List the notifiers",
        answer=NotifierList,
        topic="notifications",
    ),
    Route(
        "POST",
        f"{PATH}/notifiers/{{name}}/test",
        test,
        "operator",
        "Give a notifier a test, at once",
        "The answer says how that went: 503 where the notifier cannot now, 409 where it refuses.",
        params=OfNotifier,
        answer=Tried,
        conflicts=True,
        topic="notifications",
    ),
)
