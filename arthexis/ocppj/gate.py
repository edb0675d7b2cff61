"""The gate: who may open a socket, as which station, speaking what (OCPP-J 1.6 §3, security whitepaper profile 1)."""

from __future__ import annotations

import base64
import binascii
import logging
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
from arthexis.ocppj.attempts import Attempts, Swaps
from arthexis.ocppj.dialect import Dialect
from arthexis.ocppj.link import POLICY, Link

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from arthexis.host import Host

log = logging.getLogger("arthexis.ocppj")

QUERY_NAMES = ("cid", "chargePointId", "charge_point_id", "chargeBoxId", "charge_box_id", "chargerId")
ENDPOINTS = {"", "ocpp"}
VERSIONS = {"13", "8", "7"}
MOST_WAITING = 100
WRONG_KEY = "wrong key"
UNKNOWN = "unknown station"
UNAUTHORIZED = "This station is not known here, or its key is wrong.\n"


def identity_of(raw_path: str, query: Iterable[tuple[str, str]]) -> str | None:
    """The identity a URL names: a query member of a known name, else the last path segment, decoded once."""
    for name, value in query:
        if name in QUERY_NAMES and value:
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


@dataclass(frozen=True, slots=True)
class Entry:
    """A station that may come in and after how much silence it is pinged, or why it may not come in."""

    station: Station | None
    reason: str = ""
    ping_interval_s: float | None = None


class Gate:
    """Decides about each WebSocket handshake and keeps the links that came of it."""

    def __init__(self, host: Host) -> None:
        """Guard the node ``host``."""
        self.host = host
        self.links: dict[str, Link] = {}
        self._attempts = Attempts(host.settings.stations.failed_logins_per_minute)
        self._swaps = Swaps()
        self._arriving = 0
        self._shut = False

    def shut(self) -> list[Link]:
        """Let nobody in any more; the links that are open."""
        self._shut = True
        return list(self.links.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one handshake and, if it succeeds, the socket until its end."""
        identity = identity_of(request.raw_path, request.query.items())
        if identity is None:
            raise web.HTTPNotFound(text="Add the station's identity to the URL: ws://…/ocpp/<identity>\n")
        if not stations.valid_identity(identity):
            raise web.HTTPBadRequest(text="The last part of the URL cannot be a station's identity.\n")
        if not _is_handshake(request):
            raise web.HTTPBadRequest(text="This is no WebSocket handshake (RFC 6455 §4.2.1).\n")
        entry = await self.admit(identity, request)
        if entry.station is None:
            return await self._refuse(identity, request, entry)
        return await self._serve(request, entry.station, entry.ping_interval_s)

    async def admit(self, identity: str, request: web.Request) -> Entry:
        """Whether this handshake may become a socket, and as which station."""
        host, address, now = self.host, self.host.remote_of(request), self.host.loop.time()
        key, presented = folded(identity), credentials(request.headers.get(hdrs.AUTHORIZATION))
        if presented is not None and not self._attempts.allowed(address, key, now):
            return Entry(None, "too many failed logins")
        found = await host.journal.write(lambda db: stations.find(db, identity))
        reason = self._fault(found, identity, presented)
        if presented is not None and (reason in {WRONG_KEY, UNKNOWN} or (found is not None and found.plain)):
            renewed = await self._renewed(found, identity, presented)
            found, reason = (renewed, None) if renewed is not None else (found, reason)
        if found is not None and reason is None:
            self._attempts.succeeded(address, key)
        elif found is None and (host.open or self._may_wait()):
            reason = None
        elif presented is not None:
            self._attempts.failed(address, key, now)
        if reason is not None:
            return Entry(None, reason)
        asked = ConnectionRequest(found.identity if found else identity, address, found is not None)
        admission = await host.decide_connection(asked)
        if not admission.admit:
            return Entry(None, admission.reason or "refused by a plugin")
        if found is None and host.open:
            found = await self._added(identity)
        return Entry(self._station(found, identity), ping_interval_s=found.ping_interval_s if found else None)

    def _fault(self, found: Found | None, identity: str, presented: tuple[str, bytes] | None) -> str | None:
        """What is wrong with the credentials, or None. Unknown stations cost the same time as known ones."""
        stored = found.key if found is not None and found.key is not None else self.host.no_key
        right = matches(presented[1] if presented else b"", stored, self.host.pepper)
        if found is None:
            return UNKNOWN
        if found.plain:
            return None
        if presented is None:
            return "no key presented"
        if folded(presented[0]) != folded(identity):
            return "the user name is not the station's identity"
        return None if right and found.key is not None else WRONG_KEY

    async def _renewed(self, found: Found | None, identity: str, presented: tuple[str, bytes]) -> Found | None:
        """The station as it comes with a key that it was given over its socket, which is its only one from now on.

        It is looked for where the station is unknown, too, so that the time that a refusal takes tells nothing.
        """
        row = found.row if found is not None else 0
        told = await self.host.database.read(lambda db: stations.told_keys(db, row))
        key = next((key for key in told if matches(presented[1], key, self.host.pepper)), None)
        if found is None or key is None or folded(presented[0]) != folded(identity):
            return None

        def renew(db: Connection) -> Found | None:
            stations.set_key(db, row, key)
            return stations.find(db, identity)

        log.info("%s came with its new key; the one before is void", found.identity, extra={"station": found.identity})
        return await self.host.journal.write(renew)

    def _may_wait(self) -> bool:
        """Whether an unknown station is let in to wait for approval; so many at once, so that others find room."""
        if not self.host.admits_pending():
            return False
        return sum(not link.station.known for link in self.links.values()) < MOST_WAITING

    async def _added(self, identity: str) -> Found:
        """An open node adds an unknown station."""
        at = self.host.clock.now()

        def admitted(db: Connection) -> Found:
            return stations.find(db, identity) or stations.add(db, identity, None, at, registration="Accepted")

        return await self.host.journal.write(admitted)

    def _station(self, found: Found | None, identity: str) -> Station:
        strict = ((found and found.mode) or self.host.settings.stations.mode) == "strict"
        if found is None:
            return Station(identity, None, "Pending", strict, self.host.zone, held="Pending")
        zone = ZoneInfo(found.zone) if found.zone else self.host.zone
        return Station(found.identity, found.row, found.registration, strict, zone, not found.plain, found.held)

    async def _refuse(self, identity: str, request: web.Request, entry: Entry) -> web.StreamResponse:
        """The same 401 for a known and an unknown station; one bounded entry in the inbox."""
        address, at = self.host.remote_of(request), self.host.clock.now()
        log.warning("refused %s from %s: %s", identity, address, entry.reason, extra={"station": identity})
        self.host.journal.note(lambda db: stations.refuse(db, identity, address, entry.reason, at))
        raise web.HTTPUnauthorized(text=UNAUTHORIZED, headers={hdrs.WWW_AUTHENTICATE: 'Basic realm="ocpp"'})

    async def _serve(self, request: web.Request, station: Station, ping_interval_s: float | None) -> web.StreamResponse:
        """Finish the handshake, take the identity over, and run the link."""
        names = offered(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
        dialect, agreed = self.choose(names, station)
        ws = await self._prepared(request, station, agreed, ping_interval_s)
        if dialect is None:
            await ws.close(code=POLICY, message=b"no subprotocol in common")
            return ws
        link = Link(self.host, ws, request.protocol, station, dialect, self.host.remote_of(request))
        if not self._take_over(link):
            await ws.close(code=POLICY, message=b"a station with a key has this identity")
            return ws
        reason = "the node ended the connection"
        try:
            reason = await link.run()
        finally:
            self.leave(link, reason)
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

    async def _prepared(
        self, request: web.Request, station: Station, agreed: str | None, ping_interval_s: float | None
    ) -> web.WebSocketResponse[Any]:
        """The open socket, if there is room. The library reads one header line, so the request is told our choice."""
        limits = self.host.settings.stations
        full = len(self.links) + self._arriving >= limits.max_stations and folded(station.id) not in self.links
        if full or self._shut:
            raise web.HTTPServiceUnavailable(
                text="The node is stopping.\n" if self._shut else "Too many stations are connected.\n",
                headers={hdrs.RETRY_AFTER: "10"},
            )
        ws = web.WebSocketResponse(
            protocols=(agreed,) if agreed else (),
            heartbeat=(limits.ping_interval_s if ping_interval_s is None else ping_interval_s) or None,
            max_msg_size=limits.max_frame_bytes + 1,
            compress=False,
            decode_text=False,
            autoping=False,
            timeout=2.0,
        )
        self._arriving += 1
        try:
            await ws.prepare(_told(request, agreed))
        finally:
            self._arriving -= 1
        return ws

    def _take_over(self, link: Link) -> bool:
        """The newest authenticated socket owns the identity; the one before is closed and touches nothing.

        False if the identity belongs to a socket with a key and this one has none (it came while that was added).
        """
        key, station = folded(link.station.id), link.station
        before = self.links.get(key)
        if before is not None and before.station.authenticated and not station.authenticated:
            return False
        self.links[key] = link
        if before is None:
            self.host.tell_connected(link)
            return True
        log.info("%s reconnected; its older socket is closed", station.id, extra={"station": station.id})
        if self._swaps.flap(key, self.host.loop.time()):
            said = "%s: sockets from %s and %s take its identity from each other; are there two of this identity?"
            log.warning(said, station.id, before.remote, link.remote, extra={"station": station.id})
        before.calls.gone("replaced by a newer connection")
        self.host.operations.connected(link)
        self.host.spawn(before.close(POLICY, "replaced by a newer connection"), f"closing {station.id}")
        return True

    def leave(self, link: Link, reason: str) -> None:
        """Free the link's place and tell that the station went; nothing where a newer link has it."""
        key = folded(link.station.id)
        if self.links.get(key) is link:
            del self.links[key]
            self.host.tell_disconnected(link, reason)


def _is_handshake(request: web.Request) -> bool:
    """Whether the library will take this for a handshake, so that nothing is done for one that fails."""
    try:
        nonce = base64.b64decode(request.headers.get(hdrs.SEC_WEBSOCKET_KEY, ""))
    except (binascii.Error, ValueError):
        return False
    return len(nonce) == 16 and request.headers.get(hdrs.SEC_WEBSOCKET_VERSION) in VERSIONS


def _told(request: web.Request, agreed: str | None) -> BaseRequest:
    """The request as the library must see it: with our choice as the only subprotocol that it offers.

    Some stations forget ``Connection: Upgrade``; that they ask for a WebSocket is clear enough. Most say all of it
    themselves: both requests would be kept as long as the socket, 2 KiB for each station.
    """
    if request._message.upgrade and request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []) == [agreed]:
        return request
    headers = CIMultiDict(request.headers)
    headers.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if agreed:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = agreed
    told = request.clone(headers=headers)
    if not told._message.upgrade:
        told._message = told._message._replace(upgrade=True)
    return told
