"""The portal: a listener of its own on the access point's address, where guests consent.

Whatever a guest's browser or system asks of the web is sent here until then. A guest is known by the address that it
comes from and by the MAC address that the kernel has for that; nothing in a request is believed about that.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiohttp import web

from arthexis import ArthexisError, Context, Unavailable
from arthexis_wifi_ap import pages
from arthexis_wifi_ap.gate import Gate, NotAGuest
from arthexis_wifi_ap.guests import Barred, Busy, Guests, Stale
from arthexis_wifi_ap.settings import Settings

FREEBIND: Final = 15
MOST_BODY: Final = 4096
MOST_OF_ONE: Final = 16
MOST_OPEN: Final = 256
LONGEST_S: Final = 30.0
HANDSHAKE_S: Final = 5.0
KEEP_ALIVE_S: Final = 5.0
FORM: Final = "application/x-www-form-urlencoded"
CAPTIVE: Final = "application/captive+json"
WORD_OF: Final[dict[type[ArthexisError], tuple[str, int]]] = {
    Barred: ("barred", 403),
    Busy: ("busy", 503),
    Stale: ("stale", 400),
    NotAGuest: ("stranger", 403),
}


class Door(asyncio.Protocol):
    """Lets so many connections in, of one guest and in all, each for so long; what is let in goes to aiohttp."""

    def __init__(self, inner: asyncio.Protocol, count: Counter[str], wanted: Settings) -> None:
        """Stand before this protocol."""
        self._inner = inner
        self._count = count
        self._network = wanted.home.network
        self._peer = ""
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or close it."""
        peer = str((transport.get_extra_info("peername") or ("",))[0])
        inside = _is_in(peer, self._network)
        if not inside or self._count[peer] >= MOST_OF_ONE or self._count.total() >= MOST_OPEN:
            _abort(transport)
            return
        self._peer = peer
        self._count[peer] += 1
        self._end = asyncio.get_running_loop().call_later(LONGEST_S, _abort, transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no longer."""
        if self._end is None:
            return
        self._end.cancel()
        self._count[self._peer] -= 1
        if not self._count[self._peer]:
            del self._count[self._peer]
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand it on."""
        if self._end is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand it on."""
        return self._inner.eof_received() if self._end is not None else None

    def pause_writing(self) -> None:
        """Hand it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand it on."""
        self._inner.resume_writing()


def _abort(transport: asyncio.BaseTransport) -> None:
    """Close it now: a peer that reads nothing would keep it open for as long as something waits to be sent."""
    transport.abort() if isinstance(transport, asyncio.WriteTransport) else transport.close()


def _is_in(peer: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.ip_address(peer) in network
    except ValueError:
        return False


class Portal:
    """The portal of a node, while its public network is up."""

    def __init__(self, ctx: Context, gate: Gate, guests: Guests) -> None:
        """Closed; ``open`` opens it."""
        self._ctx = ctx
        self._wanted: Settings = ctx.config
        self._gate = gate
        self._guests = guests
        self._runner: web.AppRunner | None = None
        self._servers: list[asyncio.Server] = []
        self.interface = ""

    async def open(self, interface: str) -> None:
        """Listen for guests of this interface, whose address need not be there yet; raises ``Unavailable``."""
        if self.interface == interface:
            return
        await self.close()
        app = web.Application(client_max_size=MOST_BODY, middlewares=[self._told])
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_response_prepare.append(_without_version)
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=1.0, handle_signals=False
        )
        await self._runner.setup()
        try:
            await self._listen(self._wanted.portal_port, None)
            if self._wanted.portal_name:
                await self._listen(self._wanted.portal_tls_port, await asyncio.to_thread(self._certificate))
        except OSError as error:
            await self.close()
            raise Unavailable(
                f"the portal cannot be opened: {error.strerror or error}", place="plugin wifi_ap",
                cure="Set plugins.wifi_ap.portal_port to a port that is free, and see to the certificate's files",
            ) from None  # fmt: skip
        self.interface = interface

    async def _listen(self, port: int, tls: ssl.SSLContext | None) -> None:
        server = self._runner.server if self._runner is not None else None
        if server is None:
            return
        count: Counter[str] = Counter()
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.IPPROTO_IP, FREEBIND, 1)
            listening.bind((str(self._wanted.home.ip), port))
            made = await asyncio.get_running_loop().create_server(
                lambda: Door(server(), count, self._wanted),
                sock=listening,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_S if tls is not None else None,
                ssl_shutdown_timeout=HANDSHAKE_S if tls is not None else None,
            )
        except OSError:
            listening.close()
            raise
        self._servers.append(made)

    def _certificate(self) -> ssl.SSLContext:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(self._wanted.portal_certificate, self._wanted.portal_key or None)
        return found

    async def close(self) -> None:
        """Listen no longer."""
        self.interface = ""
        for server in self._servers:
            server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._servers, self._runner = [], None

    # ------------------------------------------------------------------ requests

    @web.middleware
    async def _told(self, request: web.Request, handler: Callable[..., Awaitable[Any]]) -> web.StreamResponse:
        """Say in the guest's language what went wrong."""
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except ArthexisError as wrong:
            word, status = WORD_OF.get(type(wrong), ("away", 503))
            if word == "away":
                self._ctx.log.warning("the portal could not serve %s: %s", request.remote, wrong)
            return _html(pages.notice(self._wanted.title, self._language(request), word), status)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not self._is_ours(request):
            return self._sent_here(request)
        ways = {
            ("GET", "/"): self._home,
            ("GET", "/captive-portal"): self._api,
            ("POST", "/consent"): self._consent,
            ("POST", "/leave"): self._leave,
        }
        method = "GET" if request.method == "HEAD" else request.method
        way = ways.get((method, request.path))
        return await way(request) if way is not None else self._sent_here(request)

    def _is_ours(self, request: web.Request) -> bool:
        """Whether the request is for the portal itself, and not for what the guest really wanted."""
        host, _, port = request.headers.get("Host", "").lower().partition(":")
        mine = {str(self._wanted.home.ip), self._wanted.portal_name.lower()} - {""}
        return host in mine and port in {str(self._wanted.portal_port), str(self._wanted.portal_tls_port)}

    def _sent_here(self, request: web.Request) -> web.Response:
        """What systems that look for a portal understand: a redirect, or for other requests status 511 (RFC 6585)."""
        status = 302 if request.method in {"GET", "HEAD"} else 511
        return web.Response(status=status, headers={**pages.HEADERS, "Location": self._wanted.portal})

    def _language(self, request: web.Request) -> str:
        accepted = request.headers.get("Accept-Language", "")
        return pages.language_of(accepted, request.query.get("lang", ""), list(self._wanted.terms))

    async def _guest(self, request: web.Request) -> tuple[str, str, int]:
        """The guest's address and MAC address, and the seconds it is let through yet; raises ``NotAGuest``."""
        address = request.remote or ""
        mac, seconds = await self._gate.who(self.interface, address)
        return address, mac, seconds

    async def _home(self, request: web.Request) -> web.Response:
        _, mac, seconds = await self._guest(request)
        return self._page(request, mac, seconds)

    def _page(self, request: web.Request, mac: str, seconds: int, alert: str = "") -> web.Response:
        language = self._language(request)
        shown = self._guests.shown[language]
        others = [other for other in self._wanted.terms if other != language]
        token = self._guests.token(mac, shown["digest"])
        if seconds:
            until = self._ctx.clock.now() + timedelta(seconds=seconds)
            return _html(pages.connected(self._wanted.title, language, until, seconds, token, others))
        text = pages.consent(self._wanted.title, shown, token, others, alert)
        return _html(text, 400 if alert else 200)

    async def _api(self, request: web.Request) -> web.Response:
        """What RFC 8908 says a device may ask."""
        _, _, seconds = await self._guest(request)
        told: dict[str, Any] = {"captive": not seconds, "user-portal-url": self._wanted.portal}
        if seconds:
            told |= {"seconds-remaining": seconds, "can-extend-session": True}
        return web.Response(body=msgspec.json.encode(told), headers={**pages.HEADERS, "Content-Type": CAPTIVE})

    async def _consent(self, request: web.Request) -> web.Response:
        address, mac, seconds = await self._guest(request)
        try:
            await self._guests.consent(self.interface, address, await self._token(request))
        except Stale:
            return self._page(request, mac, seconds, "stale")
        return web.Response(status=303, headers={**pages.HEADERS, "Location": "/"})

    async def _leave(self, request: web.Request) -> web.Response:
        address, _, _ = await self._guest(request)
        await self._guests.leave(self.interface, address, await self._token(request))
        return web.Response(status=303, headers={**pages.HEADERS, "Location": "/"})

    async def _token(self, request: web.Request) -> str:
        """The token of a form that our own page sent; raises ``Stale``."""
        origin = request.headers.get("Origin", "null")
        fetched = request.headers.get("Sec-Fetch-Site", "same-origin")
        foreign = origin != "null" and urlsplit(origin).netloc != request.headers.get("Host", "")
        if foreign or fetched not in {"same-origin", "none"} or request.content_type != FORM:
            raise Stale("the form came from elsewhere", place="portal", cure="Load the page again")
        try:
            members = parse_qs((await request.read()).decode("ascii", "replace"), max_num_fields=10)
        except ValueError:
            members = {}
        return members.get("token", [""])[0]


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=pages.HEADERS)


async def _without_version(_: web.Request, response: web.StreamResponse) -> None:
    """Do not tell guests what serves them."""
    response.headers.pop("Server", None)
