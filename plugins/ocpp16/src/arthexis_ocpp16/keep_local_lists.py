"""Keeping stations' local authorization lists up to date: over HTTP, by command, and by itself where that is set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from arthexis import (
    ApiRequest,
    Command,
    Config,
    Connection,
    Context,
    Diagnosis,
    Event,
    Finding,
    Job,
    Route,
    Station,
    Subscriber,
    hookimpl,
    stations,
)
from arthexis_ocpp16 import local_list
from arthexis_ocpp16.local_list import NOT_SUPPORTED, Held, Info
from arthexis_ocpp16.local_list_sync import AT_ONCE, FAILED, IN_SYNC, Plan, plan, sync

ONE: Final = "ocpp16.local_list"
CHECK: Final = "ocpp16.local_lists"
CHANGED: Final = "ocpp16.local_lists_changed"
CHECK_S: Final = 300.0
LONGEST_S: Final = 3600.0
REST: Final = timedelta(hours=1)
"""After a failure a station is left alone for so long, unless it boots or somebody asks."""

TOPIC: Final = "local lists"
Identity = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[^\x00]*$", description="A station's identity")]


class Settings(Struct, forbid_unknown_fields=True):
    """Whether lists are kept up to date by themselves: after a boot, after tags changed, and looked at regularly."""

    sync: Annotated[bool, Meta(description="Keep the stations' lists up to date without being asked")] = False
    debounce_s: Annotated[float, Meta(ge=0, le=3600, description="Seconds of peace after tags changed")] = 10.0
    grace_s: Annotated[float, Meta(ge=0, le=86_400, description="Seconds between a boot and its list")] = 30.0
    entries_at_once: Annotated[int, Meta(ge=1, le=10_000, description="Entries in one message at most")] = AT_ONCE


class OfStation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which station."""

    station: Identity


class SyncLocalList(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to synchronise: ``full`` sends the whole list whatever the station says that it holds."""

    full: bool = False


class LocalListEntry(Struct, kw_only=True):
    """A tag: ``held`` by the station, or what is to become of it: ``to be sent``, ``changed``, ``to be removed``."""

    id_tag: str
    state: str
    expires_at: str | None
    parent_id_tag: str | None


class LocalList(Struct, kw_only=True):
    """What a station should hold, and what it has accepted of that. OCPP 1.6 cannot read entries back.

    ``version`` is what it accepted last (0: nothing), ``told_version`` what it told last (-1: it has no list, 0: an
    empty one). ``left_out`` counts tags for which its list is too short.
    """

    station: str
    version: int
    told_version: int | None
    in_sync: bool
    synced: str | None
    said: str | None
    synced_at: datetime | None
    left_out: int
    items: list[LocalListEntry]


class LocalListSynced(Struct, kw_only=True):
    """How a synchronisation ended: in sync, not supported, failed or unreachable."""

    station: str
    state: str
    sent: int
    said: str | None


async def show(request: ApiRequest) -> LocalList:
    """What a station should hold."""

    def look(db: Connection) -> LocalList:
        found = stations.required(db, request.params.station)
        planned = plan(db, request.host, found.row)
        held = planned.held
        return LocalList(
            station=found.identity,
            version=held.version,
            told_version=held.told_version,
            in_sync=_in_sync(planned),
            synced=held.synced,
            said=held.said,
            synced_at=held.synced_at,
            left_out=planned.left_out,
            items=list(_entries(planned.now, planned.then)),
        )

    return await request.host.database.read(look)


def _entries(now: Mapping[str, Info], then: Mapping[str, Info]) -> Iterator[LocalListEntry]:
    for tag in sorted({*now, *then}):
        info = then.get(tag) or now[tag]
        state = "held" if now.get(tag) == then.get(tag) else "changed" if tag in now else "to be sent"
        yield LocalListEntry(
            id_tag=tag,
            state=state if tag in then else "to be removed",
            expires_at=info.get("expiryDate"),
            parent_id_tag=info.get("parentIdTag"),
        )


def _in_sync(planned: Plan) -> bool:
    """Whether the station holds what it should, as far as it has told."""
    empty = planned.held.told_version == local_list.EMPTY and not planned.then
    return empty or (planned.held.known and not planned.difference)


async def sync_now(request: ApiRequest, ctx: Context) -> LocalListSynced:
    """Bring a station's list up to date."""
    station, settings = request.params.station, ctx.config
    ended = await sync(
        request.host, station, full=request.body.full, at_once=settings.entries_at_once, by=request.caller
    )
    return LocalListSynced(station=station, state=ended.state, sent=ended.sent, said=ended.said)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer a station's local list."""
    one = "/stations/{station}/local-list"
    yield Route(
        "GET",
        one,
        show,
        "viewer",
        "Show whom a station should serve by itself",
        params=OfStation,
        answer=LocalList,
        topic=TOPIC,
    )
    yield Route(
        "POST",
        f"{one}/sync",
        sync_now,
        "operator",
        "Bring a station's local list up to date",
        "The answer comes when the station has taken it, or has not.",
        params=OfStation,
        body=SyncLocalList,
        answer=LocalListSynced,
        conflicts=True,
        topic=TOPIC,
    )


# ---------------------------------------------------------------------- by itself


async def happened(event: Event, ctx: Context) -> None:
    """A station booted, or tags changed: have lists looked at, after a while in which more may come."""
    settings: Settings = ctx.config
    if not settings.sync:
        return
    booted = event.kind == "station.booted"
    if booted and event.data["registration"] != "Accepted":
        return
    pause_s = settings.grace_s if booted else settings.debounce_s
    name, key = (ONE, str(event.station)) if booted else (CHANGED, "tags")
    args = {"station": event.station} if booted else {}
    run_at = ctx.clock.now() + timedelta(seconds=pause_s)
    await ctx.journal.write(lambda db: ctx.host.jobs.put(db, name, args, run_at=run_at, key=key))


async def one(ctx: Context, args: Mapping[str, Any]) -> None:
    """Bring one station's list up to date."""
    settings: Settings = ctx.config
    if settings.sync:
        ended = await sync(ctx.host, args["station"], at_once=settings.entries_at_once)
        if ended.said is not None:
            ctx.log.warning("the local list of %s: %s: %s", args["station"], ended.state, ended.said)


async def check(ctx: Context, _args: Mapping[str, Any]) -> None:
    """Have every connected station brought up to date that is not, as far as is known."""
    settings: Settings = ctx.config
    if not settings.sync:
        return
    here = [link.station for link in ctx.host.links.values() if link.station.known]
    now = ctx.clock.now()

    def put(db: Connection) -> None:
        for station in here:
            planned = plan(db, ctx.host, station.row)
            if not _in_sync(planned) and not _rests(planned.held, now):
                ctx.host.jobs.put(db, ONE, {"station": station.id}, key=station.id)

    await ctx.journal.write(put, slow=True)


def _rests(held: Held, now: datetime) -> bool:
    failed = held.synced == FAILED and held.synced_at is not None and held.synced_at > now - REST
    return failed or held.told_version == NOT_SUPPORTED


def look(db: Connection, station: Station) -> Iterable[Finding]:
    """What went wrong with a station's list."""
    held = local_list.held(db, station.row)
    if held.synced not in {None, IN_SYNC}:
        wrong = held.synced == FAILED
        command = f"arthexis local-list sync {station.id} --full" if wrong else None
        yield Finding(f"its local list: {held.synced}: {held.said}", wrong=wrong, command=command)


@hookimpl
def register_config() -> Iterable[Config]:
    """Take the settings."""
    yield Config(Settings)


@hookimpl
def register_subscribers() -> Iterable[Subscriber]:
    """Hear of boots and of tags."""
    yield Subscriber(CHECK, frozenset({"station.booted", "tag.changed"}), happened)


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Synchronise one station, and look at all that are connected."""
    yield Job(ONE, one, retries=2, timeout_s=LONGEST_S)
    yield Job(CHECK, check, every_s=CHECK_S)
    yield Job(CHANGED, check)


@hookimpl
def register_diagnoses() -> Iterable[Diagnosis]:
    """Tell of lists that could not be brought up to date."""
    yield Diagnosis("ocpp16.local_list", look)


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis local-list``."""
    yield Command("local-list", "arthexis_ocpp16.local_list_command:command", "Whom stations serve by themselves")
