"""Who may do what: every route times every access level, and no route that this table does not know."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from aiohttp import web

from arthexis.contributions import ACCESS
from arthexis.testing import FrozenClock, Node
from arthexis.web.api.table import ROUTES
from arthexis.web.app import application

pytestmark = [pytest.mark.plugins("arthexis-ocpp16:*"), pytest.mark.node(open_mode=False)]

OUTSIDE = {
    "GET /": None,
    "GET /plain.css": None,
    "GET /health": None,
    "GET /api/errors/{code}": None,
    "GET /api/openapi.json": "viewer",
    "GET /api/docs": "viewer",
    "POST /api/v1/control/{name}": "viewer",
}
LEVELS = (None, *ACCESS)


def table(host: Node) -> dict[str, str | None]:
    """Every route with the level that it asks for."""
    routes = [*ROUTES, *(route for _, route in host.host.composition.routes)]
    return {**OUTSIDE, **{f"{route.method} /api/v1{route.path}": route.access for route in routes}}


def test_the_table_knows_every_route_of_the_application(host: Node) -> None:
    app = application(host.host, "token", lambda: None)
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if isinstance(route.resource, web.Resource) and route.method != "HEAD" and route.resource.canonical != "/{path}"
    }
    assert served == set(table(host))


def allowed(level: str | None, needed: str | None) -> bool:
    return needed is None or (level is not None and ACCESS.index(level) >= ACCESS.index(needed))


async def test_every_route_asks_for_its_level(host: Node, api: Any) -> None:
    tokens: dict[str | None, str | None] = {None: None}
    for level in ACCESS:
        tokens[level] = (await host.ask("tokens.add", name=level, access=level))["token"]
    wrong = []
    for line, needed in table(host).items():
        method, path = line.split()
        url = host.url + re.sub(r"{[^}]*}", "1", path)
        for level in LEVELS:
            headers = {"Authorization": f"Bearer {tokens[level]}"} if level else {}
            async with asyncio.timeout(5), api.session.request(method, url, headers=headers) as reply:
                refused = reply.status in {401, 403}
                if refused == allowed(level, needed) or (refused and (reply.status == 401) != (level is None)):
                    wrong.append((line, level, reply.status))
    assert wrong == []


async def test_each_control_request_asks_for_its_own_level(host: Node, api: Any) -> None:
    viewer = api.with_token((await host.ask("tokens.add", name="v", access="viewer"))["token"])
    assert (await viewer("POST", "/control/stations.list")).status == 200
    for name in ("stations.add", "operations.send", "tokens.add", "node.stop"):
        assert (await viewer("POST", f"/control/{name}", json={})).status == 403
    assert not host.stopping.is_set()


async def test_a_token_ends_when_it_expires_or_is_revoked(tmp_path: Any) -> None:
    from aiohttp import ClientSession

    from arthexis.testing import node

    clock = FrozenClock()
    async with node(tmp_path / "node", open_mode=False, clock=clock) as host, ClientSession() as session:
        made = await host.ask("tokens.add", name="day", access="administrator", days=1)

        async def status(method: str = "GET", path: str = "/node") -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {made['token']}"}
            async with session.request(method, f"{host.url}/api/v1{path}", headers=headers) as reply:
                return reply.status, await reply.json() if method == "GET" else None

        assert (await status())[0] == 200
        (listed,) = (await status("GET", "/tokens"))[1]["items"]
        assert (listed["expired"], listed["expires_at"]) == (False, "2026-11-25T12:00:00Z")
        assert "token" not in listed
        clock.advance(24 * 3600)
        assert (await status())[0] == 401
        assert (await host.ask("tokens.list"))[0]["expired"] is True
        clock.set(FrozenClock().now())
        assert (await status("DELETE", "/tokens/day"))[0] == 204
        code, problem = await status()
        assert (code, problem["code"]) == (401, "unauthorized")


async def test_a_wrong_token_is_401_and_says_how_to_get_one(api: Any) -> None:
    for header in ("Bearer", "Bearer x", "Basic eDp5", "bearer arx_x y", "Bearer \u00e9"):
        reply = await api("GET", "/node", headers={"Authorization": header})
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer"), header
        assert "arthexis tokens add" in reply.body["cure"]


@pytest.mark.node(open_mode=True)
async def test_an_open_node_serves_only_what_comes_from_here(api: Any) -> None:
    assert (await api("GET", "/node")).status == 200
    for headers in (
        {"Host": "evil.example"},
        {"Host": "[::1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "127.0.0.1"},
    ):
        reply = await api("GET", "/node", headers=headers)
        assert (reply.status, reply.body["code"]) == (403, "forbidden"), headers


async def test_nobody_tells_a_station_something_in_the_name_of_another(host: Node, api: Any) -> None:
    await host.ask("stations.add", station="CP-1")
    token = (await host.ask("tokens.add", name="mallory", access="operator"))["token"]
    asked = {"station": "CP-1", "action": "Reset", "payload": {"type": "Soft"}, "requested_by": "alice"}
    told = await api.with_token(token)("POST", "/control/operations.send", json=asked)
    assert (told.status, told.body["requested_by"]) == (200, "mallory")
