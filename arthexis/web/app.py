"""The aiohttp application: stations on any path that asks for a WebSocket, people on ``/``, programs below ``/api``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any

import msgspec
from aiohttp import hdrs, web

from arthexis.contributions import Route
from arthexis.control import REQUESTS, ask
from arthexis.errors import ArthexisError, Invalid, NotFound, PluginError, Refused
from arthexis.host import Host
from arthexis.plugins.contain import attempt, outcome, told
from arthexis.plugins.states import Plugin, State
from arthexis.web import document, problems, reference
from arthexis.web.access import CONTROL, DOOR, Door, foreign
from arthexis.web.api.serving import contained, served
from arthexis.web.api.table import ROUTES
from arthexis.web.page import STYLE, first_page

log = logging.getLogger("arthexis.web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MOST_BODY = 1 << 20
API = "/api/v1"
ENDINGS = frozenset({"node.stop", "node.restart"})
SAFE_MODE = "--safe-mode"

encode = msgspec.json.Encoder().encode


def application(host: Host, control_token: str, stop: Callable[[], None]) -> web.Application:
    """The application of a node; ``stop`` is called when an administrator asks the node to stop."""
    pages = Pages(host, control_token, stop)
    app = web.Application(client_max_size=MOST_BODY, middlewares=[pages.guard])
    app[DOOR] = pages.door
    app.on_shutdown.append(pages.close)
    app.router.add_get("/", pages.first)
    app.router.add_get("/plain.css", pages.style)
    app.router.add_get("/health", pages.health)
    app.router.add_get("/api/openapi.json", pages.openapi)
    app.router.add_get("/api/docs", pages.docs)
    app.router.add_get("/api/errors/{code}", pages.error)
    app.router.add_post(f"{API}/control/{{name}}", pages.control)
    for route in ROUTES:
        _add(app, route, served(host, pages.door, route, route.handler))
    for plugin, route in pages.contributed:
        _, error = attempt(_add, app, route, served(host, pages.door, route, contained(host, plugin, route)))
        if error is not None:
            cure = f"Mend it, or run: arthexis plugins disable {plugin.full_name}"
            plugin.fail(State.ACTIVE, f"route {route.method} {route.path}: {told(error)}", cure)
    app.router.add_route("*", "/{path:.*}", pages.elsewhere)
    return app


def _add(app: web.Application, route: Route, handler: Handler) -> None:
    if route.method == "GET":
        app.router.add_get(route.place, handler, allow_head=route.public or route.media == "application/json")
    else:
        app.router.add_route(route.method, route.place, handler)


class Pages:
    """The host's own pages, and what every request goes through."""

    def __init__(self, host: Host, control_token: str, stop: Callable[[], None]) -> None:
        """Serve this node."""
        self.host = host
        self.door = Door(host, control_token)
        self.contributed = _free(host)
        self._stop = stop

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Stations go to the gate; an open node serves only this machine; errors become problem documents."""
        if self.host.open and (reason := foreign(request)) is not None:
            return problems.problem(
                Refused(
                    f"this node is open and does not serve the request: {reason}",
                    place="open mode",
                    cure=f"Use {self.host.page_url} on this machine, or start the node closed: arthexis start",
                )
            )
        if request.headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket":
            handler = self._in_recovery if self.host.composition.recovery else self.host.gate.handle
        response, error = await outcome(handler, request)
        if response is None:
            response = self._failed(request, error)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _failed(self, request: web.Request, error: BaseException | None) -> web.StreamResponse:
        """What is answered instead of an error; its story stays in the log."""
        if isinstance(error, ArthexisError):
            return problems.problem(error)
        if isinstance(error, web.HTTPException):
            if not request.path.startswith("/api"):
                error.headers.update(HEADERS)
                raise error
            return problems.of_http(error)
        log.error("%s %s failed: %s", request.method, request.path, error, exc_info=error)
        return problems.of_code("internal", "The node failed to answer this; its log says why")

    async def close(self, _app: web.Application) -> None:
        """The node stops: end what goes on by itself."""
        self.door.close()

    async def _in_recovery(self, _request: web.Request) -> web.StreamResponse:
        return _unserved(self.host.composition.recovery)

    async def first(self, request: web.Request) -> web.StreamResponse:
        """The plain first page."""
        local = foreign(request) is None
        return web.Response(text=first_page(self.host, local=local), content_type="text/html")

    async def style(self, _request: web.Request) -> web.StreamResponse:
        """The style sheet of the plain pages."""
        return web.Response(text=STYLE, content_type="text/css")

    async def health(self, _request: web.Request) -> web.StreamResponse:
        """Whether the node serves stations: 200, or 503 in recovery and while nothing can be stored."""
        serving = not self.host.composition.recovery and self.host.journal.trouble is None
        return _json({"serving": serving}, status=200 if serving else 503)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return document.document(self.host, ROUTES, self.contributed)

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """The API document of this node (OpenAPI 3.1)."""
        await self.door.admit(request, "viewer")
        return _json(self._document)

    async def docs(self, request: web.Request) -> web.StreamResponse:
        """The API document for people."""
        await self.door.admit(request, "viewer")
        return web.Response(text=reference.page(self._document), content_type="text/html")

    async def error(self, request: web.Request) -> web.StreamResponse:
        """What an error code means; the same on every node, so that nobody needs a token for it."""
        page = problems.explained(request.match_info["code"])
        if page is None:
            raise web.HTTPNotFound(text="There is no such error code")
        return web.Response(text=page, content_type="text/html")

    async def control(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the control table (``arthexis`` commands use this)."""
        name = request.match_info["name"]
        needed = REQUESTS[name].access if name in REQUESTS else "viewer"
        granted = await self.door.admit(request, "administrator" if name in ENDINGS else needed)
        if name in ENDINGS:
            if name == "node.restart":
                self.host.restart_options = _options(await _parameters(request), self.host)
            self.host.loop.call_soon(self._stop)
            return _json({"stopping": True})
        given = await _parameters(request)
        if "requested_by" in given and granted is not CONTROL:
            given["requested_by"] = granted.name
        return _json(await ask(self.host, name, given))

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        """Say what would have been here, and with which methods."""
        allowed = await _methods(request)
        if allowed and request.method == hdrs.METH_OPTIONS:
            return web.Response(status=204, headers={hdrs.ALLOW: ", ".join(allowed)})
        if allowed:
            raise web.HTTPMethodNotAllowed(request.method, allowed, text=f"{request.method} is not possible here")
        if request.path.startswith("/ocpp/"):
            raise web.HTTPUpgradeRequired(text="This is where a station connects, with a WebSocket (ws://…).\n")
        if request.path.startswith(f"{API}/"):
            cure = "If its plugin was turned on since the node started: arthexis restart. See `arthexis plugins list`"
            raise NotFound("the running node does not have this", place=request.path, cure=cure)
        raise web.HTTPNotFound(text="Nothing is here. See / for what this node offers.\n")


def _unserved(reasons: list[str]) -> web.Response:
    """503 for a station: it keeps what it has to say and comes again. Names, not the errors' own words."""
    names = ", ".join(reason.partition(": ")[0] for reason in reasons)
    text = f"This node is in recovery and serves no stations: {names}.\n"
    return web.Response(status=503, text=text, headers={**HEADERS, hdrs.RETRY_AFTER: "60"})


def _options(parameters: dict[str, Any], host: Host) -> list[str]:
    """The options of the next start: those given, else those of this start; safe mode is for once."""
    given = parameters.get("options")
    if given is None:
        kept = [option for option in host.started_with if option != SAFE_MODE]
        return [*kept, SAFE_MODE] if parameters.get("safe_mode") is True else kept
    if not isinstance(given, list) or not all(isinstance(option, str) for option in given):
        raise Invalid("options is no list of text", place="node.restart", cure="Send a list of text")
    return given


def _free(host: Host) -> list[tuple[Plugin, Route]]:
    """The plugins' routes without those whose place is the host's: these are counted as their plugin's fault."""
    taken = {route.key for route in ROUTES}
    found = []
    for plugin, route in host.composition.routes:
        if route.key in taken or route.place.startswith(f"{API}/control/"):
            host.contain.count(plugin, PluginError(f"route {route.method} {route.path} is the host's own"), "routes")
        else:
            found.append((plugin, route))
    return found


async def _methods(request: web.Request) -> list[str]:
    """The methods with which this path would be served."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource.canonical != "/{path}":
            allowed |= (await resource.resolve(request))[1]
    return sorted(allowed | {hdrs.METH_OPTIONS}) if allowed else []


async def _parameters(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Invalid(f"the body is no JSON object: {error}", place="request", cure="Send a JSON object") from None


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=encode(value), status=status, content_type="application/json")
