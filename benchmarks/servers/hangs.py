"""A plugin that hangs in each of its hooks, but only for the station whose name says which: ``HANG-decide_boot``.

``benchmarks.hanging`` installs it under the name ``hangs``; a node that does not name it never runs it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from arthexis import Action, DataTransfer, Diagnosis, Job, Operation, Route, Subscriber, hookimpl

PREFIX = "HANG-"
LONG_S = 3_600.0
PATIENCE_S = 0.7
EVENTS = (
    "on_booted",
    "on_status_changed",
    "on_transaction_started",
    "on_transaction_metered",
    "on_transaction_stopped",
    "on_operation_finished",
    "on_reservation_changed",
    "on_message",
)
"""Hooks that are told an event, of which they are all the same."""


async def _hang(hook: str, station: str | None) -> None:
    if station == PREFIX + hook:
        await asyncio.sleep(LONG_S)


def _listener(hook: str) -> Any:
    """The implementation of a hook that is told an event."""

    async def listen(event: Any) -> None:
        await _hang(hook, event.station)

    listen.__name__ = listen.__qualname__ = hook
    return hookimpl(listen)


globals().update({hook: _listener(hook) for hook in EVENTS})


@hookimpl
async def decide_connection(request: Any) -> None:
    """Hang before a socket opens."""
    await _hang("decide_connection", request.station_id)


@hookimpl
async def decide_boot(station: Any, boot: Any) -> None:
    """Hang over a boot."""
    await _hang("decide_boot", station.id)


@hookimpl
async def decide_authorization(station: Any, id_tag: str, starting: bool) -> None:
    """Hang over a tag."""
    await _hang("decide_authorization", station.id)


@hookimpl
async def decide_connector(station: Any, id_tag: str, free: Any) -> None:
    """Hang over a reservation."""
    await _hang("decide_connector", station.id)


@hookimpl
async def on_connected(station: Any) -> None:
    """Hang when a station comes."""
    await _hang("on_connected", station.id)


@hookimpl
async def on_disconnected(station: Any, reason: str) -> None:
    """Hang when a station goes."""
    await _hang("on_disconnected", station.id)


@hookimpl
async def on_plugin_changed(plugin: Any) -> None:
    """Hang whenever a plugin changes, so from the start on."""
    await asyncio.sleep(LONG_S)


async def _action(station: Any, call: Any) -> Any:
    await _hang("action", station.id)
    return call.answer()


async def _transfer(station: Any, data: Any) -> None:
    await _hang("data transfer", station.id)


async def _subscriber(event: Any) -> None:
    await _hang("subscriber", event.station)


async def _prepare(asked: Any) -> None:
    await _hang("operation", asked.station)


async def _job(ctx: Any, args: Any) -> None:
    await asyncio.sleep(LONG_S)


async def _put(request: Any) -> dict[str, int]:
    host = request.host
    return {"job": await host.journal.write(lambda db: host.jobs.put(db, "hangs.job"))}


async def _route(request: Any) -> None:
    await asyncio.sleep(LONG_S)


def _look(_db: Any, station: Any) -> Iterable[Any]:
    if station.id == PREFIX + "diagnosis":
        time.sleep(10 * PATIENCE_S)
    return ()


@hookimpl
def register_actions() -> Iterable[Action]:
    """Hang over a firmware status."""
    yield Action("FirmwareStatusNotification", _action)


@hookimpl
def register_data_transfers() -> Iterable[DataTransfer]:
    """Hang over a vendor's message."""
    yield DataTransfer("com.hangs", "Ping", _transfer)


@hookimpl
def register_subscribers() -> Iterable[Subscriber]:
    """Hang over a stored event."""
    yield Subscriber("hangs.subscriber", frozenset({"station.booted"}), _subscriber)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Hang before an operation is queued."""
    yield Operation("ClearCache", "Hang", prepare=_prepare)


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Hang in a job."""
    yield Job("hangs.job", _job, timeout_s=PATIENCE_S, retries=0)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Hang in a route, and put a job."""
    yield Route("GET", "/hangs/route", _route, "viewer", timeout_s=PATIENCE_S)
    yield Route("POST", "/hangs/job", _put, "viewer")


@hookimpl
def register_diagnoses() -> Iterable[Diagnosis]:
    """Hang, and not in asyncio, when somebody asks why."""
    yield Diagnosis("hangs.diagnosis", _look)


@hookimpl
@asynccontextmanager
async def lifespan(ctx: Any) -> AsyncIterator[None]:
    """Hang when it is closed."""
    yield
    await asyncio.sleep(LONG_S)
