"""Why: the one answer at 3 a.m. about a station, from what the node knows, with the next command to try.

Each finding is a fact in a few words; those that want something done come first and carry the command for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from arthexis.charging import connectors, messages, operations, stations, transactions
from arthexis.charging.ids import folded
from arthexis.charging.station import Station
from arthexis.charging.stations import Found
from arthexis.charging.tables import connector_status
from arthexis.contributions import Finding
from arthexis.db.statements import Connection
from arthexis.errors import NotFound
from arthexis.plugins.contain import Suspended, kind

if TYPE_CHECKING:
    from arthexis.host import Host

LOOKED_AT = 500
LOOK_S = 2.0
MOST_FINDINGS = 100
SKEW = timedelta(minutes=5)
LONG_SILENT = 3.0
FARTHEST_ZONE = timedelta(hours=14)
NEAR_WHOLE_HOUR = 0.45

Look = Callable[["Host", Connection, Found, datetime], Iterable[Finding]]


async def why(host: Host, identity: str) -> dict[str, Any]:
    """Everything the node knows that may explain how a station behaves; raises ``NotFound`` for one never heard of."""
    now = host.clock.now()
    found, findings = await host.database.read(lambda db: _looked(host, db, identity, now))
    if found is not None:
        findings += await _from_plugins(host, Station(found.identity, found.row, found.registration))
    ordered = sorted(findings, key=lambda finding: not finding.wrong)
    return {
        "station": found.identity if found is not None else identity,
        "findings": [{"wrong": f.wrong, "said": f.said, "command": f.command} for f in ordered],
        "next": next((f.command for f in ordered if f.command), None),
    }


async def _from_plugins(host: Host, station: Station) -> list[Finding]:
    findings: list[Finding] = []
    for plugin, diagnosis in host.composition.diagnoses:
        look = partial(_asked, look=diagnosis.look, station=station)
        hook = f"diagnosis {diagnosis.name}"
        if host.database.memory:
            told, error = await host.contain.timed(LOOK_S, plugin, host.database.read, look, hook=hook)
        else:
            read = partial(host.database.read_now, look)
            told, error = await host.contain.apart(LOOK_S, plugin, read, hook=hook)
        findings += told or []
        if isinstance(error, Suspended):
            findings.append(Finding(error.problem, wrong=True, command=f"arthexis plugins info {plugin.name}"))
    return findings


def _asked(db: Connection, look: Callable[[Connection, Station], Iterable[Finding]], station: Station) -> list[Finding]:
    """What a plugin finds, whole; raises ``TypeError`` for what is no finding."""
    told: list[Any] = list(islice(look(db, station), MOST_FINDINGS))
    wrong = next((finding for finding in told if not isinstance(finding, Finding)), None)
    if wrong is not None:
        raise TypeError(f"yielded {kind(wrong)} instead of Finding")
    return told


def _looked(host: Host, db: Connection, identity: str, now: datetime) -> tuple[Found | None, list[Finding]]:
    found = stations.find(db, identity)
    refused = [row for row in stations.refused(db) if folded(row["identity"]) == folded(identity)]
    if found is None and not refused:
        raise NotFound(
            f"no station {identity} was ever heard of",
            place="station",
            cure=f"Add it: arthexis stations add {identity}",
        )
    findings = list(_refusals(refused, known=found is not None))
    if found is not None:
        for look in LOOKS:
            findings += look(host, db, found, now)
    return found, findings


def _refusals(rows: list[dict[str, Any]], *, known: bool) -> Iterator[Finding]:
    for row in rows:
        last = f"{row['last_at']:%Y-%m-%d %H:%M:%S} UTC from {row['remote']}"
        said = f"was refused {row['tries']} times, last at {last}: {row['reason']}"
        cure = "stations key" if known else "stations approve"
        yield Finding(said, wrong=True, command=f"arthexis {cure} {row['identity']}")


def _socket(host: Host, _db: Connection, found: Found, _now: datetime) -> Iterator[Finding]:
    link = host.links.get(folded(found.identity)) if hasattr(host, "gate") else None
    if not hasattr(host, "gate"):
        yield Finding("the node is not running", wrong=True, command="arthexis start")
    elif link is None:
        yield Finding("is not connected", wrong=True, command=f"arthexis messages list --station {found.identity}")
    else:
        silent_s = host.loop.time() - link.heard
        yield Finding(f"is connected from {link.remote} and was last heard {silent_s:.0f} s ago")
        if silent_s > LONG_SILENT * host.settings.stations.heartbeat_interval_s:
            yield Finding(
                "has not sent its heartbeats",
                wrong=True,
                command=f"arthexis send {found.identity} TriggerMessage --requested-message Heartbeat",
            )


def _registration(_host: Host, db: Connection, found: Found, _now: datetime) -> Iterator[Finding]:
    if found.registration in {"Pending", "Rejected"}:
        yield Finding(
            f"its boots are answered {found.registration}",
            wrong=True,
            command=f"arthexis stations approve {found.identity}",
        )
    elif found.registration is None:
        yield Finding("has never booted here")
    if found.plain:
        yield Finding("connects without a key", command=None)
    row = next(row for row in stations.rows(db) if row["id"] == found.row)
    if row["booted_at"] is not None:
        told = " ".join(filter(None, (row["vendor"], row["model"], row["firmware_version"])))
        yield Finding(f"last booted at {row['booted_at']:%Y-%m-%d %H:%M:%S} UTC as {told}")


def _connectors(_host: Host, db: Connection, found: Found, _now: datetime) -> Iterator[Finding]:
    rows = connectors.rows(db, found.row)
    if not rows:
        yield Finding(
            "no connector has reported a status",
            command=f"arthexis send {found.identity} TriggerMessage --requested-message StatusNotification",
        )
    for row in rows:
        wrong = row["status"] in {"Faulted", "Unavailable"}
        error = "" if row["error_code"] == "NoError" else f" ({row['error_code']})"
        command = f"arthexis send {found.identity} Reset --type Soft" if row["status"] == "Faulted" else None
        yield Finding(f"connector {row['number']} is {row['status']}{error}", wrong=wrong, command=command)


def _sessions(_host: Host, db: Connection, found: Found, _now: datetime) -> Iterator[Finding]:
    for row in transactions.rows(db, station_id=found.row, active=True):
        since = f"{row['started_at']:%Y-%m-%d %H:%M:%S} UTC"
        told = f"transaction {row['id']} is open on connector {row['connector']} since {since}"
        yield Finding(told + (f" ({'; '.join(row['flags'])})" if row["flags"] else ""))
        if row["authorization"] != "Accepted":
            yield Finding(
                f"transaction {row['id']} runs though its tag is {row['authorization']}",
                wrong=True,
                command="arthexis tags unknown",
            )


def _operations(_host: Host, db: Connection, found: Found, _now: datetime) -> Iterator[Finding]:
    for row in operations.rows(db, station_id=found.row, limit=20):
        if not row["final"]:
            yield Finding(
                f"{row['action']} is {row['state']} since {row['created_at']:%H:%M:%S} UTC",
                command=f"arthexis operations show {row['id']}",
            )
        elif row["state"] in {operations.ERROR, operations.TIMED_OUT, operations.SENT_UNKNOWN}:
            said = f"{row['action']} at {row['created_at']:%Y-%m-%d %H:%M:%S} UTC ended: {row['state']}"
            yield Finding(said, wrong=True, command=f"arthexis operations show {row['id']}")


def _repairs(_host: Host, db: Connection, found: Found, _now: datetime) -> Iterator[Finding]:
    seen = Counter(text for row in messages.rows(db, found.identity, LOOKED_AT) for text in row["repairs"])
    for text, times in seen.most_common(5):
        yield Finding(f"its frames are mended, {times} of the last {LOOKED_AT}: {text}")


def _clock(host: Host, db: Connection, found: Found, _now: datetime) -> Iterator[Finding]:
    wanted = sa.select(connector_status.c.at, connector_status.c.received_at).where(
        connector_status.c.station_id == found.row, connector_status.c.at.is_not(None)
    )
    rows = db.core.execute(wanted.order_by(connector_status.c.id.desc()).limit(10)).all()
    if rows:
        skew = min((row.received_at - row.at for row in rows), key=abs)
        if abs(skew) > SKEW:
            word = "behind" if skew > timedelta(0) else "ahead"
            zone = abs(skew) < FARTHEST_ZONE and abs(skew.total_seconds() / 3600 % 1 - 0.5) > NEAR_WHOLE_HOUR
            cure = (
                "stations set {} --zone <its zone>" if zone else "send {} TriggerMessage --requested-message Heartbeat"
            )
            yield Finding(
                f"its clock is {abs(skew).total_seconds() / 60:.0f} minutes {word}",
                wrong=True,
                command=f"arthexis {cure.format(found.identity)}",
            )


LOOKS: tuple[Look, ...] = (_socket, _registration, _connectors, _sessions, _operations, _clock, _repairs)
