"""What a station may draw: the profiles that it took, our composite of them, and beside it what it said itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
import sqlalchemy as sa
from msgspec import Meta, Struct

from arthexis import ApiRequest, Command, Connection, Route, hookimpl, stations, transactions
from arthexis_ocpp16 import profiles
from arthexis_ocpp16.schedules import DEFAULT, SESSION, STATION, Around, composite
from arthexis_ocpp16.tables import composite_schedule

TOPIC: Final = "charging profiles"
DAY_S: Final = 86_400
Identity = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[^\x00]*$", description="A station's identity")]
ConnectorNumber = Annotated[int, Meta(ge=0, le=2**31 - 1, description="0 is the whole station")]


class OfStation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which station."""

    station: Identity


class Asked(OfStation, kw_only=True):
    """Which composite schedule."""

    connector: ConnectorNumber = 0
    duration_s: Annotated[int, Meta(ge=1, le=31 * DAY_S, description="For how long from now")] = DAY_S
    unit: Annotated[Literal["A", "W"], Meta(description="A per phase, or W in all")] = "A"


class InstalledProfile(Struct, kw_only=True):
    """A charging profile that a station has taken, as plain OCPP JSON."""

    connector: int
    profile_id: int
    stack_level: int
    purpose: str
    transaction_id: int | None
    profile: dict[str, Any]
    installed_at: datetime


class InstalledProfiles(Struct, kw_only=True):
    """Everything that a station should hold."""

    items: list[InstalledProfile]
    next: None = None


class SchedulePeriod(Struct, kw_only=True):
    """From ``start_s`` seconds after the start on; ``limit`` null: no profile limits it."""

    start_s: int
    limit: float | None
    phases: int | None


class CompositeSchedule(Struct, kw_only=True):
    """What the profiles that a station took come to, and what it said itself when it was last asked.

    ``profiles`` are the ids of those that count; ``answer`` is that of GetCompositeSchedule, verbatim.
    """

    station: str
    connector: int
    start: datetime
    duration_s: int
    unit: str
    items: list[SchedulePeriod]
    profiles: list[int]
    answer: dict[str, Any] | None
    answered_at: datetime | None


async def installed(request: ApiRequest) -> InstalledProfiles:
    """The profiles that a station took."""

    def look(db: Connection) -> list[dict[str, Any]]:
        return profiles.installed(db, stations.required(db, request.params.station).row)

    rows = await request.host.database.read(look)
    return InstalledProfiles(items=[_shaped(row) for row in rows])


def _shaped(row: Mapping[str, Any]) -> InstalledProfile:
    return InstalledProfile(**{name: row[name] for name in InstalledProfile.__struct_fields__})


async def show(request: ApiRequest) -> CompositeSchedule:
    """Our composite of what a station took, from now on."""
    asked: Asked = request.params
    start = request.host.clock.now()

    def look(db: Connection) -> CompositeSchedule:
        found = stations.required(db, asked.station)
        session = _session(db, found.row, asked.connector)
        rows = list(counting(profiles.installed(db, found.row, asked.connector), asked.connector, session))
        around = Around(start, asked.duration_s, asked.unit, session["started_at"] if session else None)
        periods = composite([profiles.convert(row["profile"]) for row in rows], around)
        answer, answered_at = _said(db, found.row, asked.connector)
        return CompositeSchedule(
            station=found.identity,
            connector=asked.connector,
            start=start,
            duration_s=asked.duration_s,
            unit=asked.unit,
            items=[SchedulePeriod(start_s=p.start_s, limit=p.limit, phases=p.phases) for p in periods],
            profiles=[row["profile_id"] for row in rows],
            answer=answer,
            answered_at=answered_at,
        )

    return await request.host.database.read(look)


def _session(db: Connection, station_id: int, connector: int) -> dict[str, Any] | None:
    """The transaction that runs on a connector, or None."""
    running = transactions.rows(db, station_id=station_id, active=True)
    return next((row for row in running if row["connector"] == connector), None)


def counting(
    rows: Iterable[Mapping[str, Any]], connector: int, session: Mapping[str, Any] | None
) -> Iterable[Mapping[str, Any]]:
    """Of what a station took, the profiles that count for a connector (OCPP 1.6 §3.13).

    For the whole station that is its maximum. A TxProfile counts during its own session. A TxDefaultProfile of the
    connector itself stands in the place of the one of the same level for all connectors.
    """
    rows = list(rows)
    own = {row["stack_level"] for row in rows if row["purpose"] == DEFAULT and row["connector"] == connector}
    for row in rows:
        if row["purpose"] == STATION:
            yield row
        elif connector and row["purpose"] == SESSION and session is not None:
            if row["transaction_id"] in {None, session["id"]}:
                yield row
        elif (
            connector and row["purpose"] == DEFAULT and (row["connector"] == connector or row["stack_level"] not in own)
        ):
            yield row


def _said(db: Connection, station_id: int, connector: int) -> tuple[dict[str, Any] | None, datetime | None]:
    """What the station answered last to GetCompositeSchedule for this connector."""
    c = composite_schedule.c
    mine = sa.select(c.answer, c.received_at).where(c.station_id == station_id, c.connector == connector)
    row = db.core.execute(mine.order_by(c.id.desc()).limit(1)).first()
    return (msgspec.json.decode(row.answer), row.received_at) if row is not None else (None, None)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer what a station took, and what that comes to."""
    yield Route(
        "GET",
        "/stations/{station}/charging-profiles",
        installed,
        "viewer",
        "List the charging profiles that a station took",
        params=OfStation,
        answer=InstalledProfiles,
        topic=TOPIC,
    )
    yield Route(
        "GET",
        "/stations/{station}/composite-schedule",
        show,
        "viewer",
        "Compute what a station may draw from now on",
        "`answer` is what the station said itself, when GetCompositeSchedule was last sent for this connector.",
        params=Asked,
        answer=CompositeSchedule,
        topic=TOPIC,
    )


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis profiles``."""
    yield Command("profiles", "arthexis_ocpp16.profiles_command:command", "Charging profiles: by name, as installed")
