"""The plugin ``rfid``: settings, routes, a command, and the readers, open while the node runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from arthexis import Command, Config, Context, Route, Service, hookimpl
from arthexis_rfid import routes
from arthexis_rfid.routes import Desk
from arthexis_rfid.scanning import Scanning
from arthexis_rfid.settings import Settings


@hookimpl
def register_config() -> Iterable[Config]:
    """Declare the settings."""
    yield Config(Settings)


@hookimpl
def register_services() -> Iterable[Service]:
    """Let the routes find the readers of their node."""
    yield Service(Desk, Desk())


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer readers, scans and modes."""
    yield from routes.ROUTES


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis rfid``."""
    yield Command("rfid", "arthexis_rfid.commands:rfid", "Card readers and cards")


@hookimpl
@asynccontextmanager
async def lifespan(ctx: Context) -> AsyncIterator[None]:
    """Watch the readers; one that is not there is looked for by itself, and keeps nothing else from working."""
    scanning, desk = Scanning(ctx), routes.desk_of(ctx.host)
    scanning.open()
    desk.scanning = scanning
    try:
        yield
    finally:
        desk.scanning = None
        await scanning.close()
