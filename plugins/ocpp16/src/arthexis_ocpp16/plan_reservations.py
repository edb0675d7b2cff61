"""Reservations ahead of time: asked for now, sent to the station near their start, given up before or after that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from arthexis import (
    Answer,
    ApiRequest,
    Command,
    Config,
    Connection,
    Context,
    DomainError,
    Host,
    Route,
    Station,
    Wish,
    hookimpl,
    reservations,
    stations,
)
from arthexis_ocpp16 import reserve_now

TOPIC: Final = "reservations"
KEPT: Final = frozenset({"accepted", "active", "unknown"})
Moment = Annotated[datetime, Meta(tz=True)]
Text = r"^[^\x00]*$"


class Settings(Struct, forbid_unknown_fields=True):
    """How long before its start a station is asked to keep a connector; from then on it is kept."""

    lead_s: Annotated[
        float, Meta(ge=0, le=86_400, description="Seconds before its start a station is asked to keep a connector")
    ] = 300.0


class NewReservation(Struct, kw_only=True, forbid_unknown_fields=True):
    """A wish: for whom, where, from when (now, if left out) until when; without connector a free one is chosen."""

    station: Annotated[str, Meta(min_length=1, max_length=48, pattern=Text, description="A station's identity")]
    id_tag: Annotated[str, Meta(min_length=1, max_length=20, pattern=Text, description="For whom")]
    expires_at: Moment
    starts_at: Moment | None = None
    connector: Annotated[int, Meta(ge=0, le=2**31 - 1, description="0 is any connector of the station")] | None = None
    parent_id_tag: Annotated[str, Meta(min_length=1, max_length=20, pattern=Text)] | None = None


class OfReservation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which reservation."""

    reservation: Annotated[int, Meta(ge=1, le=2**31 - 1, description="The OCPP reservationId")]


class Cancel(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to give it up."""

    wait: Annotated[float, Meta(ge=0, le=60, description="Seconds to wait for the station's answer")] = 10.0


class PlannedReservation(Struct, kw_only=True):
    """A reservation; ``said`` tells why it is as it is. ``requested``: the station has not answered yet.

    ``unknown``: it was asked and its answer never came, so that it may keep the connector.
    """

    id: int
    uid: str
    station: str
    connector: int
    id_tag: str
    parent_id_tag: str | None
    starts_at: datetime
    expires_at: datetime
    state: str
    said: str | None
    transaction_id: int | None
    requested_by: str
    created_at: datetime
    changed_at: datetime


def _shown(row: Mapping[str, Any]) -> PlannedReservation:
    return PlannedReservation(**{name: row[name] for name in PlannedReservation.__struct_fields__})


async def add(request: ApiRequest, ctx: Context) -> Answer:
    """Keep a reservation, to be sent near its start."""
    host, new, now = request.host, request.body, ctx.clock.now()
    starts_at = max(new.starts_at or now, now)
    found = await host.database.read(lambda db: stations.required(db, new.station))
    connector = new.connector
    if connector is None:
        connector = await _chosen(host, Station(found.identity, found.row), new, starts_at)
    wish = reservations.Wish(
        found.row, connector, new.id_tag, starts_at, new.expires_at, new.parent_id_tag, request.caller
    )

    def store(db: Connection) -> Mapping[str, Any]:
        row = reservations.get(db, reservations.request(db, wish, now))
        reserve_now.plan(db, host, row, starts_at - timedelta(seconds=ctx.config.lead_s))
        return row

    row = await host.journal.write(store)
    return Answer(_shown(row), 201, {"Location": f"/api/v1/reservations/{row['id']}"})


async def _chosen(host: Host, station: Station, new: NewReservation, starts_at: datetime) -> int:
    """The connector for it; raises ``DomainError`` where none is free then."""
    now = host.clock.now()
    free = await host.database.read(
        lambda db: reservations.free_connectors(db, station.row, starts_at, new.expires_at, now)
    )
    chosen = await host.decide_connector(station, new.id_tag, free)
    if chosen is None:
        raise DomainError(
            f"no connector of {station.id} is free during this time",
            place="reservation connector",
            cure=f"See `arthexis stations show {station.id}`, or name a connector",
        )
    return chosen


async def cancel(request: ApiRequest) -> Answer:
    """Give a reservation up: at once where the station has not kept it yet, else by CancelReservation."""
    host, number = request.host, request.params.reservation
    at = host.clock.now()

    def withdraw(db: Connection) -> Mapping[str, Any]:
        row = reservations.get(db, number)
        if row["state"] == "requested":
            reservations.cancelled(db, number, at)
        return reservations.get(db, number)

    row = await host.journal.write(withdraw)
    if row["state"] in KEPT:
        wish = Wish(queue_until=row["expires_at"], requested_by=request.caller)
        uid = await host.operations.send(row["station"], "CancelReservation", {"reservationId": number}, wish)
        await host.operations.wait(uid, request.body.wait)
        row = await host.database.read(lambda db: reservations.get(db, number))
    elif row["state"] != "cancelled":
        raise DomainError(
            f"reservation {number} is {row['state']}", place="reservations", cure="Nothing needs to be given up"
        )
    return Answer(_shown(row), 200 if row["state"] == "cancelled" else 202)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer to reserve ahead, and to give up."""
    yield Route(
        "POST",
        "/reservations",
        add,
        "operator",
        "Reserve a connector, now or ahead",
        "The station is asked near the start. `GET /reservations/{reservation}` tells what became of it.",
        body=NewReservation,
        answer=PlannedReservation,
        statuses={201: "Kept; not yet asked of the station"},
        conflicts=True,
        topic=TOPIC,
    )
    yield Route(
        "POST",
        "/reservations/{reservation}/cancel",
        cancel,
        "operator",
        "Give a reservation up",
        "What the station has not been asked yet is cancelled at once; else it is told, as soon as it is there.",
        params=OfReservation,
        body=Cancel,
        answer=PlannedReservation,
        statuses={200: "Cancelled", 202: "The station has yet to let it go, or would not"},
        conflicts=True,
        topic=TOPIC,
    )


@hookimpl
def register_config() -> Iterable[Config]:
    """Take the settings."""
    yield Config(Settings)


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis reservations``."""
    yield Command("reservations", "arthexis_ocpp16.reservations_command:command", "Connectors kept for tags")
