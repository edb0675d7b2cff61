"""Webhooks over HTTP: subscribe, look, switch, replay."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from arthexis import Answer, ApiRequest, Connection, Context, Route
from arthexis_webhooks import sending, tables
from arthexis_webhooks.settings import Settings

S = TypeVar("S", bound=Struct)
PATH: Final = "/webhooks"
SECRET_BYTES: Final = 24

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="The webhook's name")]
Url = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00]*$", description="Where events are sent")]
Kind = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?$",
        max_length=100,
        description="A kind of event; `transaction.*` is every kind that begins so",
    ),
]
Identity = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00]*$", description="A station")]
Secret = Annotated[
    str,
    Meta(
        min_length=16, max_length=200, pattern=r"^[!-~]+$", description="Key of the signature; made by us if left out"
    ),
]


class NewWebhook(Struct, kw_only=True, forbid_unknown_fields=True):
    """Subscribe a URL to events."""

    name: Name
    url: Url
    kinds: Annotated[list[Kind], Meta(max_length=100, description="Which; none: all")] = []
    stations: Annotated[list[Identity], Meta(max_length=1000, description="Of which stations; none: of all")] = []
    secret: Secret | None = None


class Webhook(Struct, kw_only=True):
    """A subscription. ``secret`` is shown only in the answer that made it."""

    name: str
    url: str
    kinds: list[str]
    stations: list[str]
    active: bool
    reason: str | None
    failures: int
    failing_since: datetime | None
    last_error: str | None
    waiting: int
    dropped: int
    created_at: datetime
    secret: str | None = None


class Webhooks(Struct, kw_only=True):
    """Every subscription."""

    items: list[Webhook]
    next: None = None


class Delivery(Struct, kw_only=True):
    """One event for one subscription: ``state`` is waiting, delivered or given up."""

    id: int
    event_id: int
    kind: str
    station: str | None
    state: str
    tries: int
    status: int | None
    error: str | None
    created_at: datetime
    delivered_at: datetime | None
    body: str


class Deliveries(Struct, kw_only=True):
    """Part of the log, the latest first; ``next`` is the cursor of what follows."""

    items: list[Delivery]
    next: str | None


class OfWebhook(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which webhook."""

    name: Name


class OfDelivery(OfWebhook, kw_only=True):
    """Which delivery."""

    delivery: Annotated[int, Meta(ge=1, le=2**31 - 1, description="The delivery's number")]


class ListDeliveries(OfWebhook, kw_only=True):
    """Which part of the log."""

    state: Annotated[str, Meta(pattern="^(waiting|delivered|given up)$", description="Only in this state")] | None = (
        None
    )
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most")] = 100
    cursor: Annotated[str, Meta(pattern="^[0-9a-f]{1,7}$", description="`next` of the answer before")] | None = None


def shown(row: dict[str, Any], secret: str | None = None) -> Webhook:
    """A row without its secret."""
    return _shaped(Webhook, {**row, "secret": secret})


def _shaped(kind: type[S], row: Mapping[str, Any]) -> S:
    return msgspec.convert({name: row[name] for name in kind.__struct_fields__}, kind)


async def list_(request: ApiRequest) -> Webhooks:
    """Every webhook."""
    return Webhooks(items=[shown(row) for row in await request.host.database.read(tables.subscriptions)])


async def show(request: ApiRequest) -> Webhook:
    """One webhook; raises ``NotFound``."""
    return shown(await request.host.database.read(lambda db: tables.get(db, request.params.name)))


async def add(request: ApiRequest, ctx: Context) -> Answer:
    """Subscribe; the secret is in this answer and in no other."""
    new: NewWebhook = request.body
    settings: Settings = ctx.config
    settings.check(new.url)
    secret = new.secret or secrets.token_urlsafe(SECRET_BYTES)
    at = ctx.clock.now()
    values = {"name": new.name, "url": new.url, "kinds": new.kinds, "stations": new.stations, "secret": secret}
    row = await ctx.journal.write(lambda db: tables.add(db, values, at))
    return Answer(shown(row, secret), 201, {"Location": f"/api/v1{PATH}/{new.name}"})


async def remove(request: ApiRequest) -> Answer:
    """Forget a webhook and its log."""
    await request.host.journal.write(lambda db: tables.remove(db, request.params.name))
    return Answer(status=204)


async def enable(request: ApiRequest, ctx: Context) -> Webhook:
    """Switch a webhook on again; what waits is delivered."""

    def store(db: Connection) -> dict[str, Any]:
        row = tables.switch(db, request.params.name, active=True)
        sending.begin(ctx, db, row["id"])
        return row

    return shown(await ctx.journal.write(store))


async def disable(request: ApiRequest) -> Webhook:
    """Switch a webhook off; what happens meanwhile waits."""
    name, reason = request.params.name, f"switched off by {request.caller}"
    return shown(await request.host.journal.write(lambda db: tables.switch(db, name, active=False, reason=reason)))


async def deliveries(request: ApiRequest) -> Deliveries:
    """The log of a webhook."""
    asked: ListDeliveries = request.params
    before = int(asked.cursor, 16) if asked.cursor is not None else None
    rows = await request.host.database.read(
        lambda db: tables.deliveries(db, asked.name, state=asked.state, before=before, limit=asked.limit + 1)
    )
    items = [_shaped(Delivery, row) for row in rows[: asked.limit]]
    return Deliveries(items=items, next=f"{items[-1].id:x}" if len(rows) > asked.limit else None)


async def replay(request: ApiRequest, ctx: Context) -> Answer:
    """Deliver an event once more, the same to the byte."""
    asked: OfDelivery = request.params

    def store(db: Connection) -> dict[str, Any]:
        row = tables.again(db, asked.name, asked.delivery)
        sending.begin(ctx, db, row["subscription_id"])
        return row

    return Answer(_shaped(Delivery, await ctx.journal.write(store)), 202)


ONE = f"{PATH}/{{name}}"
LOG = f"{ONE}/deliveries"
ROUTES: Final = (
    Route("GET", PATH, list_, "operator", "List webhooks", answer=Webhooks, topic="webhooks"),
    Route(
        "POST",
        PATH,
        add,
        "administrator",
        "Subscribe a URL to events",
        "The secret is shown in this answer only. Each delivery carries `Arthexis-Signature`, made with it.",
        body=NewWebhook,
        answer=Webhook,
        statuses={201: "Added"},
        conflicts=True,
        topic="webhooks",
    ),
    Route("GET", ONE, show, "operator", "Show a webhook", params=OfWebhook, answer=Webhook, topic="webhooks"),
    Route(
        "DELETE",
        ONE,
        remove,
        "administrator",
        "Forget a webhook and its log",
        params=OfWebhook,
        statuses={204: "Forgotten"},
        topic="webhooks",
    ),
    Route(
        "POST",
        f"{ONE}/enable",
        enable,
        "administrator",
        "Switch a webhook on again",
        params=OfWebhook,
        answer=Webhook,
        topic="webhooks",
    ),
    Route(
        "POST",
        f"{ONE}/disable",
        disable,
        "administrator",
        "Switch a webhook off",
        "What happens meanwhile waits, as far as `most_waiting` allows.",
        params=OfWebhook,
        answer=Webhook,
        topic="webhooks",
    ),
    Route(
        "GET",
        LOG,
        deliveries,
        "operator",
        "List a webhook's deliveries, the latest first",
        params=ListDeliveries,
        answer=Deliveries,
        topic="webhooks",
    ),
    Route(
        "POST",
        f"{LOG}/{{delivery}}/replay",
        replay,
        "operator",
        "Deliver an event once more",
        params=OfDelivery,
        answer=Delivery,
        statuses={202: "It waits to be delivered"},
        topic="webhooks",
    ),
)
