"""The plugin ``webhooks``: tables, settings, a durable reader of events, two jobs, routes and a command."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Command, Config, Job, Route, Subscriber, Tables, hookimpl
from arthexis_webhooks import routes, sending
from arthexis_webhooks.settings import Settings
from arthexis_webhooks.tables import metadata

TIDY_EVERY_S = 600.0


@hookimpl
def register_config() -> Iterable[Config]:
    """Offer the settings."""
    yield Config(Settings)


@hookimpl
def register_tables() -> Iterable[Tables]:
    """Bring subscriptions and deliveries."""
    yield Tables(metadata, "arthexis_webhooks:migrations")


@hookimpl
def register_subscribers() -> Iterable[Subscriber]:
    """Read every event durably."""
    yield Subscriber("webhooks", frozenset({"*"}), sending.take)


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Deliver, and keep the log within its bounds."""
    yield Job(sending.DELIVER, sending.deliver, timeout_s=sending.ROUND_S + 60)
    yield Job(sending.TIDY, sending.tidy, every_s=TIDY_EVERY_S)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer subscriptions over HTTP."""
    yield from routes.ROUTES


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis webhooks``."""
    yield Command(
        "webhooks", "arthexis_webhooks.command:webhooks", "Events delivered over HTTP: list, add, log, replay"
    )
