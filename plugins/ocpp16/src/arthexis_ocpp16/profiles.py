"""Charging profiles: by name, as installed on stations, and the rules that the schemas do not say (OCPP 1.6 §3.13)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import UNSET

from arthexis import Connection, DomainError, NotFound, parse_utc
from arthexis_ocpp16.decimals import check_decimals
from arthexis_ocpp16.messages import ChargingProfile
from arthexis_ocpp16.tables import installed_profile, named_profile

STATION: Final = "ChargePointMaxProfile"
SESSION: Final = "TxProfile"


def refused(problem: str, cure: str) -> DomainError:
    """A profile that no station may get."""
    return DomainError(problem, place="chargingProfile", cure=cure)


def check(profile: ChargingProfile, connector: int | None, *, remote_start: bool = False) -> None:
    """Raise ``DomainError`` for a profile that breaks a rule of OCPP 1.6 §3.13 or its errata.

    ``connector`` None: not known yet. ``remote_start``: it goes with a RemoteStartTransaction (errata 3.41).
    """
    _check_purpose(profile, connector, remote_start=remote_start)
    _check_kind(profile)
    _check_schedule(profile)
    since, until = _time(profile.valid_from, "validFrom"), _time(profile.valid_to, "validTo")
    if since is not None and until is not None and since >= until:
        raise refused("validTo is not after validFrom", "Mend one of them")
    crooked = check_decimals(profile)
    if crooked:
        raise refused(f"{crooked[0]} has more than one decimal", "Round it to one decimal")


def _check_purpose(profile: ChargingProfile, connector: int | None, *, remote_start: bool) -> None:
    purpose, bound = profile.charging_profile_purpose, profile.transaction_id is not UNSET
    if remote_start and (purpose != SESSION or bound):
        raise refused("a remote start takes a TxProfile without transactionId", "Use the purpose TxProfile")
    if purpose == SESSION and not remote_start and not bound:
        raise refused("a TxProfile belongs to a transaction", "Name its transactionId, or use TxDefaultProfile")
    if purpose != SESSION and bound:
        raise refused(f"a {purpose} names no transaction", "Leave transactionId out")
    if purpose == STATION and connector not in {None, 0}:
        raise refused("a ChargePointMaxProfile is for the whole station", "Use connector 0")
    if purpose == SESSION and connector == 0:
        raise refused("a TxProfile is for one connector", "Name the session's connector")
    if profile.stack_level < 0:
        raise refused("stackLevel is negative", "Use 0 or higher")


def _check_kind(profile: ChargingProfile) -> None:
    kind, starts = profile.charging_profile_kind, profile.charging_schedule.start_schedule is not UNSET
    if kind == "Relative" and starts:
        raise refused("a Relative schedule has no startSchedule", "Leave startSchedule out")
    if kind == "Recurring" and not (starts and profile.recurrency_kind is not UNSET):
        raise refused("a Recurring profile needs recurrencyKind and startSchedule", "Add them")
    if kind != "Recurring" and profile.recurrency_kind is not UNSET:
        raise refused(f"a profile of the kind {kind} does not recur", "Leave recurrencyKind out")
    if kind == "Absolute" and not starts:
        raise refused("an Absolute schedule needs startSchedule", "Add it, in UTC")
    _time(profile.charging_schedule.start_schedule, "startSchedule")


def _check_schedule(profile: ChargingProfile) -> None:
    schedule = profile.charging_schedule
    periods = schedule.charging_schedule_period
    if not periods or periods[0].start_period != 0:
        raise refused("the first period must start at 0", "Set its startPeriod to 0")
    if any(late.start_period <= early.start_period for early, late in pairwise(periods)):
        raise refused("the periods are not in order", "Sort them by startPeriod")
    if any(period.limit < 0 for period in periods):
        raise refused("a limit is negative", "Use 0 or more")
    if any(period.number_phases is not UNSET and not 1 <= period.number_phases <= 3 for period in periods):
        raise refused("numberPhases is not 1, 2 or 3", "Mend it")
    if schedule.duration is not UNSET and schedule.duration <= 0:
        raise refused("duration is not positive", "Leave it out, or use seconds above 0")


def _time(text: object, member: str) -> datetime | None:
    if text is UNSET:
        return None
    found = parse_utc(str(text))
    if found is None:
        raise refused(f"{member} is no time", "Write it like 2027-01-31T12:00:00Z")
    return found


# ---------------------------------------------------------------------- by name


def put(db: Connection, name: str, profile: Mapping[str, Any], at: datetime) -> ChargingProfile:
    """Keep a profile under a name, in the place of the one before; raises ``DomainError`` for one that is wrong."""
    made = convert(profile)
    _check_kind(made)
    _check_schedule(made)
    values = {"profile": msgspec.json.encode(made).decode(), "changed_at": at}
    if db.core.execute(sa.update(named_profile).where(named_profile.c.name == name).values(**values)).rowcount == 0:
        db.core.execute(sa.insert(named_profile).values(name=name, **values))
    return made


def named(db: Connection, name: str) -> dict[str, Any]:
    """The profile of this name as OCPP JSON; raises ``NotFound``."""
    found = db.core.execute(sa.select(named_profile.c.profile).where(named_profile.c.name == name)).scalar()
    if found is None:
        raise NotFound(f"no charging profile {name}", place="chargingProfile", cure="Put one under this name first")
    value: dict[str, Any] = msgspec.json.decode(found)
    return value


def names(db: Connection) -> list[dict[str, Any]]:
    """All profiles that have a name."""
    found = db.core.execute(sa.select(named_profile).order_by(named_profile.c.name)).mappings()
    return [{**row, "profile": msgspec.json.decode(row["profile"])} for row in found]


def forget(db: Connection, name: str) -> None:
    """Forget a name; raises ``NotFound``."""
    named(db, name)
    db.core.execute(sa.delete(named_profile).where(named_profile.c.name == name))


def resolved(db: Connection, given: object) -> object:
    """The profile itself where only its name was given."""
    return named(db, given) if isinstance(given, str) else given


def convert(profile: object) -> ChargingProfile:
    """A profile from OCPP JSON; raises ``DomainError``."""
    try:
        return msgspec.convert(profile, ChargingProfile)
    except msgspec.ValidationError as wrong:
        raise DomainError(str(wrong), place="chargingProfile", cure="See OCPP 1.6 §7.8") from None


# ---------------------------------------------------------------------- as installed


def install(db: Connection, station_id: int, connector: int, profile: ChargingProfile, at: datetime) -> None:
    """A station took a profile: it replaces the one of the same id, and the one of the same purpose and level."""
    column = installed_profile.c
    same_place = sa.and_(
        column.connector == connector,
        column.stack_level == profile.stack_level,
        column.purpose == profile.charging_profile_purpose,
        column.purpose != SESSION,
    )
    same_session = sa.and_(
        column.purpose == SESSION,
        column.stack_level == profile.stack_level,
        column.transaction_id == (None if profile.transaction_id is UNSET else profile.transaction_id),
    )
    gone = sa.or_(column.profile_id == profile.charging_profile_id, same_place, same_session)
    db.core.execute(sa.delete(installed_profile).where(column.station_id == station_id, gone))
    db.core.execute(
        sa.insert(installed_profile).values(
            station_id=station_id,
            connector=connector,
            profile_id=profile.charging_profile_id,
            stack_level=profile.stack_level,
            purpose=profile.charging_profile_purpose,
            transaction_id=None if profile.transaction_id is UNSET else profile.transaction_id,
            profile=msgspec.json.encode(profile).decode(),
            installed_at=at,
        )
    )


def clear(db: Connection, station_id: int, request: Mapping[str, Any]) -> int:
    """A station cleared profiles (OCPP 1.6 §5.5): an id alone decides, else all fields given must fit. How many."""
    column = installed_profile.c
    wanted = sa.delete(installed_profile).where(column.station_id == station_id)
    if "id" in request:
        return int(db.core.execute(wanted.where(column.profile_id == request["id"])).rowcount)
    fields = {
        "connectorId": column.connector,
        "chargingProfilePurpose": column.purpose,
        "stackLevel": column.stack_level,
    }
    for wire, place in fields.items():
        if wire in request:
            wanted = wanted.where(place == request[wire])
    return int(db.core.execute(wanted).rowcount)


def installed(db: Connection, station_id: int, connector: int | None = None) -> list[dict[str, Any]]:
    """The profiles that a station should hold; those that count for one connector, where one is named."""
    wanted = sa.select(installed_profile).where(installed_profile.c.station_id == station_id)
    if connector is not None:
        wanted = wanted.where(installed_profile.c.connector.in_((0, connector)))
    found = db.core.execute(wanted.order_by(installed_profile.c.connector, installed_profile.c.stack_level.desc()))
    return [{**row, "profile": msgspec.json.decode(row["profile"])} for row in found.mappings()]
