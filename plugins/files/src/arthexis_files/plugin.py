"""The plugin ``files``: its settings, tables, routes, commands, job and services, put together by its lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from arthexis import (
    Command,
    Config,
    Context,
    Event,
    FileStore,
    Job,
    Route,
    Service,
    Subscriber,
    Tables,
    hookimpl,
)
from arthexis_files import api
from arthexis_files.node import Files, Shelf, files_of, shelf_of
from arthexis_files.rollout import JOB
from arthexis_files.settings import Settings
from arthexis_files.tables import metadata

EVENTS = frozenset({"operation.finished", "firmware.status", "diagnostics.status", "station.booted"})
ROLL_OUT_S = 3_600.0


@hookimpl
def register_config() -> Iterable[Config]:
    """Declare the settings."""
    yield Config(Settings)


@hookimpl
def register_tables() -> Iterable[Tables]:
    """Bring the tables of this distribution."""
    yield Tables(metadata, "arthexis_files:migrations")


@hookimpl
def register_services() -> Iterable[Service]:
    """Keep files for other plugins."""
    yield Service(FileStore, Shelf())


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer files, deployments and, to stations, what their tokens are for."""
    yield from api.ROUTES


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis files``, ``arthexis deploy`` and ``arthexis diagnostics``."""
    yield Command("files", "arthexis_files.commands:files", "Firmware and diagnostics files")
    yield Command("deploy", "arthexis_files.commands:deploy", "Roll files out to stations, wave by wave")
    yield Command("diagnostics", "arthexis_files.commands:diagnostics", "Let stations bring their diagnostics")


async def roll_out(ctx: Context, args: dict[str, Any]) -> None:
    """Go on with a deployment."""
    await files_of(ctx.host).roll_outs.run(args["deployment"])


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Roll out."""
    yield Job(JOB, roll_out, retries=20, timeout_s=ROLL_OUT_S)


async def heard(event: Event, ctx: Context) -> None:
    """Something came of a deployment."""
    await files_of(ctx.host).roll_outs.heard(event)


@hookimpl
def register_subscribers() -> Iterable[Subscriber]:
    """Follow what stations notify, through restarts of either side."""
    yield Subscriber("files.deployments", EVENTS, heard)


@hookimpl
@asynccontextmanager
async def lifespan(ctx: Context) -> AsyncIterator[None]:
    """Open the store, and FTP where it is on."""
    files, shelf = Files(ctx), shelf_of(ctx.host)
    await files.open()
    async with AsyncExitStack() as opened:
        if files.settings.ftp != "off":
            from arthexis_files import ftp

            files.roll_outs.ftp_port = await opened.enter_async_context(ftp.serving(files.transfers))
        shelf.files = files
        opened.callback(setattr, shelf, "files", None)
        yield
