"""What a person or a script can ask of a node, whether it runs (over HTTP) or not (on its files).

One table of coroutine functions for the command line, which asks them over HTTP or in its own process. The typed
routes of ``arthexis.web.api`` are for programs; both stand on the functions of ``arthexis.charging``.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from arthexis.charging import (
    connectors,
    keys,
    messages,
    meter_values,
    operations,
    reservations,
    stations,
    tag_lists,
    tags,
    tokens,
    transactions,
)
from arthexis.charging.ids import folded
from arthexis.contributions import DataTransfer, Route
from arthexis.db import backup, jobs, migrate
from arthexis.db.statements import Connection
from arthexis.errors import DomainError, NotFound, PluginError, Unavailable
from arthexis.explain import explain
from arthexis.operations import Wish
from arthexis.plugins.compose import newcomers
from arthexis.plugins.contain import attempt
from arthexis.plugins.provenance import provenance
from arthexis.plugins.states import Plugin
from arthexis.validation import invalid
from arthexis.why import why

if TYPE_CHECKING:
    from arthexis.host import Host


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask: its function, the access it needs, and its parameters as a Struct."""

    fn: Callable[..., Awaitable[Any]]
    access: str
    parameters: type[msgspec.Struct]


Moment = Annotated[datetime, msgspec.Meta(tz=True)]
REQUESTS: dict[str, Request] = {}
MOST_WAIT_S = 600.0


def request(access: str) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
    """Enter a function in the table under its name, for this access level and those above it."""

    def enter(fn: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        REQUESTS[fn.__name__.replace("_", ".", 1)] = Request(fn, access, _parameters(fn))
        return fn

    return enter


def _parameters(fn: Callable[..., Any]) -> type[msgspec.Struct]:
    hints = get_type_hints(fn, globals() | {"Host": object}, include_extras=True)
    fields = [
        (name, hints[name]) if parameter.default is parameter.empty else (name, hints[name], parameter.default)
        for name, parameter in inspect.signature(fn).parameters.items()
        if name != "host"
    ]
    return msgspec.defstruct(fn.__name__, fields, forbid_unknown_fields=True, kw_only=True)


async def ask(host: Host, name: str, parameters: dict[str, Any]) -> Any:
    """Answer a request on this node; raises ``ArthexisError``."""
    found = REQUESTS.get(name)
    if found is None:
        raise NotFound(f"no request {name!r}", place="control", cure=f"There are {', '.join(sorted(REQUESTS))}")
    try:
        given = msgspec.convert(parameters, found.parameters, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error, name, found.parameters) from None
    return await found.fn(host, **{field: getattr(given, field) for field in given.__struct_fields__})


# ---------------------------------------------------------------------- the node


@request("viewer")
async def node_status(host: Host) -> dict[str, Any]:
    """How the node is doing."""
    running = hasattr(host, "gate")
    return {
        "running": running,
        "role": host.role_name,
        "open": host.open,
        "stations_connected": len(host.links) if running else 0,
        "recovery": host.composition.recovery,
        "notices": [{"reason": notice.reason, "cure": notice.cure} for notice in host.composition.notices],
        "plugins": _counted(host),
        "unreadable_frames": host.unreadable,
        "writes_waiting": host.journal.waiting,
        "commits": host.journal.commits,
        "database_trouble": host.journal.trouble,
        "database": host.database.url.render_as_string(hide_password=True),
        "home": str(host.home),
    }


def _counted(host: Host) -> dict[str, int]:
    counts: dict[str, int] = {}
    for plugin in host.composition.plugins:
        counts[plugin.state.value] = counts.get(plugin.state.value, 0) + 1
    return counts


@request("viewer")
async def plugins_list(host: Host) -> list[dict[str, Any]]:
    """Every plugin that is installed, also since the node started, with its state, reason, cure and provenance."""
    found = [*host.composition.plugins, *await asyncio.to_thread(newcomers, host.composition)]
    came = await _provenances(found)
    return [{**plugin.to_dict(), "provenance": came.get(plugin.distribution)} for plugin in found]


async def _provenances(plugins: Sequence[Plugin]) -> dict[str, dict[str, Any] | None]:
    """Where each distribution came from; files are read in a thread."""
    installed = {plugin.distribution: plugin.installed for plugin in plugins if plugin.installed is not None}

    def look() -> dict[str, dict[str, Any] | None]:
        found = {name: attempt(provenance, distribution)[0] for name, distribution in installed.items()}
        return {name: came.to_dict() if came is not None else None for name, came in found.items()}

    return await asyncio.to_thread(look)


@request("viewer")
async def plugins_info(host: Host, name: str) -> dict[str, Any]:
    """One plugin and what it contributes."""
    found = host.composition.named(name)
    if not found:
        found = [p for p in await asyncio.to_thread(newcomers, host.composition) if name in {p.name, p.full_name}]
    plugin = _one(name, found)
    offers = {
        hook.removeprefix("register_"): [_short(c) for owner, c in contributions if owner is plugin]
        for hook, contributions in host.composition.contributions.items()
    }
    implements = [hook for hook, found in host.composition.hooks.items() if any(p is plugin for p, _ in found)]
    return {
        **plugin.to_dict(),
        "provenance": (await _provenances([plugin])).get(plugin.distribution),
        "offers": {k: v for k, v in offers.items() if v},
        "implements": implements,
        "ailments": [ailment.to_dict() for ailment in plugin.ailments.values()],
        "recent": [fault.to_dict() for fault in plugin.recent],
    }


@request("operator")
async def plugins_resume(host: Host, name: str) -> dict[str, Any]:
    """Let a degraded or suspended plugin begin anew, all of it at once; try one that is unavailable now, not later."""
    plugin = _one(name, host.composition.named(name))
    if not host.resume(plugin):
        said = f"{plugin.name} is {plugin.state}" + (f": {plugin.reason}" if plugin.reason else "")
        raise DomainError(said, place="plugins resume", cure=plugin.cure or "Only a plugin that runs can be resumed")
    return {**plugin.to_dict(), "provenance": (await _provenances([plugin])).get(plugin.distribution)}


def _one(name: str, found: Sequence[Plugin]) -> Plugin:
    """The one plugin that was found under a name; raises where there is none, or more than one."""
    if not found:
        raise NotFound(f"no plugin {name}", place="plugins", cure="See `arthexis plugins list`")
    if len(found) > 1:
        names = " or ".join(plugin.full_name for plugin in found)
        raise PluginError(f"{name} comes from several distributions", place="plugins", cure=f"Say {names}")
    return found[0]


@request("viewer")
async def plugins_explain(host: Host, name: str) -> dict[str, Any]:
    """Who would be asked for an action, an operation, a hook or anything else of a name, and what happens otherwise."""
    return explain(host, name)


def _short(contribution: Any) -> str:
    """What tells a contribution from its like: vendor and message, method and path, or its name."""
    if isinstance(contribution, DataTransfer):
        return f"{contribution.vendor_id}/{contribution.message_id or '*'}"
    if isinstance(contribution, Route):
        return f"{contribution.method} {contribution.place}"
    for name in ("name", "subprotocol", "migrations"):
        if hasattr(contribution, name):
            return str(getattr(contribution, name))
    return type(contribution).__name__


# ---------------------------------------------------------------------- stations


@request("viewer")
async def stations_list(host: Host) -> list[dict[str, Any]]:
    """Every station, and whether it is connected now."""
    found = await host.database.read(stations.rows)
    return [{**row, "connected": _connected(host, row["identity"])} for row in found]


def _connected(host: Host, identity: str) -> bool:
    return hasattr(host, "gate") and folded(identity) in host.links


@request("viewer")
async def stations_show(host: Host, station: str) -> dict[str, Any]:
    """One station with its connectors and its latest statuses."""

    def read(db: Connection) -> dict[str, Any]:
        row = stations.get(db, station)
        number = row["id"]
        return {**row, "connectors": connectors.rows(db, number), "statuses": connectors.history(db, number, 20)}

    shown = await host.database.read(read)
    return {**shown, "connected": _connected(host, shown["identity"])}


@request("viewer")
async def stations_why(host: Host, station: str) -> dict[str, Any]:
    """What may explain a station's behaviour, what wants to be mended first, and the next command to try."""
    return await why(host, station)


@request("operator")
async def stations_add(host: Host, station: str, no_key: bool = False, key: str | None = None) -> dict[str, Any]:
    """Add a station; the answer holds its URL and, this once, its key as text and as hexadecimal digits."""
    if no_key and key is not None:
        raise DomainError("a key and no key", place="stations add", cure="Leave one of --key and --no-key out")
    secret = None if no_key else _key(key)
    stored = keys.store(secret, host.pepper) if secret else None
    at = host.clock.now()
    added = await host.journal.write(lambda db: stations.add(db, station, stored, at))
    return {"station": added.identity, "urls": host.station_urls(added.identity), **_shown(secret)}


def _key(text: str | None) -> bytes:
    """A key of ours, or one that was made elsewhere; what a person would choose is refused."""
    if text is None:
        return keys.new_key()
    secret = keys.from_hex(text)
    if secret is None:
        raise DomainError(
            "a key must be 32 to 40 hexadecimal digits of 16 to 20 random bytes",
            place="stations add --key",
            cure="Leave --key out and Arthexis makes one",
        )
    return secret


def _shown(secret: bytes | None) -> dict[str, str | None]:
    if secret is None:
        return {"key": None, "key_hex": None}
    text = secret.decode("ascii", "replace")
    return {"key": text if text.isascii() and text.isprintable() else None, "key_hex": secret.hex()}


@request("operator")
async def stations_key(
    host: Host, station: str, no_key: bool = False, push: bool = False, wait: float = 0.0
) -> dict[str, Any]:
    """Give a station a new key (or none); the old one stops working at its next connection.

    With ``push`` the station is told the key over its socket and nobody else is; the old one works until the station
    first comes with the new one. The answer is then the operation, after at most ``wait`` seconds for its end.
    """
    if push:
        return await _pushed(host, station, wait, no_key=no_key)
    secret = None if no_key else keys.new_key()
    stored = keys.store(secret, host.pepper) if secret else None

    def change(db: Connection) -> str:
        found = stations.required(db, station)
        stations.set_key(db, found.row, stored)
        return found.identity

    identity = await host.journal.write(change)
    return {"station": identity, "urls": host.station_urls(identity), **_shown(secret)}


async def _pushed(host: Host, station: str, wait: float, *, no_key: bool) -> dict[str, Any]:
    """The operation by which a station is given a fresh key."""
    if no_key:
        raise DomainError("no key cannot be pushed", place="stations key", cure="Leave one of --push and --no-key out")
    _serving(host)
    giving = [d.operation for d in host.operations.declared.values() if d.operation.key_payload is not None]
    if not giving or giving[0].key_payload is None:
        raise Unavailable(
            "no plugin can tell a station its key",
            place="stations key",
            cure="Run: arthexis plugins enable arthexis-ocpp16:ocpp16.change_configuration",
        )
    payload = giving[0].key_payload(keys.new_key().hex())
    uid = await host.operations.send(station, giving[0].name, payload, Wish(requested_by="control"))
    return await host.operations.wait(uid, min(wait, MOST_WAIT_S))


@request("viewer")
async def stations_pending(host: Host) -> list[dict[str, Any]]:
    """Stations that were refused or wait for approval, with the reason."""
    return await host.database.read(stations.refused)


@request("operator")
async def stations_approve(host: Host, station: str, no_key: bool = False) -> dict[str, Any]:
    """Let a station in that was refused or waits; it gets a key unless it is to connect plainly."""
    secret = None if no_key else keys.new_key()
    stored = keys.store(secret, host.pepper) if secret else None
    at = host.clock.now()

    def approve(db: Connection) -> tuple[stations.Found, bool]:
        found = stations.find(db, station)
        if found is None:
            if not stations.was_refused(db, station):
                raise NotFound(
                    f"no station {station} has knocked", place="station", cure=f"Run: arthexis stations add {station}"
                )
            return stations.add(db, station, stored, at, registration="Accepted"), False
        stations.register(db, found.row, "Accepted")
        stations.forget_refused(db, found.identity)
        return found, True

    found, known = await host.journal.write(approve)
    _admit(host, found)
    return {
        "station": found.identity,
        "urls": host.station_urls(found.identity),
        **_shown(None if known else secret),
        "kept_key": known and not found.plain,
    }


def _admit(host: Host, found: stations.Found) -> None:
    """Tell an open socket that its station is approved, so that its next boot is accepted."""
    link = host.links.get(folded(found.identity)) if hasattr(host, "gate") else None
    if link is not None and link.station.registration != "Accepted":
        link.station.key = found.row
        link.station.registration = link.station.held = None


@request("operator")
async def stations_reject(host: Host, station: str) -> dict[str, Any]:
    """Answer a station's boots Rejected from now on."""

    def reject(db: Connection) -> stations.Found:
        found = stations.required(db, station)
        stations.register(db, found.row, "Rejected")
        return found

    found = await host.journal.write(reject)
    link = host.links.get(folded(found.identity)) if hasattr(host, "gate") else None
    if link is not None:
        link.station.registration = link.station.held = "Rejected"
    return {"station": found.identity, "registration": "Rejected"}


@request("operator")
async def stations_set(
    host: Host, station: str, mode: str | None = None, zone: str | None = None, ping: str | float | None = None
) -> dict[str, Any]:
    """Change how a station is treated: ``mode`` strict, repair or node; ``zone`` IANA name; ``ping`` seconds or node.

    ``ping`` is the silence after which it is pinged, from its next connection on; 0 for one that cannot be pinged.
    """
    if mode not in {None, "strict", "repair", "node"}:
        raise DomainError(f"no mode {mode!r}", place="station", cure="Use strict, repair or node")
    if zone is not None:
        _check_zone(zone)
    seconds = _seconds(ping)

    def change(db: Connection) -> stations.Found:
        found = stations.required(db, station)
        if mode is not None:
            stations.set_mode(db, found.row, None if mode == "node" else mode)
        if zone is not None:
            stations.set_zone(db, found.row, zone)
        if ping is not None:
            stations.set_ping(db, found.row, seconds)
        return stations.required(db, station)

    found = await host.journal.write(change)
    link = host.links.get(folded(found.identity)) if hasattr(host, "gate") else None
    if link is not None:
        link.station.strict = (found.mode or host.settings.stations.mode) == "strict"
        link.station.zone = ZoneInfo(found.zone) if found.zone else host.zone
    return {
        "station": found.identity,
        "mode": found.mode,
        "zone": found.zone,
        "ping_interval_s": found.ping_interval_s,
    }


def _seconds(ping: str | float | None) -> float | None:
    """The seconds that were meant; None for the node's own."""
    try:
        seconds = None if ping is None or ping == "node" else float(ping)
    except ValueError:
        seconds = -1.0
    if seconds is not None and not 0 <= seconds < 86_400:
        raise DomainError(f"no interval {ping!r}", place="station", cure="Use seconds, 0 for no pings, or node")
    return seconds


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise DomainError(f"no time zone {zone!r}", place="station", cure="Use an IANA name: Europe/Berlin") from None


# ---------------------------------------------------------------------- operations


def _serving(host: Host) -> None:
    """Raise ``Unavailable`` where no node runs that could reach a station."""
    if not hasattr(host, "gate"):
        raise Unavailable("no node is running, so no station can be reached", cure="Start it: arthexis start")


@request("operator")
async def operations_send(
    host: Host,
    station: str,
    action: str,
    payload: dict[str, Any] | None = None,
    wait: float = 0.0,
    queue_until: Moment | None = None,
    deadline: Moment | None = None,
    priority: int = 0,
    requested_by: str = "control",
) -> dict[str, Any]:
    """Tell a station something; the operation's record, after at most ``wait`` seconds for its end."""
    _serving(host)
    wish = Wish(priority, queue_until, deadline, requested_by=requested_by)
    uid = await host.operations.send(station, action, payload or {}, wish)
    return await host.operations.wait(uid, min(wait, MOST_WAIT_S))


@request("operator")
async def operations_send_many(
    host: Host,
    stations: list[str],
    action: str,
    payload: dict[str, Any] | None = None,
    queue_until: Moment | None = None,
    deadline: Moment | None = None,
    per_second: float | None = None,
    confirm: int | None = None,
    priority: int = 0,
    requested_by: str = "control",
) -> dict[str, Any]:
    """Tell many stations the same; a result for each, and the batch under which their ends are found."""
    _serving(host)
    host.operations.check_payload(action, payload or {})
    wish = Wish(priority, queue_until, deadline, requested_by=requested_by)
    return await host.operations.send_many(
        stations, action, payload or {}, wish, per_second=per_second, confirm=confirm
    )


@request("viewer")
async def operations_show(host: Host, operation: str, wait: float = 0.0) -> dict[str, Any]:
    """One operation, after at most ``wait`` seconds for its end."""
    return await host.operations.wait(operation, min(wait, MOST_WAIT_S))


@request("operator")
async def operations_cancel(host: Host, operation: str) -> dict[str, Any]:
    """End an operation that was not sent yet."""
    _serving(host)
    return await host.operations.cancel(operation)


@request("viewer")
async def operations_list(
    host: Host,
    station: str | None = None,
    action: str | None = None,
    state: str | None = None,
    batch: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Operations, the latest first."""

    def read(db: Connection) -> list[dict[str, Any]]:
        row = stations.required(db, station).row if station is not None else None
        return operations.rows(
            db,
            station_id=row,
            states=None if state is None else [state],
            action=action,
            batch=batch,
            before=before,
            limit=min(limit, 1000),
        )

    return await host.database.read(read)


@request("viewer")
async def operations_describe(host: Host, action: str | None = None) -> list[dict[str, Any]]:
    """What stations can be told: each operation with the JSON Schema of its request, its members explained."""
    names = sorted(host.operations.declared) if action is None else [action]
    return [host.operations.describe(name) for name in names]


# ---------------------------------------------------------------------- transactions, tags, messages


@request("viewer")
async def transactions_list(
    host: Host, station: str | None = None, id_tag: str | None = None, active: bool | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Transactions, the latest first."""

    def read(db: Connection) -> list[dict[str, Any]]:
        row = stations.required(db, station).row if station is not None else None
        return transactions.rows(db, station_id=row, id_tag=id_tag, active=active, limit=min(limit, 1000))

    return await host.database.read(read)


@request("viewer")
async def transactions_show(host: Host, transaction: int) -> dict[str, Any]:
    """One transaction with its meter values."""

    def read(db: Connection) -> dict[str, Any] | None:
        row = transactions.get(db, transaction)
        return row and {**row, "meter_values": meter_values.of_transaction(db, transaction)}

    found = await host.database.read(read)
    if found is None:
        raise NotFound(f"no transaction {transaction}", place="transactions", cure="See `arthexis transactions list`")
    return found


@request("viewer")
async def tags_list(host: Host) -> list[dict[str, Any]]:
    """Every id tag."""
    return await host.database.read(tags.rows)


@request("viewer")
async def tags_unknown(host: Host) -> list[dict[str, Any]]:
    """Tags that were refused because nobody knows them; adding one is an operator's decision."""
    return await host.database.read(tags.unknown)


@request("operator")
async def tags_add(
    host: Host,
    id_tag: str,
    status: str = "Accepted",
    expires_at: Moment | None = None,
    parent_id_tag: str | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    """Add an id tag, or change it."""
    at = host.clock.now()
    await host.journal.write(
        lambda db: tags.add(
            db, id_tag, at, status=status, expires_at=expires_at, parent_id_tag=parent_id_tag, note=note
        )
    )
    return {"id_tag": id_tag, "status": status}


@request("operator")
async def tags_remove(host: Host, id_tag: str) -> dict[str, Any]:
    """Forget an id tag."""
    await host.journal.write(lambda db: tags.remove(db, id_tag))
    return {"id_tag": id_tag, "removed": True}


@request("operator")
async def tags_alias(host: Host, id_tag: str, alias: str) -> dict[str, Any]:
    """Let another text stand for a tag."""
    fresh = await host.journal.write(lambda db: tags.add_alias(db, id_tag, alias))
    return {"id_tag": id_tag, "alias": alias, "added": fresh}


@request("operator")
async def tags_unalias(host: Host, alias: str) -> dict[str, Any]:
    """Let a text stand for no tag any more."""
    await host.journal.write(lambda db: tags.remove_alias(db, alias))
    return {"alias": alias, "removed": True}


@request("operator")
async def tags_import(
    host: Host, rows: list[tag_lists.Row], dry_run: bool = False, skip_wrong: bool = False
) -> dict[str, Any]:
    """Add the tags of a list, or change them; all of them or, if a line is wrong, none. What is wrong, by line."""
    at = host.clock.now()
    return await host.journal.write(
        lambda db: tag_lists.store(db, rows, at, dry_run=dry_run, skip_wrong=skip_wrong), slow=True
    )


@request("viewer")
async def messages_list(
    host: Host, station: str | None = None, limit: int = 100, after: int = 0
) -> list[dict[str, Any]]:
    """The latest frames as they went over the wire, oldest first."""
    return await host.database.read(lambda db: messages.rows(db, station, min(limit, 1000), after))


@request("viewer")
async def reservations_list(
    host: Host, station: str | None = None, state: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Reservations, the latest first."""

    def read(db: Connection) -> list[dict[str, Any]]:
        row = stations.required(db, station).row if station is not None else None
        return reservations.rows(db, station_id=row, state=state, limit=min(limit, 1000))

    return await host.database.read(read)


@request("viewer")
async def reservations_show(host: Host, reservation: int) -> dict[str, Any]:
    """One reservation."""
    return await host.database.read(lambda db: reservations.get(db, reservation))


@request("viewer")
async def jobs_list(
    host: Host, name: str | None = None, state: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Jobs, the latest first."""
    return await host.database.read(lambda db: jobs.rows(db, name=name, state=state, limit=min(limit, 1000)))


@request("operator")
async def jobs_retry(host: Host, job: int) -> dict[str, Any]:
    """Run a job that has failed for good once more."""
    at = host.clock.now()
    await host.journal.write(lambda db: jobs.retry(db, job, at))
    host.jobs.wake()
    return {"job": job, "state": "waiting"}


# ---------------------------------------------------------------------- tokens and the database


@request("administrator")
async def tokens_list(host: Host) -> list[dict[str, Any]]:
    """Every API token, without its secret."""
    at = host.clock.now()
    return await host.database.read(lambda db: tokens.rows(db, at))


@request("administrator")
async def tokens_add(host: Host, name: str, access: str = "viewer", days: float | None = None) -> dict[str, Any]:
    """Make an API token; the answer is the only time it is seen."""
    at = host.clock.now()
    expires_at = at + timedelta(days=days) if days is not None else None
    token = await host.journal.write(lambda db: tokens.add(db, name, access, at, expires_at))
    return {"name": name, "access": access, "expires_at": expires_at, "token": token}


@request("administrator")
async def tokens_revoke(host: Host, name: str) -> dict[str, Any]:
    """End an API token."""
    await host.journal.write(lambda db: tokens.revoke(db, name))
    return {"name": name, "revoked": True}


@request("viewer")
async def db_status(host: Host) -> dict[str, Any]:
    """Where the database is and how far each chain of migrations has come."""
    found = await host.database.read(lambda _: migrate.states(host.database, [chain for chain, _ in host.chains()]))
    path = host.database.path
    return {
        "url": host.database.url.render_as_string(hide_password=True),
        "size_bytes": path.stat().st_size if path is not None and path.exists() else None,
        "chains": [{"name": s.chain.name, "current": s.current, "head": s.head, "due": s.due} for s in found],
    }


@request("administrator")
async def db_backup(host: Host, path: str) -> dict[str, Any]:
    """Write a consistent copy of the database beside the running node."""
    size = await host.database.read(lambda _: backup.backup(host.database, Path(path)))
    return {"path": path, "size_bytes": size}


@request("administrator")
async def db_verify(host: Host) -> dict[str, Any]:
    """Whether the database is sound: its pages, its references, and that every table is there."""
    problems = await host.database.read(lambda _: backup.problems(host.database))
    return {"sound": not problems, "problems": problems}
