"""Transactions over HTTP: what was charged."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from arthexis import control
from arthexis.charging import stations, transactions
from arthexis.contributions import ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.web.api.meter_values import MeterValue, told
from arthexis.web.api.pages import Page, by_id, page, shaped
from arthexis.web.api.scalars import Identity, IdTag, Moment, Paged, TransactionId


class Transaction(Struct, kw_only=True):
    """A transaction. ``id`` is the OCPP transactionId; energy is in Wh.

    Times are in UTC, ``*_raw`` as the station wrote them. ``authorization`` is what the station was told of the tag,
    ``id_tag_info`` and ``stop_answer`` the idTagInfo of both answers. ``flags`` say what is odd about it.
    """

    id: int
    uid: str
    station: str
    connector: int
    id_tag: str | None
    active: bool
    authorization: str
    id_tag_info: dict[str, Any] | None
    reservation_id: int | None
    started_at: datetime | None
    started_at_raw: str | None
    start_received_at: datetime | None
    meter_start_wh: int | None
    stopped_at: datetime | None
    stopped_at_raw: str | None
    stop_received_at: datetime | None
    meter_stop_wh: int | None
    energy_wh: int | None
    stop_reason: str | None
    stop_id_tag: str | None
    stop_answer: dict[str, Any] | None
    claimed_id: int | None
    flags: list[str]


class TransactionInFull(Transaction, kw_only=True):
    """A transaction with its meter values in the order of the station's time."""

    meter_values: list[MeterValue]


class OfTransaction(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which transaction."""

    transaction: TransactionId


class ListTransactions(Paged, kw_only=True):
    """Which transactions."""

    station: Identity | None = None
    id_tag: IdTag | None = None
    active: Annotated[bool, Meta(description="Only open, or only closed ones")] | None = None
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")


async def list_(request: ApiRequest) -> Page[Transaction]:
    """A page of transactions."""
    asked: ListTransactions = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        return transactions.rows(
            db,
            station_id=stations.required(db, asked.station).row if asked.station is not None else None,
            id_tag=asked.id_tag,
            active=asked.active,
            since=asked.since,
            until=asked.until,
            before=asked.place,
            limit=asked.limit + 1,
        )

    rows = await request.host.database.read(read)
    return page(Transaction, [{**row, "active": row["open"]} for row in rows], asked, by_id)


async def show(request: ApiRequest) -> TransactionInFull:
    """One transaction."""
    row = await control.transactions_show(request.host, request.params.transaction)
    values = [shaped(MeterValue, told(each)) for each in row["meter_values"]]
    return shaped(TransactionInFull, {**row, "active": row["open"], "meter_values": values})


ROUTES: Final = (
    Route(
        "GET",
        "/transactions",
        list_,
        "viewer",
        "List transactions, the latest first",
        "`from` (included) and `to` (excluded) are times of the start.",
        params=ListTransactions,
        answer=Page[Transaction],
    ),
    Route(
        "GET",
        "/transactions/{transaction}",
        show,
        "viewer",
        "Show a transaction with its meter values",
        params=OfTransaction,
        answer=TransactionInFull,
    ),
)
