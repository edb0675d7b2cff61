"""The aiohttp application: stations on any path that asks for a WebSocket, people on ``/``, programs below ``/api``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import hdrs, web

from arthexis.contributions import Route
from arthexis.control import REQUESTS, ask
from arthexis.errors import ArthexisError, DomainError, NotFound, Refused, Unavailable
from arthexis.host import Host
from arthexis.plugins.states import Plugin
from arthexis.web.access import allows, foreign, level
from arthexis.web.page import STYLE, first_page

log = logging.getLogger("arthexis.web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
STATUS: dict[type, int] = {NotFound: 404, Refused: 403, Unavailable: 503, DomainError: 409}
MOST_BODY = 1 << 20

encode = msgspec.json.Encoder().encode


def application(host: Host, control_token: str, stop: Callable[[], None]) -> web.Application:
    """The application of a node; ``stop`` is called when an administrator asks the node to stop."""
    pages = Pages(host, control_token, stop)
    app = web.Application(client_max_size=MOST_BODY, middlewares=[pages.guard])
    app.router.add_get("/", pages.first)
    app.router.add_get("/plain.css", pages.style)
    app.router.add_get("/health", pages.health)
    app.router.add_post("/api/v1/control/{name}", pages.control)
    for plugin, route in host.composition.routes:
        app.router.add_route(route.method, f"/api/v1{route.path}", pages.contributed(plugin, route))
    app.router.add_route("*", "/{path:.*}", pages.elsewhere)
    return app


class Pages:
    """The host's own pages and the API."""

    def __init__(self, host: Host, control_token: str, stop: Callable[[], None]) -> None:
        """Serve this node."""
        self.host = host
        self._control_token = control_token
        self._stop = stop

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Stations go to the gate; an open node serves only this machine; errors become problem documents."""
        if self.host.open and (reason := foreign(request)) is not None:
            return problem(Refused(f"this node is open and does not serve the request: {reason}"))
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self._station(request)
        try:
            response = await handler(request)
        except ArthexisError as error:
            return problem(error)
        response.headers.update(HEADERS)
        return response

    async def _station(self, request: web.Request) -> web.StreamResponse:
        if self.host.composition.recovery:
            raise web.HTTPServiceUnavailable(text="The node is in recovery and serves no stations.\n")
        return await self.host.gate.handle(request)

    async def first(self, request: web.Request) -> web.StreamResponse:
        """The plain first page."""
        local = foreign(request) is None
        return web.Response(text=first_page(self.host, local=local), content_type="text/html")

    async def style(self, _request: web.Request) -> web.StreamResponse:
        """The first page's style sheet."""
        return web.Response(text=STYLE, content_type="text/css")

    async def health(self, _request: web.Request) -> web.StreamResponse:
        """Whether the node serves stations: 200, or 503 in recovery."""
        recovery = bool(self.host.composition.recovery)
        return json_response({"serving": not recovery}, status=503 if recovery else 200)

    async def control(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the control table (``arthexis`` commands use this)."""
        name = request.match_info["name"]
        needed = REQUESTS[name].access if name in REQUESTS else "viewer"
        await self._require(request, "administrator" if name == "node.stop" else needed)
        if name == "node.stop":
            self.host.loop.call_soon(self._stop)
            return json_response({"stopping": True})
        return json_response(await ask(self.host, name, await _parameters(request)))

    def contributed(self, plugin: Plugin, route: Route) -> Handler:
        """A plugin's route behind the access it asks for, its faults contained."""
        handler: Callable[..., Awaitable[web.StreamResponse]] = self.host.context(plugin).fitted(route.handler)

        async def handle(request: web.Request) -> web.StreamResponse:
            await self._require(request, route.access)
            response, error = await self.host.contain.call(plugin, handler, request)
            if isinstance(error, ArthexisError):
                raise error
            if response is None:
                raise Unavailable(f"plugin {plugin.name} could not answer", cure=f"arthexis plugins info {plugin.name}")
            return response

        return handle

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        """Say what would have been here."""
        if request.path.startswith("/ocpp/"):
            raise web.HTTPUpgradeRequired(text="This is where a station connects, with a WebSocket (ws://…).\n")
        raise web.HTTPNotFound(text="Nothing is here. See / for what this node offers.\n")

    async def _require(self, request: web.Request, needed: str) -> None:
        granted = await level(self.host, self._control_token, request)
        if granted is None:
            raise web.HTTPUnauthorized(
                text="Send an API token: Authorization: Bearer …  (arthexis tokens add)\n",
                headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
            )
        if not allows(granted, needed):
            raise Refused(f"this needs the access level {needed}, the token has {granted}", place="token")


async def _parameters(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    except (msgspec.MsgspecError, ValueError) as error:
        raise DomainError(f"the body is no JSON object: {error}", place="request") from None


def json_response(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=encode(value), status=status, content_type="application/json")


def problem(error: ArthexisError) -> web.Response:
    """An error as a problem document (RFC 9457) with a stable code, the place and the cure."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    body = {
        "type": f"urn:arthexis:error:{error.code}",
        "title": error.problem,
        "status": status,
        "code": error.code,
        "place": error.place,
        "cure": error.cure,
    }
    return web.Response(body=encode(body), status=status, content_type="application/problem+json")
