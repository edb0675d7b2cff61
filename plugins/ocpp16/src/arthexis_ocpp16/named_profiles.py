"""Charging profiles by name, over HTTP: kept once, used by SetChargingProfile and RemoteStartTransaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from arthexis import Answer, ApiRequest, Connection, Route, hookimpl
from arthexis_ocpp16 import profiles
from arthexis_ocpp16.messages import ChargingProfile

PATH = "/charging-profiles"


class OfProfile(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which profile."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*$", description="Its name")]


class NamedProfile(Struct, kw_only=True):
    """A charging profile under its name, as plain OCPP JSON."""

    name: str
    profile: dict[str, Any]
    changed_at: datetime


class NamedProfiles(Struct, kw_only=True):
    """All profiles that have a name."""

    items: list[NamedProfile]
    next: None = None


async def _named(request: ApiRequest) -> list[NamedProfile]:
    rows = await request.host.database.read(profiles.names)
    return [NamedProfile(name=row["name"], profile=row["profile"], changed_at=row["changed_at"]) for row in rows]


async def list_(request: ApiRequest) -> NamedProfiles:
    """Every profile."""
    return NamedProfiles(items=await _named(request))


async def show(request: ApiRequest) -> NamedProfile:
    """One profile; raises ``NotFound``."""
    name = request.params.name
    await request.host.database.read(lambda db: profiles.named(db, name))
    return next(each for each in await _named(request) if each.name == name)


async def put(request: ApiRequest) -> Answer:
    """Keep a profile under a name."""
    name, profile = request.params.name, msgspec.to_builtins(request.body)
    known = name in {each.name for each in await _named(request)}
    at = request.host.clock.now()
    await request.host.journal.write(lambda db: profiles.put(db, name, profile, at))
    return Answer(await show(request), 200 if known else 201)


async def forget(request: ApiRequest) -> Answer:
    """Forget a name."""

    def remove(db: Connection) -> None:
        profiles.forget(db, request.params.name)

    await request.host.journal.write(remove)
    return Answer(status=204)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer the profiles by name."""
    one = f"{PATH}/{{name}}"
    topic = "charging profiles"
    yield Route(
        "GET", PATH, list_, "viewer", "List charging profiles that have a name", answer=NamedProfiles, topic=topic
    )
    yield Route(
        "PUT",
        one,
        put,
        "operator",
        "Keep a charging profile under a name",
        "Use it by its name in the payloads of SetChargingProfile and RemoteStartTransaction.",
        params=OfProfile,
        body=ChargingProfile,
        answer=NamedProfile,
        statuses={200: "Changed", 201: "Added"},
        conflicts=True,
        topic=topic,
    )
    yield Route(
        "GET", one, show, "viewer", "Show a charging profile", params=OfProfile, answer=NamedProfile, topic=topic
    )
    yield Route(
        "DELETE",
        one,
        forget,
        "operator",
        "Forget a charging profile's name",
        params=OfProfile,
        statuses={204: "Forgotten"},
        topic=topic,
    )
