"""The plugin ``notify``: settings, tables, a durable reader of events, its notifiers, a service, routes, a command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from arthexis import (
    Command,
    Config,
    Context,
    Event,
    Job,
    Notifications,
    Notifier,
    Route,
    Service,
    Subscriber,
    Tables,
    hookimpl,
)
from arthexis_notify import notifiers, routes
from arthexis_notify.desk import Counter, Desk, counter_of, desk_of
from arthexis_notify.settings import Settings
from arthexis_notify.tables import metadata
from arthexis_notify.watching import Watch

TIDY_EVERY_S = 600.0


@hookimpl
def register_config() -> Iterable[Config]:
    """Declare the settings, rules among them."""
    yield Config(Settings)


@hookimpl
def register_tables() -> Iterable[Tables]:
    """Bring notifications, their deliveries, and rates."""
    yield Tables(metadata, "arthexis_notify:migrations")


@hookimpl
def register_services() -> Iterable[Service]:
    """Take notifications of other plugins."""
    yield Service(Notifications, Counter())


@hookimpl
def register_notifiers() -> Iterable[Notifier]:
    """Bring log, mail and webhook."""
    yield from notifiers.notifiers()


async def take(event: Event, ctx: Context) -> None:
    """See whether an event is one that somebody is to be told of."""
    await desk_of(ctx.host).take(event)


@hookimpl
def register_subscribers() -> Iterable[Subscriber]:
    """Read durably what the rules are about."""
    yield Subscriber("notify", lambda settings: settings.kinds, take)


async def tidy(ctx: Context, _args: dict[str, Any]) -> None:
    """Keep the tables within their bounds."""
    await desk_of(ctx.host).tidy()


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Forget what is old, every ten minutes."""
    yield Job("notify.tidy", tidy, every_s=TIDY_EVERY_S)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer notifications over HTTP."""
    yield from routes.ROUTES


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis notify``."""
    yield Command("notify", "arthexis_notify.command:notify", "What people are told: rules, list, send, test, status")


@hookimpl
@asynccontextmanager
async def lifespan(ctx: Context) -> AsyncIterator[None]:
    """Open the desk, and begin to watch what the node sees."""
    desk, counter = Desk(ctx), counter_of(ctx.host)
    desk.open()
    ctx.spawn(Watch(ctx).run(), "what the node sees")
    if counter is not None:
        counter.desk = desk
    yield
    if counter is not None:
        counter.desk = None
