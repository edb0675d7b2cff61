"""Connectors over HTTP: the current status of each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Struct

from arthexis.charging import connectors, stations
from arthexis.contributions import ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.web.api.pages import Page, by_id, page
from arthexis.web.api.scalars import Identity, Paged, text


class ConnectorStatus(Struct, kw_only=True):
    """A connector's current status; ``at`` is the station's time, null where it is none to go by."""

    number: int
    status: str
    error_code: str
    at: datetime | None
    received_at: datetime


class Connector(ConnectorStatus, kw_only=True):
    """A connector of a station."""

    station: str


class ListConnectors(Paged, kw_only=True):
    """Which connectors."""

    station: Identity | None = None
    status: Annotated[str, text("A status of OCPP 1.6 §7.7", 32, examples=["Available"])] | None = None


async def list_(request: ApiRequest) -> Page[Connector]:
    """A page of connectors."""
    asked: ListConnectors = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        row = stations.required(db, asked.station).row if asked.station is not None else None
        return connectors.page(db, station_id=row, status=asked.status, after=asked.place or 0, limit=asked.limit + 1)

    return page(Connector, await request.host.database.read(read), asked, by_id)


ROUTES: Final = (
    Route(
        "GET",
        "/connectors",
        list_,
        "viewer",
        "List connectors with their current status",
        "Connector 0 is the station itself.",
        params=ListConnectors,
        answer=Page[Connector],
    ),
)
