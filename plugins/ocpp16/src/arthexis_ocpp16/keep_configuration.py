"""Keeping stations' configuration as it should be: reading, drift, applying, over HTTP, by command and after a boot.

Nothing is sent by itself unless the settings say so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
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
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.configuration_applying import apply
from arthexis_ocpp16.configuration_reading import read

AFTER_BOOT: Final = "ocpp16.configuration_after_boot"
TOPIC: Final = "configuration"
MOST_NAMED: Final = 5
LONGEST_S: Final = 3600.0

Identity = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[^\x00]*$", description="A station's identity")]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*$", description="A template's name")]
Key = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[^\x00]*$", description="A key, in any case")]
Value = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="Its value, as text")]


class Settings(Struct, forbid_unknown_fields=True):
    """What is done after a station's boot; by itself nothing is."""

    read_after_boot: Annotated[bool, Meta(description="Read a station's configuration after each accepted boot")] = (
        False
    )
    apply_after_boot: Annotated[
        bool, Meta(description="And change what is not as it is wanted, where something is wanted")
    ] = False
    grace_s: Annotated[float, Meta(ge=0, le=86_400, description="Seconds between the boot and that")] = 30.0


class OfStation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which station."""

    station: Identity


class OfHistory(OfStation, kw_only=True):
    """Which station's history, of which key."""

    key: Key | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most")] = 100


class OfTemplate(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which template."""

    name: Name


class ConfigurationKey(Struct, kw_only=True):
    """A key as the station told or accepted it; ``known`` false: it says that it has none of this name."""

    key: str
    value: str | None
    readonly: bool | None
    known: bool
    reboot_required: bool
    seen_at: datetime


class ConfigurationKeys(Struct, kw_only=True):
    """A station's keys, the template that it follows, and what it should hold."""

    items: list[ConfigurationKey]
    template: str | None
    desired: dict[str, str]
    next: None = None


class ConfigurationChange(Struct, kw_only=True):
    """How a key changed: ``source`` is read (the station told it) or set (it took it)."""

    key: str
    before: str | None
    value: str | None
    source: str
    at: datetime


class ConfigurationChanges(Struct, kw_only=True):
    """A station's changes, the latest first."""

    items: list[ConfigurationChange]
    next: None = None


class DriftingKey(Struct, kw_only=True):
    """A key that is not what it should be, and why it is not: differs, read-only, never seen and so on."""

    key: str
    desired: str
    value: str | None
    state: str


class Drift(Struct, kw_only=True):
    """What of a station is not as it should be."""

    items: list[DriftingKey]
    next: None = None


class ReadKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which keys to read; left out or empty, all of them."""

    keys: Annotated[list[Key], Meta(max_length=500)] = []


class KeysRead(Struct, kw_only=True):
    """What came of reading: names told, names unknown to the station, and what went otherwise than it should."""

    station: str
    keys: list[str]
    unknown: list[str]
    warnings: list[str]
    operations: list[str]


class KeyApplied(Struct, kw_only=True):
    """What became of a key: how its operation ended, ``in part`` for a list, or why nothing was sent."""

    key: str
    desired: str
    state: str
    value: str | None
    refused: list[str]


class KeysApplied(Struct, kw_only=True):
    """What became of each key that drifts."""

    station: str
    items: list[KeyApplied]


class Wishes(Struct, kw_only=True, forbid_unknown_fields=True):
    """Values by key; null takes a wish back."""

    values: dict[Key, Value | None]


class Follows(Struct, kw_only=True, forbid_unknown_fields=True):
    """The template to follow, null for none."""

    template: Name | None


class Template(Struct, kw_only=True):
    """Values that several stations should hold, and how many follow it."""

    name: str
    values: dict[str, str]
    stations: int


class Templates(Struct, kw_only=True):
    """Every template."""

    items: list[Template]
    next: None = None


# ---------------------------------------------------------------------- over HTTP


async def show(request: ApiRequest) -> ConfigurationKeys:
    """A station's keys as we know them."""

    def look(db: Connection) -> ConfigurationKeys:
        row = stations.required(db, request.params.station).row
        items = [ConfigurationKey(**key) for key in configuration.keys(db, row)]
        return ConfigurationKeys(
            items=items, template=configuration.followed(db, row), desired=configuration.desired(db, row)
        )

    return await request.host.database.read(look)


async def history(request: ApiRequest) -> ConfigurationChanges:
    """How a station's keys changed."""
    asked: OfHistory = request.params

    def look(db: Connection) -> list[dict[str, Any]]:
        return configuration.history(db, stations.required(db, asked.station).row, asked.key, asked.limit)

    rows = await request.host.database.read(look)
    return ConfigurationChanges(items=[ConfigurationChange(**row) for row in rows])


async def drift(request: ApiRequest) -> Drift:
    """What is not as it should be."""

    def look(db: Connection) -> list[dict[str, Any]]:
        return configuration.drift(db, stations.required(db, request.params.station).row)

    return Drift(items=[DriftingKey(**row) for row in await request.host.database.read(look)])


async def read_now(request: ApiRequest) -> KeysRead:
    """Ask the station for its keys."""
    station: str = request.params.station
    told = await read(request.host, station, request.body.keys, by=request.caller)
    return KeysRead(
        station=station, keys=told.keys, unknown=told.unknown, warnings=told.warnings, operations=told.operations
    )


async def apply_now(request: ApiRequest) -> KeysApplied:
    """Send every key that drifts."""
    station: str = request.params.station
    applied = await apply(request.host, station, by=request.caller)
    items = [KeyApplied(**{**dataclasses.asdict(each), "refused": list(each.refused)}) for each in applied]
    return KeysApplied(station=station, items=items)


async def desire(request: ApiRequest) -> ConfigurationKeys:
    """Wish values for one station."""
    wishes: Wishes = request.body

    def store(db: Connection) -> None:
        row = stations.required(db, request.params.station).row
        for key, value in wishes.values.items():
            configuration.desire(db, key, value, station_id=row)

    await request.host.journal.write(store)
    return await show(request)


async def follow(request: ApiRequest) -> ConfigurationKeys:
    """Let a station follow a template, or none."""

    def store(db: Connection) -> None:
        configuration.follow(db, stations.required(db, request.params.station).row, request.body.template)

    await request.host.journal.write(store)
    return await show(request)


async def list_templates(request: ApiRequest) -> Templates:
    """Every template."""
    rows = await request.host.database.read(configuration.templates)
    return Templates(items=[Template(**row) for row in rows])


async def change_template(request: ApiRequest) -> Template:
    """Change what a template's stations should hold; one of this name is made."""
    name: str = request.params.name

    def store(db: Connection) -> Template:
        configuration.make_template(db, name)
        for key, value in request.body.values.items():
            configuration.desire(db, key, value, of=name)
        return next(Template(**row) for row in configuration.templates(db) if row["name"] == name)

    return await request.host.journal.write(store)


async def remove_template(request: ApiRequest) -> None:
    """Forget a template; its stations follow none then."""
    await request.host.journal.write(lambda db: configuration.remove_template(db, request.params.name))


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer a station's configuration, and the templates."""
    yield from _looking("/stations/{station}/configuration")
    yield from _doing("/stations/{station}/configuration")
    yield from _templates("/configuration-templates/{name}")


def _looking(one: str) -> Iterable[Route]:
    yield Route(
        "GET", one, show, "viewer", "Show a station's keys", answer=ConfigurationKeys, params=OfStation, topic=TOPIC
    )
    yield Route(
        "GET",
        f"{one}/history",
        history,
        "viewer",
        "List how a station's keys changed",
        params=OfHistory,
        answer=ConfigurationChanges,
        topic=TOPIC,
    )
    yield Route(
        "GET",
        f"{one}/drift",
        drift,
        "viewer",
        "List the keys that are not as they should be",
        answer=Drift,
        params=OfStation,
        topic=TOPIC,
    )


def _doing(one: str) -> Iterable[Route]:
    yield Route(
        "POST",
        f"{one}/read",
        read_now,
        "operator",
        "Ask a station for its keys",
        "The answer comes when the station has told them, or did not.",
        body=ReadKeys,
        answer=KeysRead,
        conflicts=True,
        params=OfStation,
        topic=TOPIC,
    )
    yield Route(
        "POST",
        f"{one}/apply",
        apply_now,
        "operator",
        "Send a station every key that drifts",
        answer=KeysApplied,
        conflicts=True,
        params=OfStation,
        topic=TOPIC,
    )
    yield Route(
        "PATCH",
        f"{one}/desired",
        desire,
        "operator",
        "Wish values for a station",
        body=Wishes,
        answer=ConfigurationKeys,
        conflicts=True,
        params=OfStation,
        topic=TOPIC,
    )
    yield Route(
        "PUT",
        f"{one}/template",
        follow,
        "operator",
        "Let a station follow a template",
        body=Follows,
        answer=ConfigurationKeys,
        params=OfStation,
        topic=TOPIC,
    )


def _templates(template: str) -> Iterable[Route]:
    yield Route(
        "GET", "/configuration-templates", list_templates, "viewer", "List templates", answer=Templates, topic=TOPIC
    )
    yield Route(
        "PATCH",
        template,
        change_template,
        "operator",
        "Change a template, or make it",
        params=OfTemplate,
        body=Wishes,
        answer=Template,
        conflicts=True,
        topic=TOPIC,
    )
    yield Route(
        "DELETE",
        template,
        remove_template,
        "operator",
        "Forget a template",
        params=OfTemplate,
        statuses={204: "Forgotten"},
        topic=TOPIC,
    )


# ---------------------------------------------------------------------- after a boot


async def booted(event: Event, ctx: Context) -> None:
    """A station booted: after a grace, do what the settings say."""
    settings: Settings = ctx.config
    if not (settings.read_after_boot or settings.apply_after_boot) or event.data["registration"] != "Accepted":
        return
    run_at = ctx.clock.now() + timedelta(seconds=settings.grace_s)
    args = {"station": event.station}
    await ctx.journal.write(lambda db: ctx.host.jobs.put(db, AFTER_BOOT, args, run_at=run_at, key=event.station))


async def after_boot(ctx: Context, args: Mapping[str, Any]) -> None:
    """Read what a station holds and, where that is wished, send what drifts."""
    settings: Settings = ctx.config
    if not (settings.read_after_boot or settings.apply_after_boot):
        return
    told = await read(ctx.host, args["station"])
    for warning in told.warnings:
        ctx.log.warning("reading the configuration of %s: %s", args["station"], warning)
    if settings.apply_after_boot and told.keys:
        for applied in await apply(ctx.host, args["station"]):
            ctx.log.info("%s of %s: %s", applied.key, args["station"], applied.state)


def look(db: Connection, station: Station) -> Iterable[Finding]:
    """What a station's configuration lacks."""
    row = station.row
    keys = configuration.keys(db, row)
    if not keys:
        yield Finding("its configuration was never read", command=f"arthexis configuration read {station.id}")
    waits = [key["key"] for key in keys if key["reboot_required"]]
    if waits:
        said = f"{_named(waits)} will hold only after a reboot"
        yield Finding(said, wrong=True, command=f"arthexis send {station.id} Reset --type Soft")
    for state, command in COMMANDS.items():
        names = [each["key"] for each in configuration.drift(db, row) if each["state"] == state]
        if names:
            said = f"{_named(names)}: not as it should be ({state})"
            yield Finding(said, wrong=True, command=f"arthexis configuration {command} {station.id}")


COMMANDS: Final = {
    "differs": "apply",
    "never seen": "read",
    "read-only": "drift",
    "unknown to the station": "drift",
}


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more keys" if more > 0 else "")


@hookimpl
def register_config() -> Iterable[Config]:
    """Take the settings."""
    yield Config(Settings)


@hookimpl
def register_subscribers() -> Iterable[Subscriber]:
    """Hear of boots."""
    yield Subscriber(AFTER_BOOT, frozenset({"station.booted"}), booted)


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Read and apply after a boot."""
    yield Job(AFTER_BOOT, after_boot, retries=2, timeout_s=LONGEST_S)


@hookimpl
def register_diagnoses() -> Iterable[Diagnosis]:
    """Tell what a station's configuration lacks."""
    yield Diagnosis("ocpp16.configuration", look)


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis configuration``."""
    yield Command("configuration", "arthexis_ocpp16.configuration_command:command", "Read and set stations' keys")
