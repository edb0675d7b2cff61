"""Reservations over HTTP: which connector is kept for whom, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from arthexis.charging import reservations, stations
from arthexis.contributions import ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.web.api.pages import Page, by_id, page, shaped
from arthexis.web.api.scalars import Identity, Name, Paged


class Reservation(Struct, kw_only=True):
    """A reservation. ``id`` is the OCPP reservationId; ``connector`` 0 is any; ``said`` tells why it is as it is."""

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


class OfReservation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which reservation."""

    reservation: Annotated[int, Meta(ge=1, le=2**31 - 1, description="The OCPP reservationId")]


class ListReservations(Paged, kw_only=True):
    """Which reservations."""

    station: Identity | None = None
    state: Name | None = None


async def list_(request: ApiRequest) -> Page[Reservation]:
    """A page of reservations."""
    asked: ListReservations = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        row = stations.required(db, asked.station).row if asked.station is not None else None
        return reservations.rows(db, station_id=row, state=asked.state, before=asked.place, limit=asked.limit + 1)

    return page(Reservation, await request.host.database.read(read), asked, by_id)


async def show(request: ApiRequest) -> Reservation:
    """One reservation."""
    number = request.params.reservation
    return shaped(Reservation, await request.host.database.read(lambda db: reservations.get(db, number)))


ROUTES: Final = (
    Route(
        "GET",
        "/reservations",
        list_,
        "viewer",
        "List reservations, the latest first",
        "Reserve with the operation ReserveNow, cancel with CancelReservation.",
        params=ListReservations,
        answer=Page[Reservation],
    ),
    Route(
        "GET",
        "/reservations/{reservation}",
        show,
        "viewer",
        "Show a reservation",
        params=OfReservation,
        answer=Reservation,
    ),
)
