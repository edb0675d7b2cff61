"""The node: a composition, a database, a journal and the links of its stations, started and stopped in one place."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from arthexis.charging import keys, messages, stations
from arthexis.charging.decisions import Admission, Authorization, ConnectionRequest, Registration, unsound
from arthexis.charging.ids import folded
from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.clock import Clock
from arthexis.config import Settings
from arthexis.db import backup, migrate
from arthexis.db import events as event_log
from arthexis.db import jobs as job_rows
from arthexis.db.engine import Database
from arthexis.db.events import Event, Told
from arthexis.db.journal import Journal
from arthexis.db.migrate import Chain
from arthexis.errors import PluginError, Refused, Unavailable
from arthexis.jobs import Jobs
from arthexis.lifespans import Context, Lifespans, context_of
from arthexis.ocppj.dialect import dialects
from arthexis.ocppj.gate import Gate
from arthexis.ocppj.link import Link
from arthexis.operations import Operations
from arthexis.plugins.compose import Composition
from arthexis.plugins.contain import Contain, Limits, attempt
from arthexis.plugins.registry import Deciders
from arthexis.plugins.states import RUNNING, Plugin, State
from arthexis.subscribers import Readers
from arthexis.system import lan_addresses
from arthexis.telling import Tellers
from arthexis.watchdog import Watchdog, culprit

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

log = logging.getLogger("arthexis.host")

S = TypeVar("S")
SWEEP_S = 0.25
STRAY = "task of its own"
"""Where a fault is counted that came out of a task or callback which a plugin started past the node."""
RETRY_BOOT_S = 30
SEEN_S = 10.0
HOUSEKEEPING_S = 60.0
KEEP_EVENTS = timedelta(days=30)
KEEP_JOBS = timedelta(days=7)
PEPPER_BYTES = 32
LOUD = frozenset({State.FAILED, State.UNAVAILABLE, State.DEGRADED, State.SUSPENDED})
LIVE = {
    "station.booted": "on_booted",
    "status.changed": "on_status_changed",
    "transaction.started": "on_transaction_started",
    "transaction.metered": "on_transaction_metered",
    "transaction.stopped": "on_transaction_stopped",
    "operation.finished": "on_operation_finished",
    "reservation.changed": "on_reservation_changed",
    "tag.scanned": "on_tag_scanned",
}


class Host:
    """A running node. ``open`` admits unknown stations and tags; only ever true on loopback."""

    def __init__(
        self,
        settings: Settings,
        composition: Composition,
        home: Path,
        *,
        open_mode: bool = False,
        admit_pending_minutes: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """Put the parts together; nothing runs and nothing is opened before ``start``."""
        self.settings = settings
        self.composition = composition
        self.home = home
        self.open = open_mode
        self.clock = clock or Clock()
        node = settings.node
        limits = Limits(node.suspend_after, node.suspend_within_s, node.suspend_s)
        self.contain = Contain(self.clock, limits)
        self.database = Database(settings.database.url, home)
        self.journal = Journal(self.database, self.clock)
        self.zone = ZoneInfo(settings.stations.default_zone)
        self.log_messages = settings.messages.log
        self.tells_messages = bool(composition.hooks.get("on_message"))
        self._live = frozenset(kind for kind, hook in LIVE.items() if composition.hooks.get(hook))
        self.dialects = dialects((p for _, p in composition.protocols), composition.actions)
        self.pepper = b""
        self.unreadable = 0
        self.role_name = ""
        self.started_with: tuple[str, ...] = ()
        self.restart_options: list[str] | None = None
        self.bound_port = settings.http.port
        self.watchers: set[Callable[[], None]] = set()
        self._admit_until = self.clock.monotonic() + 60 * admit_pending_minutes if admit_pending_minutes else 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watchdog = Watchdog(self, SWEEP_S)
        self._tellers = Tellers(self)
        self._lifespans = Lifespans(self)
        self._readers = Readers(self)
        self.operations = Operations(self)
        self.jobs = Jobs(self)
        self._services = {service.interface: service.implementation for _, service in composition.services}
        self._deciders = self._decide_tables()

    def _decide_tables(self) -> dict[str, Deciders]:
        """Who is asked for each decision; connection and authorization fail closed."""
        tables: dict[str, tuple[type, Any]] = {
            "decide_connection": (Admission, Admission(False, "a plugin failed to decide")),
            "decide_boot": (Registration, None),
            "decide_authorization": (Authorization, Authorization("Invalid")),
            "decide_connector": (int, None),
        }
        hooks = self.composition.hooks
        return {
            name: Deciders(name, self.contain, hooks.get(name, ()), kind, closed, unsound)
            for name, (kind, closed) in tables.items()
        }

    # ------------------------------------------------------------------ start and stop

    async def start(self) -> None:
        """Open everything, in order; raises ``ArthexisError`` where the node itself cannot run."""
        await self.open_files()
        async with contextlib.AsyncExitStack() as opened:
            opened.push_async_callback(self.stop)
            await self._begin()
            opened.pop_all()

    async def _begin(self) -> None:
        """Everything behind the files."""
        self.fatal: asyncio.Future[str] = self.loop.create_future()
        self.no_key = keys.store(b"", self.pepper)
        self.journal.on_events = self._committed
        self.journal.on_fatal = self._fail
        self.gate = Gate(self)
        self._watchdog.start()
        self.loop.set_exception_handler(self.unheard)
        for name, work in (("sweeper", self._sweep()), ("housekeeping", self._keep_house())):
            self.spawn(work, name)
        self._tellers.start()
        for plugin in self.composition.plugins:
            plugin.on_change = self.tell_plugin
        await self._lifespans.open()
        await self._readers.start()
        await self.operations.start()
        await self.jobs.start()

    async def open_files(self) -> None:
        """Open the data folder, migrated: enough to read and change what is stored, without serving anybody."""
        self.loop = asyncio.get_running_loop()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.pepper = load_secret(self.home / "pepper", PEPPER_BYTES)
        self.migrate()
        await self.journal.start()

    async def close_files(self) -> None:
        """Write what waits and close the database."""
        await self.journal.stop()
        self.database.close()

    async def stop(self) -> None:
        """Close links, then plugins, then the journal: what was answered is stored, what is stored stays."""
        await self.close_links()
        await self._readers.stop()
        await self._lifespans.close()
        self._watchdog.stop()
        self.loop.set_exception_handler(None)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.settings.node.plugin_timeout_s)
        for task in self._tasks:
            log.warning("%s does not end and is left behind", task.get_name())
        await self.close_files()

    async def close_links(self) -> None:
        """Let no more stations in, and tell those that are here that the node goes away (1001)."""
        if hasattr(self, "gate"):
            closing = (link.go_away("the node is stopping") for link in self.gate.shut())
            await asyncio.gather(*closing, return_exceptions=True)

    def chains(self) -> list[tuple[migrate.Chain, list[Plugin]]]:
        """Every chain of migrations, the host's first, with the plugins that need it."""
        found: list[tuple[migrate.Chain, list[Plugin]]] = [(migrate.Chain(migrate.HOST, migrate.HOST_MIGRATIONS), [])]
        for plugin, tables in self.composition.tables:
            mates = [p for p in self.composition.plugins if p.distribution == plugin.distribution and p.climbing]
            found.append((migrate.Chain(chain_of(plugin.distribution), tables.migrations), mates))
        return found

    def migrate(self) -> None:
        """Bring every chain to its head; a plugin whose chain fails is failed, the host's failure is raised.

        Before data that is there already is changed, a SQLite database is copied to the folder ``backups``.
        """
        chains = self.chains()
        self._back_up([chain for chain, _ in chains])
        for chain, plugins in chains:
            try:
                migrate.bring_up(self.database, chain)
            except PluginError as error:
                if chain.name == migrate.HOST:
                    raise
                for plugin in plugins:
                    plugin.fail(State.MIGRATED, error.problem, error.cure)
                    self.drop_actions(plugin)
        for plugin in self.composition.plugins:
            if plugin.state is State.CONFIGURED:
                plugin.climb(State.MIGRATED)

    def drop_tables(self, distributions: Collection[str]) -> None:
        """Take the tables of these distributions out of the database of a node that does not run, after a backup."""
        wanted = {chain_of(name) for name in distributions}
        chains = {chain.name: chain for chain, plugins in self.chains() if plugins and chain.name in wanted}
        unknown = [name for name in sorted(wanted - chains.keys()) if migrate.tables_of(self.database, name)]
        if unknown:
            said = f"the tables of {', '.join(unknown)} are known only while its plugins are on"
            raise Refused(said, place="database", cure="Enable it first, or leave --drop-tables out")
        if self.database.path is not None and self.database.path.exists():
            name = f"before-uninstall-{self.clock.now():%Y%m%d-%H%M%S}.db"
            backup.backup(self.database, self.home / "backups" / name)
        for chain in chains.values():
            migrate.drop(self.database, chain)

    def drop_actions(self, plugin: Plugin) -> None:
        """A plugin that failed answers nothing: its actions are off (NotSupported), not broken."""
        for dialect in self.dialects.values():
            for name in [name for name, ready in dialect.ready.items() if ready.plugin is plugin]:
                del dialect.ready[name]

    def _back_up(self, chains: list[Chain]) -> None:
        found, error = attempt(self.database.read_now, lambda _: migrate.states(self.database, chains))
        if error is None and self.database.path is not None and migrate.backup_is_due(found or ()):
            name = f"before-migration-{self.clock.now():%Y%m%d-%H%M%S}.db"
            backup.backup(self.database, self.home / "backups" / name)

    def _fail(self, reason: str) -> None:
        """The disk lies: stop answering at once (exit status 70)."""
        if not self.fatal.done():
            log.critical("%s; the node stops so that no answer is a lie", reason)
            self.fatal.set_result(reason)

    def resume(self, plugin: Plugin) -> bool:
        """Let a plugin that runs begin anew, or try again now what is unavailable; False if there is nothing to do."""
        if plugin.state in RUNNING:
            self.contain.resume(plugin)
            self.jobs.wake()
            return True
        return self._lifespans.retry(plugin)

    def unheard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The loop's exception handler: what nobody took is counted against the plugin whose code raised it."""
        error = context.get("exception")
        if not (isinstance(error, BaseException) and self.strayed(error)):
            loop.default_exception_handler(context)

    def strayed(self, error: BaseException) -> bool:
        """Count an error that got out of everything, if it came from a plugin; whether it did."""
        plugin = culprit(error, self._watchdog.owners)
        if plugin is not None:
            self.contain.count(plugin, error, STRAY)
        return plugin is not None

    def keep_loop(self, plugin: Plugin) -> None:
        """After a plugin's code ran: the loop's exception handler is still the node's own, or is again."""
        if self.loop.get_exception_handler() != self.unheard:
            self.loop.set_exception_handler(self.unheard)
            wrong = PluginError("it changed the event loop's exception handler, which is the node's; that was undone")
            self.contain.count(plugin, wrong, "lifespan")

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a task that ends with the node; what it raises is logged."""
        task = self.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended: %s", task.get_name(), error, exc_info=error)

    # ------------------------------------------------------------------ what others ask the node

    @property
    def page_url(self) -> str:
        """The first page's URL."""
        bound = self.settings.http.host
        name = "127.0.0.1" if bound in {"", "0.0.0.0", "::"} else bound  # noqa: S104 - compared, not bound
        return f"http://{_in_url(name)}:{self.bound_port}/"

    def station_urls(self, identity: str) -> list[str]:
        """The URLs under which a station reaches this node: the public one, or one for each address it listens on."""
        named = identity if identity.startswith("<") else quote(identity, safe="")
        http = self.settings.http
        if http.public_url:
            return [f"{http.public_url.rstrip('/').replace('http', 'ws', 1)}/ocpp/{named}"]
        everywhere = http.host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        addresses = lan_addresses() if everywhere else [http.host]
        return [f"ws://{_in_url(a)}:{self.bound_port}/ocpp/{named}" for a in addresses or ["127.0.0.1"]]

    def reachable_url(self, path: str) -> str:
        """The http(s) URL of a path as stations reach this node: below the public one, where there is one."""
        socket, _, _ = self.station_urls("<identity>")[0].rpartition("/ocpp/")
        return socket.replace("ws", "http", 1) + path

    @property
    def links(self) -> dict[str, Link]:
        """The open sockets by case-folded identity."""
        return self.gate.links

    def service(self, interface: Callable[..., S]) -> S | None:
        """The implementation of an interface of ``arthexis.services``, or None if no plugin offers one.

        (An interface is a Protocol class; ``type[S]`` would have mypy refuse those.)
        """
        return self._services.get(interface)  # type: ignore[call-overload, no-any-return]

    def connected(self, identity: str) -> Station | None:
        """The station of this identity, whatever its case, while it is connected; None while it is not."""
        link = self.links.get(folded(identity))
        return link.station if link is not None else None

    def context(self, plugin: Plugin) -> Context:
        """What handlers of a plugin get: its settings, this node, the journal, the clock and a logger."""
        return context_of(self, plugin)

    def admits_pending(self) -> bool:
        """Whether unknown stations are let in to wait for approval just now."""
        return self.clock.monotonic() < self._admit_until

    def remote_of(self, request: BaseRequest) -> str:
        """The address a request comes from; forwarded headers count only from a trusted proxy."""
        nearest, trusted = request.remote or "", self.settings.http.trusted_proxies
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",") if nearest in trusted else []
        while hops and nearest in trusted and (hop := _address(hops.pop().strip())) is not None:
            nearest = hop
        return nearest

    async def decide_connection(self, request: ConnectionRequest) -> Admission:
        """Whether a socket may open; fails closed."""
        deciders = self._deciders["decide_connection"]
        answer = await deciders.ask(request) if deciders else None
        return answer if answer is not None else Admission(True)

    async def decide_boot(self, station: Station, boot: Any) -> Registration:
        """What a booting station is told: a plugin's word, else what the operator decided before, else Accepted."""
        deciders = self._deciders["decide_boot"]
        answer: Registration | None = await deciders.ask(station, boot) if deciders else None
        interval_s = self.settings.stations.heartbeat_interval_s
        if answer is not None:
            return Registration(answer.status, interval_s if answer.interval_s is None else answer.interval_s)
        if station.held is not None:
            return Registration(station.held, min(interval_s, RETRY_BOOT_S))
        return Registration("Accepted", interval_s)

    async def decide_authorization(self, station: Station, id_tag: str, *, starting: bool) -> Authorization | None:
        """What plugins say of a tag; None leaves it to the tag's own row. Fails closed."""
        deciders = self._deciders["decide_authorization"]
        answer: Authorization | None = await deciders.ask(station, id_tag, starting) if deciders else None
        return answer

    async def decide_connector(self, station: Station, id_tag: str, free: Sequence[int]) -> int | None:
        """The connector for a reservation that names none: the best match, or another free one that a plugin chose."""
        deciders = self._deciders["decide_connector"]
        answer: int | None = await deciders.ask(station, id_tag, free) if deciders and free else None
        return answer if answer in free else next(iter(free), None)

    # ------------------------------------------------------------------ telling

    def count_unreadable(self, station: Station, reason: str) -> None:
        """A frame that was none; the socket stays open."""
        self.unreadable += 1
        log.info("unreadable frame of %s: %s", station.id, reason, extra={"station": station.id})

    def tell_message(self, station: Station, record: Receipt, failure: BaseException | None) -> None:
        """A CALL was handled; asked for only where a plugin listens."""
        data = {
            "action": record.action,
            "message_id": record.message_id,
            "repairs": list(record.repairs),
            "failed": failure is not None,
        }
        self._queue("on_message", Event(0, "message", station.id, record.received_at, data))

    def tell_connected(self, link: Link) -> None:
        """A station came."""
        self.operations.connected(link)
        self._queue("on_connected", link.station)

    def tell_disconnected(self, link: Link, reason: str) -> None:
        """A station went, and no newer socket has its identity."""
        self.operations.wake(link.station.id)
        log.info("%s disconnected: %s", link.station.id, reason, extra={"station": link.station.id})
        self._queue("on_disconnected", link.station, reason)

    def tell_plugin(self, plugin: Plugin) -> None:
        """A plugin reached another state."""
        told = f"{plugin.reason}. {plugin.cure}" if plugin.reason else ""
        level = logging.WARNING if plugin.state in LOUD else logging.DEBUG
        log.log(level, "plugin %s is %s: %s", plugin.name, plugin.state, told, extra={"plugin": plugin.name})
        self._queue("on_plugin_changed", plugin)

    def _queue(self, hook: str, *args: Any) -> None:
        self._tellers.tell(hook, *args)

    def _committed(self, told: Told) -> None:
        """After a commit: live hooks are queued, durable readers woken, watchers (event streams) told."""
        self._readers.wake(told)
        self.operations.committed(told)
        for event in told.events(self._live) if self._live else ():
            self._queue(LIVE[event.kind], event)
        for watch in list(self.watchers):
            watch()

    @property
    def busy_telling(self) -> bool:
        """Whether live hooks wait to be told, or are being told, of something."""
        return self._tellers.busy

    # ------------------------------------------------------------------ keeping time

    async def _sweep(self) -> None:
        """Look after the links, and remember when stations were last heard."""
        seen_at = self.loop.time()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.loop.time()
            self._watchdog.turned = time.monotonic()
            self._look_after_links(now)
            if now - seen_at >= SEEN_S:
                self._note_seen(seen_at, now)
                seen_at = now

    def _look_after_links(self, now: float) -> None:
        for link in list(self.gate.links.values()):
            link.look_after(now)

    def _note_seen(self, since: float, now: float) -> None:
        at = self.clock.now()
        heard = [
            (link.station.row, at - timedelta(seconds=now - link.heard))
            for link in self.gate.links.values()
            if link.heard >= since and link.station.known
        ]
        if heard:
            self.journal.note(partial(stations.seen, heard=heard))

    async def _keep_house(self) -> None:
        """Keep the message log and the events within their bounds."""
        measured = messages.Measured()
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                await self.trim_messages(measured)
                before = self.clock.now() - KEEP_EVENTS
                while await self.journal.write(partial(event_log.forget, before=before), slow=True):
                    log.debug("forgot old events")
                await self.journal.write(partial(job_rows.forget, before=self.clock.now() - KEEP_JOBS), slow=True)
            except Unavailable as error:
                log.warning("housekeeping waits: %s", error)

    async def trim_messages(self, measured: messages.Measured) -> None:
        """Bring the message log within its bounds, in small steps between which stations are answered.

        ``measured`` is kept from one time to the next, so that only what is new is measured.
        """
        limits = self.settings.messages
        while (piece := await self.database.read(partial(messages.measure, after=measured.through))) is not None:
            measured.add(piece)
        expired = partial(messages.expired, before=self.clock.now() - timedelta(days=limits.keep_days))
        while through := await self.database.read(expired) or measured.surplus(limits.keep_bytes):
            await self.journal.write(partial(messages.forget, through=through), slow=True)
            measured.gone(through)


def chain_of(distribution: str) -> str:
    """What the migrations of a distribution are called: its name without the family's."""
    return distribution.removeprefix("arthexis-")


def load_secret(path: Path, length: int) -> bytes:
    """The secret in a file that only its owner may read; made at first use."""
    try:
        return bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        secret = secrets.token_bytes(length)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return secret
    except ValueError:
        raise Unavailable(
            "the file does not hold the node's secret", place=str(path), cure="Restore it from a backup"
        ) from None


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
