"""The gate: who may open a socket, as which station, speaking what (OCPP-J 1.6 §3, security whitepaper profile 1)."""

from __future__ import annotations

import base64
import binascii
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from aiohttp import hdrs, web
from multidict import CIMultiDict

from arthexis.charging import stations
from arthexis.charging.decisions import ConnectionRequest
from arthexis.charging.ids import folded
from arthexis.charging.keys import matches
from arthexis.charging.station import Station
from arthexis.charging.stations import Found
from arthexis.db.statements import Connection
from arthexis.ocppj.dialect import Dialect
from arthexis.ocppj.link import POLICY, Link

if TYPE_CHECKING:
    from arthexis.host import Host

log = logging.getLogger("arthexis.ocppj")

QUERY_NAMES = ("cid", "chargePointId", "charge_point_id", "chargeBoxId", "charge_box_id", "chargerId")
ENDPOINTS = {"", "ocpp"}
MOST_ADDRESSES = 10_000
UNAUTHORIZED = "This station is not known here, or its key is wrong.\n"


def identity_of(raw_path: str, query: Iterable[tuple[str, str]]) -> str | None:
    """The identity a URL names: a query member of a known name, else the last path segment, decoded once."""
    for name, value in query:
        if name in QUERY_NAMES:
            return value
    segments = [segment for segment in raw_path.partition("?")[0].split("/") if segment]
    last = unquote(segments[-1], errors="replace") if segments else ""
    return None if last in ENDPOINTS else last


def offered(headers: Sequence[str]) -> list[str]:
    """The subprotocols of all ``Sec-WebSocket-Protocol`` lines, in their order."""
    return [name for line in headers for part in line.split(",") if (name := part.strip())]


def credentials(header: str | None) -> tuple[str, bytes] | None:
    """User and password of an HTTP Basic header; the password may be any bytes (OCPP 1.6 AuthorizationKey)."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user.decode("utf-8", "replace"), password) if colon else None


class Attempts:
    """Failed logins per address: so many a minute are looked at; those who were right before are never locked out."""

    def __init__(self, per_minute: int) -> None:
        """Allow ``per_minute`` failed logins from one address."""
        self._per_minute = per_minute
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()

    def allowed(self, address: str, identity: str, now: float) -> bool:
        """Whether this login is looked at at all."""
        return (address, identity) in self._good or self._left(address, now) >= 1

    def failed(self, address: str, identity: str, now: float) -> None:
        """A login was wrong."""
        self._good.pop((address, identity), None)
        self._failed[address] = (max(0.0, self._left(address, now) - 1), now)
        self._failed.move_to_end(address)
        while len(self._failed) > MOST_ADDRESSES:
            self._failed.popitem(last=False)

    def succeeded(self, address: str, identity: str) -> None:
        """A login was right."""
        self._good[address, identity] = None
        self._good.move_to_end((address, identity))
        while len(self._good) > 2 * MOST_ADDRESSES:
            self._good.popitem(last=False)

    def _left(self, address: str, now: float) -> float:
        tokens, since = self._failed.get(address, (float(self._per_minute), now))
        return min(float(self._per_minute), tokens + (now - since) * self._per_minute / 60)


@dataclass(frozen=True, slots=True)
class Entry:
    """A station that may come in, or why it may not (``status`` is the HTTP status then)."""

    station: Station | None
    reason: str = ""
    status: int = 401


class Gate:
    """Decides about each WebSocket handshake and keeps the links that came of it."""

    def __init__(self, host: Host) -> None:
        """Guard the node ``host``."""
        self.host = host
        self.links: dict[str, Link] = {}
        self._attempts = Attempts(host.settings.stations.failed_logins_per_minute)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one handshake and, if it succeeds, the socket until its end."""
        identity = identity_of(request.raw_path, request.query.items())
        if identity is None:
            raise web.HTTPNotFound(text="Add the station's identity to the URL: ws://…/ocpp/<identity>\n")
        if not stations.valid_identity(identity):
            raise web.HTTPBadRequest(text="The last part of the URL cannot be a station's identity.\n")
        if len(self.links) >= self.host.settings.stations.max_stations:
            raise web.HTTPServiceUnavailable(text="Too many stations are connected.\n")
        entry = await self.admit(identity, request)
        if entry.station is None:
            return await self._refuse(identity, request, entry)
        return await self._serve(request, entry.station)

    async def admit(self, identity: str, request: web.Request) -> Entry:
        """Whether this handshake may become a socket, and as which station."""
        host, address, now = self.host, self.host.remote_of(request), self.host.loop.time()
        presented = credentials(request.headers.get(hdrs.AUTHORIZATION))
        if presented is not None and not self._attempts.allowed(address, folded(identity), now):
            return Entry(None, "too many failed logins from this address")
        found = await host.journal.write(lambda db: stations.find(db, identity))
        reason = self._fault(found, identity, presented)
        if found is not None and reason is None:
            self._attempts.succeeded(address, folded(identity))
        elif presented is not None:
            self._attempts.failed(address, folded(identity), now)
        if found is None:
            found, reason = await self._unknown(identity, reason)
        if reason is not None:
            return Entry(None, reason)
        admission = await host.decide_connection(
            ConnectionRequest(found.identity if found else identity, address, found is not None)
        )
        if not admission.admit:
            return Entry(None, admission.reason or "refused by a plugin")
        return Entry(self._station(found, identity))

    def _fault(self, found: Found | None, identity: str, presented: tuple[str, bytes] | None) -> str | None:
        """What is wrong with the credentials, or None. Unknown stations cost the same time as known ones."""
        stored = found.key if found is not None and found.key is not None else self.host.no_key
        right = matches(presented[1] if presented else b"", stored, self.host.pepper)
        if found is None:
            return "unknown station"
        if found.plain:
            return None
        if presented is None:
            return "no key presented"
        if folded(presented[0]) != folded(identity):
            return "the user name is not the station's identity"
        return None if right and found.key is not None else "wrong key"

    async def _unknown(self, identity: str, reason: str | None) -> tuple[Found | None, str | None]:
        """An open node adds an unknown station; one that admits pending ones lets it in to wait."""
        host = self.host
        if host.open:
            at = host.clock.now()

            def admitted(db: Connection) -> Found:
                return stations.find(db, identity) or stations.add(db, identity, None, at, registration="Accepted")

            return await host.journal.write(admitted), None
        return None, None if host.admits_pending() else reason

    def _station(self, found: Found | None, identity: str) -> Station:
        if found is None:
            return Station(identity, None, "Pending", zone=self.host.zone)
        strict = (found.mode or self.host.settings.stations.mode) == "strict"
        zone = ZoneInfo(found.zone) if found.zone else self.host.zone
        return Station(found.identity, found.row, found.registration, strict, zone, not found.plain)

    async def _refuse(self, identity: str, request: web.Request, entry: Entry) -> web.StreamResponse:
        """The same 401 for a known and an unknown station; one bounded entry in the inbox."""
        address, at = self.host.remote_of(request), self.host.clock.now()
        log.warning("refused %s from %s: %s", identity, address, entry.reason, extra={"station": identity})
        self.host.journal.note(lambda db: stations.refuse(db, identity, address, entry.reason, at))
        raise web.HTTPUnauthorized(text=UNAUTHORIZED, headers={hdrs.WWW_AUTHENTICATE: 'Basic realm="ocpp"'})

    async def _serve(self, request: web.Request, station: Station) -> web.StreamResponse:
        """Finish the handshake, take the identity over, and run the link."""
        names = offered(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
        dialect, agreed = self.choose(names, station)
        ws = await self._prepared(request, agreed)
        if dialect is None:
            await ws.close(code=POLICY, message=b"no subprotocol in common")
            return ws
        link = Link(self.host, ws, station, dialect, self.host.remote_of(request))
        await self._take_over(link)
        try:
            reason = await link.run()
        finally:
            last = self._leave(link)
        if last:
            self.host.tell_disconnected(link, reason)
        return ws

    def choose(self, names: list[str], station: Station) -> tuple[Dialect | None, str | None]:
        """The dialect to speak and the name to answer: the first offered that is known, whatever its case.

        A station that offers none speaks the first of ours, unless it is strict (OCPP-J 1.6 §3.2).
        """
        ours = self.host.dialects
        for name in names:
            if (dialect := ours.get(name.lower())) is not None:
                return dialect, name
        if names or station.strict:
            return None, None
        return next(iter(ours.values())), None

    async def _prepared(self, request: web.Request, agreed: str | None) -> web.WebSocketResponse[Any]:
        """The open socket. The library reads one header line only, so the request is told our choice."""
        limits = self.host.settings.stations
        ws = web.WebSocketResponse(
            protocols=(agreed,) if agreed else (),
            heartbeat=limits.ping_interval_s or None,
            max_msg_size=limits.max_frame_bytes,
            compress=False,
            decode_text=False,
            timeout=2.0,
        )
        chosen = CIMultiDict(request.headers)
        chosen.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
        if agreed:
            chosen[hdrs.SEC_WEBSOCKET_PROTOCOL] = agreed
        await ws.prepare(request.clone(headers=chosen))
        return ws

    async def _take_over(self, link: Link) -> None:
        """The newest authenticated socket owns the identity; the one before is closed and touches nothing."""
        key = folded(link.station.id)
        before = self.links.get(key)
        self.links[key] = link
        if before is not None:
            log.info("%s reconnected; its older socket is closed", link.station.id, extra={"station": link.station.id})
            before.calls.gone("replaced by a newer connection")
            self.host.operations.connected(link)
            self.host.spawn(before.close(POLICY, "replaced by a newer connection"), f"closing {link.station.id}")
        else:
            self.host.tell_connected(link)

    def _leave(self, link: Link) -> bool:
        """Free the link's place; False if a newer link has it."""
        key = folded(link.station.id)
        if self.links.get(key) is not link:
            return False
        del self.links[key]
        return True
