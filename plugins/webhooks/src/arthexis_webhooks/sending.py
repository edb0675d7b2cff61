"""Delivering: one POST for each event, signed, in order for each station, tried again after growing pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any, Final

from aiohttp import ClientSession

from arthexis import Connection, Context, DomainError, Event, outbound
from arthexis_webhooks import tables
from arthexis_webhooks.settings import Settings

DELIVER: Final = "webhooks.deliver"
TIDY: Final = "webhooks.tidy"
LANES: Final = 8
CHUNK: Final = 200
ROUND_S: Final = 40.0
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 3600.0
REFUSED_TRIES: Final = 5
ABOUT_THE_EVENT: Final = frozenset({400, 409, 413, 415, 422})
"""Statuses by which a receiver refuses one event and not us: tried a few times only."""


async def take(event: Event, ctx: Context) -> None:
    """Keep an event for every subscription that is about it, and have it delivered."""
    settings: Settings = ctx.config
    wanted = [row for row in await ctx.host.database.read(tables.subscriptions) if tables.wants(row, event)]
    if not wanted:
        return
    at = ctx.clock.now()

    def store(db: Connection) -> None:
        for row in wanted:
            now = tables.by_number(db, row["id"])
            kept = now is not None and tables.queue(db, now, event, at, settings.most_waiting)
            if now is not None and kept and now["active"] and not now["failures"]:
                begin(ctx, db, now["id"])

    await ctx.journal.write(store)


def begin(ctx: Context, db: Connection, subscription: int, after_s: float = 0.0) -> None:
    """Have a subscription's deliveries made, once this is committed."""
    run_at = ctx.clock.now() + timedelta(seconds=after_s)
    ctx.host.jobs.put(db, DELIVER, {"subscription": subscription}, run_at=run_at, key=str(subscription))


async def deliver(ctx: Context, args: Mapping[str, Any]) -> None:
    """A round of deliveries for one subscription: it ends when nothing waits, something fails, or it takes long."""
    settings: Settings = ctx.config
    number: int = args["subscription"]
    until = ctx.host.loop.time() + ROUND_S
    allowed = outbound.networks(settings.allowed_networks)
    async with outbound.session(allowed, timeout_s=settings.timeout_s, at_once=LANES) as session:
        while True:
            row = await ctx.host.database.read(lambda db: tables.by_number(db, number))
            if row is None or not row["active"]:
                return
            found = await ctx.host.database.read(lambda db: tables.waiting(db, number, CHUNK))
            if not found:
                return
            errors = await _lanes(ctx, session, row, found)
            late = ctx.host.loop.time() > until
            if await _again(ctx, row, errors, late=late):
                return


async def _lanes(
    ctx: Context, session: ClientSession, row: Mapping[str, Any], found: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Deliver to several at once, what is of one station one after the other; what went wrong."""
    by_station = sorted(found, key=lambda each: (each["station"] or "", each["id"]))
    gate = asyncio.Semaphore(LANES)

    async def lane(waiting: list[Mapping[str, Any]]) -> str | None:
        async with gate:
            for each in waiting:
                error = await _one(ctx, session, row, each)
                if error is not None:
                    return error
        return None

    lanes = [lane(list(group)) for _, group in groupby(by_station, key=lambda each: each["station"] or "")]
    return [error for error in await asyncio.gather(*lanes) if error is not None]


async def _one(ctx: Context, session: ClientSession, row: Mapping[str, Any], each: Mapping[str, Any]) -> str | None:
    """Deliver one, and note how that went; what was wrong, where the ones behind it must wait."""
    settings: Settings = ctx.config
    went = await post(session, row, each, int(ctx.clock.now().timestamp()), settings)
    most = min(settings.tries, REFUSED_TRIES) if went.status in ABOUT_THE_EVENT else settings.tries
    given_up = went.error is not None and each["tries"] + 1 >= most
    state = tables.DELIVERED if went.error is None else tables.GIVEN_UP if given_up else tables.WAITING
    at = ctx.clock.now()
    await ctx.journal.write(
        lambda db: tables.tried(db, each["id"], state=state, status=went.status, error=went.error, at=at)
    )
    return went.error


async def post(
    session: ClientSession, row: Mapping[str, Any], each: Mapping[str, Any], timestamp: int, settings: Settings
) -> outbound.Try:
    """Send one delivery, signed."""
    body = each["body"].encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Arthexis-Webhooks",
        "Arthexis-Delivery": str(each["id"]),
        "Arthexis-Event": each["kind"],
        "Arthexis-Timestamp": str(timestamp),
        "Arthexis-Signature": outbound.signature(row["secret"], timestamp, body),
    }
    try:
        settings.check(row["url"])
    except DomainError as refused:
        return outbound.Try(None, refused.problem)
    return await outbound.post(session, row["url"], body, headers)


async def _again(ctx: Context, row: Mapping[str, Any], errors: list[str], *, late: bool) -> bool:
    """Note how a round went; True if it is over, to be gone on with later."""
    settings: Settings = ctx.config
    at = ctx.clock.now()
    off_before = at - timedelta(hours=settings.off_after_hours)

    def store(db: Connection) -> None:
        failures = tables.record(db, row["id"], error=errors[0] if errors else None, at=at, off_before=off_before)
        if failures:
            begin(ctx, db, row["id"], min(FIRST_PAUSE_S * 2 ** min(failures - 1, 20), LONGEST_PAUSE_S))
        elif late:
            begin(ctx, db, row["id"])

    await ctx.journal.write(store)
    return bool(errors) or late


async def tidy(ctx: Context, _args: Mapping[str, Any]) -> None:
    """Forget old deliveries, and begin again what waits without anybody looking after it."""
    settings: Settings = ctx.config
    before = ctx.clock.now() - timedelta(days=settings.keep_days)
    await ctx.journal.write(lambda db: tables.forget(db, before))
    for row in await ctx.host.database.read(tables.subscriptions):
        if row["active"] and row["waiting"] and not row["failures"]:
            await ctx.journal.write(partial(_begin, ctx, row["id"]))


def _begin(ctx: Context, subscription: int, db: Connection) -> None:
    begin(ctx, db, subscription)
