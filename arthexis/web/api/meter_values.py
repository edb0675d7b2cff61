"""Meter values over HTTP: what meters said, their samples verbatim."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from arthexis.charging import meter_values, stations
from arthexis.contributions import ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.web.api.pages import Page, by_id, page
from arthexis.web.api.scalars import ConnectorNumber, Identity, Moment, Paged


class MeterValue(Struct, kw_only=True):
    """What a meter said at one time. ``samples`` are OCPP SampledValues as they were sent, each with its own unit.

    ``transaction`` is null for a value of no transaction; ``sampled_at`` is null where the station's time is none,
    ``sampled_at_raw`` its own text.
    """

    connector: int
    transaction: int | None
    sampled_at: datetime | None
    sampled_at_raw: str
    received_at: datetime
    with_stop: bool
    samples: list[dict[str, Any]]


class StationMeterValue(MeterValue, kw_only=True):
    """A meter value and the station it is of."""

    station: str


class ListMeterValues(Paged, kw_only=True):
    """Which meter values."""

    station: Identity | None = None
    connector: ConnectorNumber | None = None
    transaction: Annotated[int, Meta(ge=0, le=2**31 - 1, description="0: those of no transaction")] | None = None
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")


def told(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the API says it."""
    return {**row, "transaction": row["transaction_id"] or None}


async def list_(request: ApiRequest) -> Page[StationMeterValue]:
    """A page of meter values."""
    asked: ListMeterValues = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        return meter_values.page(
            db,
            station_id=stations.required(db, asked.station).row if asked.station is not None else None,
            connector=asked.connector,
            transaction_id=asked.transaction,
            since=asked.since,
            until=asked.until,
            before=asked.place,
            limit=asked.limit + 1,
        )

    rows = await request.host.database.read(read)
    return page(StationMeterValue, [told(row) for row in rows], asked, by_id)


ROUTES: Final = (
    Route(
        "GET",
        "/meter-values",
        list_,
        "viewer",
        "List meter values, the latest received first",
        "`from` (included) and `to` (excluded) go by the station's time.",
        params=ListMeterValues,
        answer=Page[StationMeterValue],
    ),
)
