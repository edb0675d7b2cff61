"""Deployments: a file for many stations, or diagnostics from them, with a row and one end for each station.

A station's part is ``waiting``, then ``asking`` while its request is being made, ``asked``, then what it notifies
(``downloading``, ``downloaded``, ``installing``; ``uploading``), then ends: ``installed``, ``uploaded``, ``nothing``
(it has no diagnostics), ``failed`` or ``cancelled``. What was asked is never asked again by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from arthexis import Connection, DomainError, NotFound, station_table, stations
from arthexis_files import store, tokens
from arthexis_files.tables import deployment, file, target

RUNNING: Final = "running"
PAUSED: Final = "paused"
STOPPED: Final = "stopped"
DONE: Final = "done"
CANCELLED: Final = "cancelled"
WAITING: Final = "waiting"
ASKING: Final = "asking"
ASKED: Final = "asked"
FAILED: Final = "failed"
ENDED: Final = frozenset({"installed", "uploaded", "nothing", FAILED, CANCELLED})
CLOSING: Final = (ENDED | {"downloaded", "installing"}) - {"uploaded"}
CANCELLABLE: Final = (WAITING, ASKING, ASKED, "downloading", "uploading")
OPEN: Final = ("asking", "asked", "downloading", "downloaded", "installing", "uploading")
NOTIFIED: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "firmware.status": {
        "Downloading": ("downloading", ""),
        "Downloaded": ("downloaded", ""),
        "Installing": ("installing", ""),
        "Installed": ("installed", ""),
        "DownloadFailed": (FAILED, "the download failed"),
        "InstallationFailed": (FAILED, "the installation failed"),
    },
    "diagnostics.status": {
        "Uploading": ("uploading", ""),
        "Uploaded": ("uploaded", ""),
        "UploadFailed": (FAILED, "the upload failed"),
    },
}
KIND_OF: Final = {"firmware.status": store.FIRMWARE, "diagnostics.status": store.DIAGNOSTICS}
ACTIONS: Final = {store.FIRMWARE: "UpdateFirmware", store.DIAGNOSTICS: "GetDiagnostics"}

_t, _d = target.c, deployment.c


@dataclass(frozen=True, slots=True)
class Plan:
    """What somebody wants: the kind, the file's uid (firmware), the stations, and in which waves.

    ``stop_after``: stop when more than so many failed; ``stop_percent``: more than so many percent of those that ended.
    ``payload`` holds members of the request beside its location.
    """

    kind: str
    stations: tuple[str, ...]
    file: str | None = None
    wave_size: int = 1_000_000
    pause_s: float = 0.0
    stop_after: int | None = None
    stop_percent: float | None = None
    scheme: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """A station whose turn it is: its part (number, uid), its row and identity, and the file's name and uid."""

    target: int
    uid: str
    station_id: int
    station: str
    file: Mapping[str, Any] | None


def create(db: Connection, plan: Plan, at: datetime, until: datetime, by: str) -> str:
    """Keep a plan with a waiting part for each of its stations; its uid. Raises ``DomainError``."""
    names = list(dict.fromkeys(plan.stations))
    if not names:
        raise DomainError("no station is named", place="deployments", cure="Name one")
    row = store.get(db, plan.file) if plan.file is not None else None
    if row is not None and row["kind"] != store.FIRMWARE:
        raise DomainError(f"{row['name']} is no firmware", place=f"file {row['uid']}", cure="Add it as firmware")
    found = {each.row: each.identity for each in (stations.required(db, name) for name in names)}
    uid = uuid4().hex
    values = {
        "uid": uid,
        "kind": plan.kind,
        "file_id": row["id"] if row is not None else None,
        "state": RUNNING,
        "reason": "",
        "wave_size": plan.wave_size,
        "pause_s": plan.pause_s,
        "stop_after": plan.stop_after,
        "stop_percent": plan.stop_percent,
        "scheme": plan.scheme,
        "payload": msgspec.json.encode(plan.payload).decode(),
        "wave": 0,
        "until": until,
        "created_by": by,
        "created_at": at,
    }
    number = db.core.execute(sa.insert(deployment).values(**values).returning(_d.id)).scalar_one()
    for station_id in found:
        own = {"uid": uuid4().hex, "deployment_id": number, "station_id": station_id, "said": "", "changed_at": at}
        db.core.execute(sa.insert(target).values(**own, state=WAITING))
    return uid


def get(db: Connection, uid: str) -> dict[str, Any]:
    """A deployment's row; raises ``NotFound``."""
    row = db.core.execute(sa.select(deployment).where(_d.uid == uid)).mappings().first()
    if row is None:
        raise NotFound(f"no deployment {uid}", place="deployments", cure="See `arthexis deploy list`")
    return dict(row)


def rows(
    db: Connection, *, state: str | None = None, before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Deployments with the counts of their parts, the latest first; ``before`` is the number of the last one seen."""
    wanted = sa.select(deployment)
    wanted = wanted.where(_d.state == state) if state is not None else wanted
    wanted = wanted.where(_d.id < before) if before is not None else wanted
    return [shown(db, dict(row)) for row in db.core.execute(wanted.order_by(_d.id.desc()).limit(limit)).mappings()]


def shown(db: Connection, row: dict[str, Any]) -> dict[str, Any]:
    """A deployment for people: its file's name and how many stations are in which state."""
    named = db.core.execute(sa.select(file.c.uid, file.c.name).where(file.c.id == row["file_id"])).first()
    counted = sa.select(_t.state, sa.func.count()).where(_t.deployment_id == row["id"]).group_by(_t.state)
    counts: dict[str, int] = {state: many for state, many in db.core.execute(counted).all()}  # noqa: C416 - rows are typed as tuples nowhere
    told = {"file": named.uid if named else None, "file_name": named.name if named else None}
    return {**row, **told, "payload": msgspec.json.decode(row["payload"]), "stations": counts}


def parts(db: Connection, number: int, *, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
    """What became of each station of a deployment."""
    wanted = (
        sa.select(target, station_table.c.identity.label("station"), file.c.uid.label("file"))
        .join(station_table, station_table.c.id == _t.station_id)
        .outerjoin(file, file.c.id == _t.file_id)
        .where(_t.deployment_id == number, _t.id > after)
        .order_by(_t.id)
        .limit(limit)
    )
    return [dict(row) for row in db.core.execute(wanted).mappings()]


# ---------------------------------------------------------------------- how it goes on


def move(db: Connection, number: int, state: str, at: datetime, said: str = "", **values: Any) -> None:
    """A station's part reached a state. Tells of it by the event ``deployment.changed``.

    Once the station has its file its token is closed. One that says "uploaded" may be early: an upload closes its own.
    """
    db.core.execute(sa.update(target).where(_t.id == number).values(state=state, said=said, changed_at=at, **values))
    if state == CANCELLED:
        tokens.revoke(db, number, at)
    elif state in CLOSING:
        tokens.end(db, number)
    row = db.core.execute(
        sa.select(station_table.c.identity, _d.uid)
        .select_from(target)
        .join(deployment, _d.id == _t.deployment_id)
        .join(station_table, station_table.c.id == _t.station_id)
        .where(_t.id == number)
    ).one()
    db.event("deployment.changed", row.identity, {"deployment": row.uid, "state": state, "said": said})


def notified(db: Connection, station: str, kind: str, status: str, event_at: datetime, deadline: datetime) -> bool:
    """A station notified a status: its open part goes on; whether there is one.

    Raises ``NotFound`` for a station that is gone.
    """
    known = NOTIFIED[kind].get(status)
    row = _open_part(db, stations.required(db, station).row, KIND_OF[kind])
    if known is None or row is None or row["asked_at"] > event_at:
        return False
    state, said = known
    if state != row["state"]:
        move(db, row["id"], state, event_at, said, deadline_at=deadline)
    return True


def _open_part(db: Connection, station_id: int, kind: str) -> dict[str, Any] | None:
    """The one part of a station that was asked for and has not ended."""
    wanted = (
        sa.select(target, _d.uid.label("deployment"))
        .join(deployment, _d.id == _t.deployment_id)
        .where(_t.station_id == station_id, _d.kind == kind, _t.state.in_(OPEN))
        .order_by(_t.id.desc())
    )
    row = db.core.execute(wanted).mappings().first()
    return dict(row) if row is not None else None


def asked(db: Connection, number: int, operation: str, at: datetime) -> None:
    """A station's request was made, as this operation; what it notified meanwhile stays."""
    own = sa.update(target).where(_t.id == number)
    db.core.execute(own.values(operation=operation))
    db.core.execute(own.where(_t.state == ASKING).values(state=ASKED, changed_at=at))


def answered(db: Connection, uid: str, record: Mapping[str, Any], at: datetime) -> bool:
    """The request to a station ended as its operation's record says; whether it was for one of these parts."""
    row = db.core.execute(
        sa.select(target, _d.uid.label("deployment"), _d.kind)
        .join(deployment, _d.id == _t.deployment_id)
        .where(_t.uid == uid)
    ).mappings()
    part = row.first()
    if part is None:
        return False
    db.core.execute(sa.update(target).where(_t.id == part["id"]).values(operation=record["id"]))
    if part["state"] in {ASKING, ASKED}:
        state, said = _after(part["kind"], record)
        move(db, part["id"], state, at, said)
    return True


def _after(kind: str, record: Mapping[str, Any]) -> tuple[str, str]:
    """How a part goes on after the answer to its request."""
    state, error = record["state"], record.get("error_text") or record["state"]
    if state == "answered":
        named = isinstance(record["answer"], dict) and record["answer"].get("fileName")
        return ("nothing", "it has no diagnostics") if kind == store.DIAGNOSTICS and not named else (ASKED, "")
    if record["sent_at"] is None and state in {"station gone", "expired"}:
        return WAITING, f"not sent: {error}"
    if record["sent_at"] is not None and state in {"station gone", "sent, unknown", "timed out"}:
        return ASKED, f"{state}: it may have been heard"
    return FAILED, str(error)


def failures(db: Connection, row: Mapping[str, Any]) -> str | None:
    """Why a deployment has to stop, or None."""
    counted = sa.select(_t.state, sa.func.count()).where(_t.deployment_id == row["id"]).group_by(_t.state)
    counts: dict[str, int] = {state: many for state, many in db.core.execute(counted).all()}  # noqa: C416 - rows are typed as tuples nowhere
    failed, ended = counts.get(FAILED, 0), sum(many for state, many in counts.items() if state in ENDED)
    if row["stop_after"] is not None and failed > row["stop_after"]:
        return f"{failed} stations failed"
    if row["stop_percent"] is not None and ended and 100 * failed > row["stop_percent"] * ended:
        return f"{failed} of {ended} stations failed"
    return None


def overdue(db: Connection, row: Mapping[str, Any], at: datetime) -> None:
    """End the parts of which nothing was heard for too long, and those that waited too long for their station."""
    silent = sa.select(_t.id, _t.file_id).where(_t.deployment_id == row["id"], _t.state.in_(OPEN), _t.deadline_at <= at)
    for number, brought in list(db.core.execute(silent)):
        state = FAILED if brought is None else "uploaded"
        move(db, number, state, at, "nothing more was heard")
    if row["until"] <= at:
        waiting = sa.select(_t.id).where(_t.deployment_id == row["id"], _t.state == WAITING)
        for number in list(db.core.execute(waiting).scalars()):
            move(db, number, FAILED, at, "its station was not there in time")


def unfinished(db: Connection, row: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """How many parts are open, and those that wait, the first first."""
    own = _t.deployment_id == row["id"]
    many = db.core.execute(sa.select(sa.func.count()).where(own, _t.state.in_(OPEN))).scalar_one()
    waiting = (
        sa.select(target, station_table.c.identity.label("station"))
        .join(station_table, station_table.c.id == _t.station_id)
        .where(own, _t.state == WAITING)
        .order_by(_t.id)
    )
    return int(many), [dict(found) for found in db.core.execute(waiting).mappings()]


def ask_now(
    db: Connection,
    row: Mapping[str, Any],
    waiting: Iterable[Mapping[str, Any]],
    here: frozenset[str],
    at: datetime,
    wave: int,
) -> list[Turn]:
    """The stations whose turn it is in a wave, of those that are ``here``; each is marked before it is asked.

    Those of the wave that were not reached after all come again with it.

    A station that is busy with another deployment of the kind waits for that one's end.
    """
    named = db.core.execute(sa.select(file).where(file.c.id == row["file_id"])).mappings().first()
    firmware = dict(named) if named is not None else None
    turns: list[Turn] = []
    for part in waiting:
        free = part["station"].casefold() in here and _open_part(db, part["station_id"], row["kind"]) is None
        if free and len(turns) < row["wave_size"]:
            turns.append(Turn(part["id"], part["uid"], part["station_id"], part["station"], firmware))
    if turns:
        db.core.execute(sa.update(deployment).where(_d.id == row["id"]).values(wave=wave, next_wave_at=None))
        for turn in turns:
            move(db, turn.target, ASKING, at, wave=wave, asked_at=at)
    return turns


def change(db: Connection, row: Mapping[str, Any], state: str, at: datetime, reason: str = "") -> None:
    """A deployment reached a state; how its stations go on is theirs (see ``move``)."""
    values: dict[str, Any] = {"state": state, "reason": reason, "next_wave_at": None}
    if state in {DONE, CANCELLED}:
        values["finished_at"] = at
    db.core.execute(sa.update(deployment).where(_d.id == row["id"]).values(**values))
    db.event("deployment.changed", None, {"deployment": row["uid"], "state": state, "said": reason})


def waits_until(db: Connection, row: Mapping[str, Any], at: datetime, pause_s: float) -> None:
    """The wave is over: the next one begins so much later."""
    moment = at + timedelta(seconds=pause_s)
    db.core.execute(sa.update(deployment).where(_d.id == row["id"]).values(next_wave_at=moment))


def steer(db: Connection, uid: str, wish: str, at: datetime) -> dict[str, Any]:
    """Pause, resume or cancel a deployment; its row. Raises ``DomainError`` where that is not possible.

    No station can be told to forget what it was asked, so that a pause lets it go on. A cancelled one asks nobody
    else and closes what was opened for it; only a station that has its file already goes on to its end.
    """
    row = get(db, uid)
    allowed = {"pause": {RUNNING}, "resume": {PAUSED, STOPPED}, "cancel": {RUNNING, PAUSED, STOPPED}}[wish]
    if row["state"] not in allowed:
        raise DomainError(
            f"it is {row['state']}", place=f"deployment {uid}", cure=f"Only {' or '.join(sorted(allowed))} ones can"
        )
    if wish == "resume" and row["state"] == STOPPED:
        db.core.execute(sa.update(deployment).where(_d.id == row["id"]).values(stop_after=None, stop_percent=None))
    if wish == "cancel":
        unfinished_ones = sa.select(_t.id).where(_t.deployment_id == row["id"], _t.state.in_(CANCELLABLE))
        for number in list(db.core.execute(unfinished_ones).scalars()):
            move(db, number, CANCELLED, at)
    change(db, row, {"pause": PAUSED, "resume": RUNNING, "cancel": CANCELLED}[wish], at)
    return get(db, uid)


def of_station(db: Connection, station: str) -> list[str]:
    """The deployments that run and that this station is in."""
    wanted = (
        sa.select(_d.uid)
        .join(target, _t.deployment_id == _d.id)
        .join(station_table, station_table.c.id == _t.station_id)
        .where(station_table.c.identity == station, _d.state == RUNNING)
        .distinct()
    )
    return list(db.core.execute(wanted).scalars())


def is_asking(db: Connection, number: int) -> bool:
    """Whether a part is still being asked for: it may have been cancelled meanwhile."""
    return db.core.execute(sa.select(_t.state).where(_t.id == number)).scalar() == ASKING


def asking(db: Connection, number: int) -> list[Turn]:
    """The parts that were marked and of which it is not known whether their request was made."""
    wanted = (
        sa.select(target, station_table.c.identity.label("station"))
        .join(station_table, station_table.c.id == _t.station_id)
        .where(_t.deployment_id == number, _t.state == ASKING, _t.operation.is_(None))
    )
    found = db.core.execute(wanted).mappings()
    return [Turn(row["id"], row["uid"], row["station_id"], row["station"], None) for row in found]
