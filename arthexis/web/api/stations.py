"""Stations over HTTP: who may connect, who waits, who is here, and what their connectors reported."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from msgspec import UNSET, Meta, Struct, UnsetType

from arthexis import control
from arthexis.charging import connectors, stations
from arthexis.charging.ids import folded
from arthexis.contributions import Answer, ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.host import Host
from arthexis.web.api.connectors import ConnectorStatus
from arthexis.web.api.pages import Page, Row, by_id, page, shaped, whole
from arthexis.web.api.scalars import ConnectorNumber, Identity, Paged, text

Registration = Literal["Accepted", "Pending", "Rejected"]


class Station(Struct, kw_only=True):
    """A station. ``id`` is its identity; ``mode`` and ``zone`` null follow the node."""

    id: str
    connected: bool
    registration: str | None
    mode: str | None
    zone: str | None
    has_key: bool
    plain: bool
    added_at: datetime
    booted_at: datetime | None
    last_seen_at: datetime | None
    vendor: str | None
    model: str | None
    serial_number: str | None
    charge_box_serial_number: str | None
    firmware_version: str | None
    iccid: str | None
    imsi: str | None
    meter_type: str | None
    meter_serial_number: str | None


class StationInFull(Station, kw_only=True):
    """A station with the current status of its connectors; connector 0 is the station itself."""

    urls: list[str]
    connectors: list[ConnectorStatus]


class StatusReport(Struct, kw_only=True):
    """A status as a connector reported it; ``at`` is the station's time, null where it named none."""

    connector: int
    status: str
    error_code: str
    info: str | None
    vendor_id: str | None
    vendor_error_code: str | None
    at: datetime | None
    received_at: datetime


class Credentials(Struct, kw_only=True):
    """How a station connects. The key is shown this once: as text, and as hexadecimal digits."""

    id: str
    urls: list[str]
    key: str | None
    key_hex: str | None


class RefusedStation(Struct, kw_only=True):
    """A station that was not let in, or waits for approval, and why."""

    id: str
    remote: str
    reason: str
    tries: int
    first_at: datetime
    last_at: datetime
    boot: dict[str, Any] | None


class Finding(Struct, kw_only=True):
    """A fact that may explain how a station behaves; ``command`` is the next one to try, null where there is none."""

    wrong: bool
    said: str
    command: str | None


class Why(Struct, kw_only=True):
    """What the node knows of a station, what wants something done first."""

    station: str
    findings: list[Finding]
    next: str | None


class OfStation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which station."""

    station: Identity


class ListStations(Paged, kw_only=True):
    """Which stations."""

    registration: Registration | None = None


class ListStatuses(Paged, kw_only=True):
    """Which statuses."""

    station: Identity
    connector: ConnectorNumber | None = None


class NewStation(Struct, kw_only=True, forbid_unknown_fields=True):
    """A station to add. Without ``key_hex`` it gets a key of ours, with ``no_key`` none at all."""

    id: Identity
    no_key: Annotated[bool, Meta(description="It connects plainly, so anybody can pose as it")] = False
    key_hex: Annotated[str, Meta(pattern="^[0-9A-Fa-f]{40}$", description="20 random bytes")] | None = None


class KeyWish(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether the station gets a key."""

    no_key: Annotated[bool, Meta(description="It connects plainly, so anybody can pose as it")] = False


class StationChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    mode: Annotated[Literal["strict", "repair", "node"], Meta(description="How its frames are taken")] | UnsetType = (
        UNSET
    )
    zone: Annotated[str, text("IANA zone of its timestamps that name none", examples=["Europe/Berlin"])] | UnsetType = (
        UNSET
    )


def _station(host: Host, row: Row) -> dict[str, Any]:
    identity = row["identity"]
    return {**row, "id": identity, "number": row["id"], "connected": folded(identity) in host.links}


async def list_(request: ApiRequest) -> Page[Station]:
    """A page of stations."""
    asked: ListStations = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        return stations.page(db, registration=asked.registration, after=asked.place or 0, limit=asked.limit + 1)

    rows = await request.host.database.read(read)
    return page(Station, [_station(request.host, row) for row in rows], asked, lambda row: int(row["number"]))


async def show(request: ApiRequest) -> StationInFull:
    """One station."""

    def read(db: Connection) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        row = stations.get(db, request.params.station)
        return row, connectors.rows(db, row["id"])

    row, found = await request.host.database.read(read)
    told = {
        "urls": request.host.station_urls(row["identity"]),
        "connectors": [shaped(ConnectorStatus, each) for each in found],
    }
    return shaped(StationInFull, {**_station(request.host, row), **told})


async def statuses(request: ApiRequest) -> Page[StatusReport]:
    """A page of what a station's connectors reported, the latest first."""
    asked: ListStatuses = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        found = stations.required(db, asked.station)
        return connectors.history(db, found.row, asked.limit + 1, connector=asked.connector, before=asked.place)

    return page(StatusReport, await request.host.database.read(read), asked, by_id)


def _credentials(found: dict[str, Any], status: int = 200) -> Answer:
    identity = found["station"]
    told = Credentials(id=identity, urls=found["urls"], key=found["key"], key_hex=found["key_hex"])
    headers = {"Location": f"/api/v1/stations/{quote(identity, safe='')}"} if status == 201 else {}
    return Answer(told, status, headers)


async def add(request: ApiRequest) -> Answer:
    """Add a station."""
    new: NewStation = request.body
    found = await control.stations_add(request.host, new.id, no_key=new.no_key, key=new.key_hex)
    return _credentials(found, 201)


async def change(request: ApiRequest) -> StationInFull:
    """Change how a station is treated."""
    wish: StationChange = request.body
    mode = None if wish.mode is UNSET else wish.mode
    zone = None if wish.zone is UNSET else wish.zone
    await control.stations_set(request.host, request.params.station, mode=mode, zone=zone)
    return await show(request)


async def key(request: ApiRequest) -> Answer:
    """Give a station a new key."""
    return _credentials(await control.stations_key(request.host, request.params.station, no_key=request.body.no_key))


async def approve(request: ApiRequest) -> Answer:
    """Let a station in."""
    return _credentials(
        await control.stations_approve(request.host, request.params.station, no_key=request.body.no_key)
    )


async def reject(request: ApiRequest) -> StationInFull:
    """Reject a station."""
    await control.stations_reject(request.host, request.params.station)
    return await show(request)


async def why(request: ApiRequest) -> Why:
    """What may explain how a station behaves."""
    return shaped(Why, await control.stations_why(request.host, request.params.station))


async def pending(request: ApiRequest) -> Page[RefusedStation]:
    """The inbox."""
    rows = await request.host.database.read(stations.refused)
    return whole(RefusedStation, [{**row, "id": row["identity"]} for row in rows])


ROUTES: Final = (
    Route("GET", "/stations", list_, "viewer", "List stations", params=ListStations, answer=Page[Station]),
    Route(
        "POST",
        "/stations",
        add,
        "operator",
        "Add a station",
        "The answer holds its URLs and, this once, its key.",
        body=NewStation,
        answer=Credentials,
        statuses={201: "Added"},
        conflicts=True,
    ),
    Route("GET", "/stations/{station}", show, "viewer", "Show a station", params=OfStation, answer=StationInFull),
    Route(
        "PATCH",
        "/stations/{station}",
        change,
        "operator",
        "Change how a station is treated",
        params=OfStation,
        body=StationChange,
        answer=StationInFull,
        conflicts=True,
    ),
    Route(
        "GET",
        "/stations/{station}/statuses",
        statuses,
        "viewer",
        "List what a station's connectors reported, the latest first",
        params=ListStatuses,
        answer=Page[StatusReport],
    ),
    Route(
        "GET",
        "/stations/{station}/why",
        why,
        "viewer",
        "Say why a station behaves as it does",
        "The one answer at 3 a.m.: the same as `arthexis why`.",
        params=OfStation,
        answer=Why,
    ),
    Route(
        "POST",
        "/stations/{station}/key",
        key,
        "operator",
        "Give a station a new key",
        "The old key stops working at the station's next connection.",
        params=OfStation,
        body=KeyWish,
        answer=Credentials,
    ),
    Route(
        "POST",
        "/stations/{station}/approve",
        approve,
        "operator",
        "Let a station in that was refused or waits",
        "A station that is not known yet gets a key, shown this once; one that is known keeps its own.",
        params=OfStation,
        body=KeyWish,
        answer=Credentials,
        conflicts=True,
    ),
    Route(
        "POST",
        "/stations/{station}/reject",
        reject,
        "operator",
        "Answer a station's boots Rejected from now on",
        params=OfStation,
        answer=StationInFull,
    ),
    Route(
        "GET",
        "/pending-stations",
        pending,
        "viewer",
        "List stations that were refused or wait for approval, the latest first",
        answer=Page[RefusedStation],
    ),
)
