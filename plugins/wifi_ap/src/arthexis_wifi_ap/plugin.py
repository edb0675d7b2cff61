"""The plugin ``wifi_ap``: settings, tables, routes, a command, a job, and the access point that its lifespan holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from arthexis import Command, Config, Context, Job, Route, Service, Tables, hookimpl
from arthexis_wifi_ap import guests, routes
from arthexis_wifi_ap.access_point import AccessPoint
from arthexis_wifi_ap.settings import Settings
from arthexis_wifi_ap.tables import metadata

TIDY_EVERY_S = 3600.0


@hookimpl
def register_config() -> Iterable[Config]:
    """Declare the settings."""
    yield Config(Settings)


@hookimpl
def register_tables() -> Iterable[Tables]:
    """Bring consents and the texts that they are about."""
    yield Tables(metadata, "arthexis_wifi_ap:migrations")


@hookimpl
def register_services() -> Iterable[Service]:
    """Let the routes find the access point of their node."""
    yield Service(routes.Held, routes.Held())


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Forget old consents."""
    yield Job("wifi_ap.tidy", guests.tidy, every_s=TIDY_EVERY_S)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer the access point over HTTP."""
    yield from routes.ROUTES


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis wifi``."""
    yield Command("wifi", "arthexis_wifi_ap.command:wifi", "The Wi-Fi access point: plan, apply, clients, remove")


@hookimpl
@asynccontextmanager
async def lifespan(ctx: Context) -> AsyncIterator[None]:
    """Take up what was applied before, watch it, and serve its portal."""
    access_point = AccessPoint(ctx)
    held = ctx.host.service(routes.Held)
    try:
        await access_point.open()
        watching = ctx.spawn(access_point.watch(), "watch")
        if held is not None:
            held.access_point = access_point
        yield
        watching.cancel()
    finally:
        if held is not None:
            held.access_point = None
        await access_point.close()
