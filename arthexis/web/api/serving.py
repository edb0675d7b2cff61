"""From a route to an aiohttp handler: access, then path and query, then the body, then the work, then the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from arthexis.contributions import Answer, ApiRequest, Route
from arthexis.errors import ArthexisError, PluginError, Unavailable
from arthexis.host import Host
from arthexis.plugins.states import Plugin
from arthexis.web.access import NOBODY, Door
from arthexis.web.api import reading

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Work = Callable[[ApiRequest], Awaitable[Any]]

encode = msgspec.json.Encoder().encode


def served(host: Host, door: Door, route: Route, work: Work) -> Handler:
    """The handler of a route; ``work`` is what answers it."""
    parameters = reading.parameters(route)
    body = reading.body(route) if route.body is not None else None
    usual = min(route.statuses)

    async def handle(request: web.Request) -> web.StreamResponse:
        granted = NOBODY if route.public else await door.admit(request, route.access)
        params = parameters(request)
        content = await body(request) if body is not None else None
        return answered(
            await work(ApiRequest(host, params, content, granted.access, granted.name, request)), status=usual
        )

    return handle


def contained(host: Host, plugin: Plugin, route: Route) -> Work:
    """A plugin's handler: what it refuses is answered as such, any other fault is counted as its own."""
    usual, handler = min(route.statuses), host.context(plugin).fitted(route.handler)
    label, timeout_s = f"route {route.method} {route.path}", route.timeout_s

    async def answer(request: ApiRequest) -> web.StreamResponse | Exception:
        try:
            return answered(await handler(request), usual)
        except (ArthexisError, web.HTTPException) as said:
            return said  # on purpose: an answer like any other

    async def work(request: ApiRequest) -> web.StreamResponse:
        if not plugin.standing:
            raise Unavailable(f"plugin {plugin.name} failed", cure=f"arthexis plugins info {plugin.name}")
        found, error = await host.contain.timed(timeout_s, plugin, answer, request, hook=label)
        if isinstance(found, Exception):
            raise found
        if found is not None:
            return found
        if isinstance(error, ArthexisError):
            raise error
        raise PluginError(
            f"plugin {plugin.name} could not answer",
            place=f"plugin {plugin.name}",
            cure=f"arthexis plugins info {plugin.name}",
        )

    return work


def answered(value: Any, status: int = 200) -> web.StreamResponse:
    """What a handler returned, as a response."""
    if isinstance(value, web.StreamResponse):
        return value
    if not isinstance(value, Answer):
        value = Answer(value, status)
    if value.status == 204:
        return web.Response(status=204, headers=dict(value.headers))
    return web.Response(
        body=encode(value.value), status=value.status, content_type="application/json", headers=dict(value.headers)
    )
