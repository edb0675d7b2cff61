"""ReserveNow: keep a connector for a tag, at once or near its start (OCPP 1.6 §5.13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from arthexis import (
    Asked,
    Connection,
    Context,
    DomainError,
    Ended,
    Host,
    Job,
    Operation,
    Station,
    Wish,
    format_utc,
    hookimpl,
    parse_utc,
    reservations,
)
from arthexis_ocpp16.asking import not_negative
from arthexis_ocpp16.messages import ReserveNow

SEND = "ocpp16.reserve"
EXPIRE = "ocpp16.reservation_expires"
UNDO = "ocpp16.reservation_undo"
AGAIN = timedelta(minutes=1)
OFFLINE = timedelta(seconds=5)
NOT_YET = frozenset({"occupied", "faulted", "unavailable"})
"""Answers that may be another one when the reservation begins."""

ANSWERS = {"Accepted": "accepted", "Faulted": "faulted", "Occupied": "occupied", "Unavailable": "unavailable"}
UNHEARD = frozenset({"timed out", "station gone", "sent, unknown"})
"""Ends of a request that was sent and whose answer never came: the station may keep the connector."""

KEPT = frozenset({"accepted", "unknown"})


async def prepare(asked: Asked) -> Mapping[str, Any]:
    """Choose the connector where none is named."""
    if "connectorId" in asked.payload or "reservationId" in asked.payload:
        return {}
    now = asked.host.clock.now()
    until = expiry(asked.payload)
    free = await asked.host.database.read(
        lambda db: reservations.free_connectors(db, asked.station_id, now, until, now)
    )
    station = Station(asked.station, asked.station_id)
    chosen = await asked.host.decide_connector(station, str(asked.payload.get("idTag", "")), free)
    if chosen is None:
        raise DomainError(
            f"no connector of {asked.station} is free during this time",
            place="ReserveNow connectorId",
            cure=f"See `arthexis stations show {asked.station}`, or name a connector",
        )
    return {"connectorId": chosen}


def expiry(payload: Mapping[str, Any]) -> datetime:
    """When the reservation ends; raises ``DomainError`` where that is no time."""
    found = parse_utc(str(payload.get("expiryDate", "")))
    if found is None:
        raise DomainError(
            "expiryDate is missing or no time", place="ReserveNow expiryDate", cure="Write it like 2027-01-31T12:00:00Z"
        )
    return found


def fill(db: Connection, asked: Asked) -> Mapping[str, Any]:
    """Take the row of a reservation that was made before, or make it now."""
    number = asked.payload.get("reservationId")
    row = reservations.find(db, number) if isinstance(number, int) else None
    if row is not None and row["station"] == asked.station and row["state"] == "requested":
        return _of_row(row)
    now = asked.host.clock.now()
    connector, id_tag = asked.payload.get("connectorId"), asked.payload.get("idTag")
    if not isinstance(connector, int) or not isinstance(id_tag, str):
        return {}  # the request's own check names what is wrong with it
    wish = reservations.Wish(
        asked.station_id,
        connector,
        id_tag,
        now,
        expiry(asked.payload),
        asked.payload.get("parentIdTag"),
        asked.requested_by,
    )
    return _of_row(reservations.get(db, reservations.request(db, wish, now, number)))


def _of_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    parent = {"parentIdTag": row["parent_id_tag"]} if row["parent_id_tag"] else {}
    return {
        "connectorId": row["connector"],
        "expiryDate": format_utc(row["expires_at"]),
        "idTag": row["id_tag"],
        **parent,
        "reservationId": row["id"],
    }


def check(request: ReserveNow) -> None:
    """Connector 0 is any connector of the station."""
    not_negative(request.connector_id, "ReserveNow")


def finished(db: Connection, ended: Ended) -> None:
    """What the station said; one that it keeps, or may keep, is looked after until it expires."""
    number = ended.payload["reservationId"]
    unheard = ended.left and ended.state in UNHEARD
    state = "unknown" if unheard else ANSWERS.get(ended.state, "rejected")
    said = None if ended.state in {*ANSWERS, "Rejected"} else f"the request ended: {ended.state}"
    row = reservations.get(db, number)
    if row["state"] == "requested" and state in NOT_YET and ended.at < row["starts_at"]:
        again = min(ended.at + AGAIN, row["starts_at"])
        ended.host.jobs.put(db, SEND, {"id": number}, run_at=again, key=str(number))
        return
    reservations.answered(db, number, state, ended.at, said)
    if state in KEPT:
        ended.host.jobs.put(db, EXPIRE, {"id": number}, run_at=expiry(ended.payload), key=str(number))
    if state in KEPT and row["state"] == "cancelled":
        ended.host.jobs.put(db, UNDO, {"id": number}, key=str(number))


def plan(db: Connection, host: Host, row: Mapping[str, Any], send_at: datetime) -> None:
    """Have a reservation sent at a time of its own, and ended when it expires."""
    args, key = {"id": row["id"]}, str(row["id"])
    host.jobs.put(db, SEND, args, run_at=send_at, key=key)
    host.jobs.put(db, EXPIRE, args, run_at=row["expires_at"], key=key)


async def send(ctx: Context, args: Mapping[str, Any]) -> None:
    """Near its start, ask the station to keep a reservation; one that is offline is asked again until it expires."""
    row = await ctx.host.database.read(lambda db: reservations.find(db, args["id"]))
    if row is None or row["state"] != "requested" or row["expires_at"] <= ctx.clock.now():
        return
    if all(link.station.id != row["station"] for link in ctx.host.links.values()):
        again = ctx.clock.now() + OFFLINE
        await ctx.journal.write(lambda db: ctx.host.jobs.put(db, SEND, args, run_at=again, key=str(row["id"])))
        return
    try:
        await ctx.host.operations.send(row["station"], "ReserveNow", {"reservationId": row["id"]})
    except DomainError as refused:
        at, said = ctx.clock.now(), refused.problem
        await ctx.journal.write(lambda db: reservations.answered(db, row["id"], "rejected", at, said))


async def undo(ctx: Context, args: Mapping[str, Any]) -> None:
    """It was cancelled while the station was being asked, and the station took it or may have: let it go."""
    row = await ctx.host.database.read(lambda db: reservations.get(db, args["id"]))
    wish = Wish(queue_until=row["expires_at"])
    await ctx.host.operations.send(row["station"], "CancelReservation", {"reservationId": row["id"]}, wish)


async def expire(ctx: Context, args: Mapping[str, Any]) -> None:
    """Its time is over: whoever did not come has lost it."""
    at = ctx.clock.now()
    await ctx.journal.write(lambda db: reservations.expired(db, args["id"], at))


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer ReserveNow; it is never kept for an offline station."""
    yield Operation(
        "ReserveNow",
        "Keep a connector for a tag; without connectorId a free one is chosen",
        help={
            "connectorId": "Connector; 0 is any; chosen by us if left out",
            "expiryDate": "Until when, UTC",
            "idTag": "For whom",
            "parentIdTag": "The group that may use it too; the tag's own, if left out",
            "reservationId": "Chosen by us if left out",
        },
        filled=frozenset({"connectorId", "reservationId"}),
        queues=False,
        prepare=prepare,
        asks=("decide_connector",),
        fill=fill,
        check=check,
        finished=finished,
    )


@hookimpl
def register_jobs() -> Iterable[Job]:
    """Send reservations near their start, and end those that nobody used."""
    yield Job(SEND, send)
    yield Job(UNDO, undo)
    yield Job(EXPIRE, expire)
