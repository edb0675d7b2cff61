"""The API document is made from what is composed: what a plugin brings is in it, what is off is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import ClientSession

from arthexis.testing import Node, node
from arthexis.web.api.table import ROUTES

PRICES = """
from typing import Annotated

from msgspec import Meta, Struct

from arthexis import Answer, NotFound, Route, hookimpl


class Which(Struct, forbid_unknown_fields=True):
    station: str
    most: Annotated[int, Meta(ge=1, le=10)] = 3


class Price(Struct):
    per_kwh: float


async def prices(request):
    if request.params.station == "none":
        raise NotFound("no price for it", place="acme", cure="Ask for another")
    if request.params.station == "broken":
        raise KeyError("oops")
    if request.params.station == "junk":
        return object()
    return {"items": [Price(0.31)] * request.params.most}


async def put(request):
    return Answer({"was": request.body.per_kwh, "by": request.caller}, 201)


@hookimpl
def register_routes():
    yield Route("GET", "/acme/prices/{station}", prices, "viewer", "List prices", params=Which)
    yield Route("POST", "/acme/prices", put, "operator", "Set it", body=Price, statuses={201: "Set"})
"""
UNDESCRIBED = """
from arthexis import Route, hookimpl


class Odd:
    pass


async def odd(request):
    return {}


@hookimpl
def register_routes():
    yield Route("GET", "/odd", odd, "viewer", answer=Odd)
"""
THIEF = """
from arthexis import Route, hookimpl


async def mine(request):
    return {"stolen": True}


@hookimpl
def register_routes():
    yield Route("GET", "/stations/{whatever}", mine, "viewer")
"""
WRONG = """
from arthexis import Route, hookimpl


@hookimpl
def register_routes():
    yield Route("GET", "no-slash", None)
"""


async def document(host: Node) -> dict[str, Any]:
    async with ClientSession() as web, web.get(f"{host.url}/api/openapi.json") as reply:
        assert reply.status == 200
        return dict(await reply.json())


async def test_every_route_of_the_host_is_in_the_document_and_control_is_not(host: Node) -> None:
    told = await document(host)
    found = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert found == {(route.method, f"/api/v1{route.path}") for route in ROUTES}
    assert told["openapi"] == "3.1.0"
    operations = [each for methods in told["paths"].values() for each in methods.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(each["summary"] and each["x-access"] for each in operations)


async def test_its_references_lead_somewhere_and_its_schemas_are_schemas(host: Node) -> None:
    told = await document(host)
    known = told["components"]["schemas"]
    names = set(re.findall(r'"\\$ref": "#/components/schemas/([^"]+)"', str(told).replace("'", '"')))
    assert names <= set(known)
    for schema in known.values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_an_operation_that_is_off_is_not_in_the_document(tmp_path: Path) -> None:
    path = "/api/v1/stations/{station}/operations"
    bodies = []
    for number, plugins in enumerate((["arthexis-ocpp16:*"], ["arthexis-ocpp16:ocpp16.heartbeat"])):
        async with node(tmp_path / str(number), plugins=plugins) as host:
            told = (await document(host))["paths"][path]["post"]
            bodies.append(str(told["requestBody"]))
    assert "'const': 'Reset'" in bodies[0]
    assert "Reset" not in bodies[1].replace("examples", "") or "'const'" not in bodies[1]


async def test_a_plugins_route_is_served_described_and_gone_with_its_plugin(
    tmp_path: Path, install: Callable[[str, str], str]
) -> None:
    pattern = install("prices", PRICES)
    async with node(tmp_path / "on", plugins=[pattern]) as host, ClientSession() as web:
        told = (await document(host))["paths"]
        assert told["/api/v1/acme/prices/{station}"]["get"]["tags"] == ["prices"]
        assert "Price" in str(told["/api/v1/acme/prices"]["post"]["requestBody"])
        base = f"{host.url}/api/v1/acme/prices"
        async with web.get(f"{base}/CP-1?most=2") as reply:
            assert await reply.json() == {"items": [{"per_kwh": 0.31}] * 2}
        async with web.post(base, json={"per_kwh": 0.5}) as reply:
            assert (reply.status, await reply.json()) == (201, {"was": 0.5, "by": "open mode"})
        for path, status in (("CP-1?most=11", 400), ("CP-1?more=1", 400), ("none", 404)):
            async with web.get(f"{base}/{path}") as reply:
                assert reply.status == status
        assert host.faults() == [], "a refusal is no fault of the plugin"
        for path in ("broken", "junk"):
            async with web.get(f"{base}/{path}") as reply:
                assert (reply.status, (await reply.json())["code"]) == (500, "plugin")
            assert [name for name, _ in host.faults()] == ["prices"]
    async with node(tmp_path / "off") as host:
        assert "acme" not in str(await document(host))


async def test_a_type_that_has_no_schema_costs_its_plugin_only_the_description(
    tmp_path: Path, install: Callable[[str, str], str]
) -> None:
    async with node(tmp_path / "node", plugins=[install("odd", UNDESCRIBED)]) as host, ClientSession() as web:
        assert "/api/v1/odd" in (await document(host))["paths"]
        assert [name for name, _ in host.faults()] == ["odd"]
        async with web.get(f"{host.url}/api/v1/odd") as reply:
            assert reply.status == 200


async def test_a_route_of_the_host_cannot_be_taken(tmp_path: Path, install: Callable[[str, str], str]) -> None:
    async with node(tmp_path / "node", plugins=[install("thief", THIEF)]) as host, ClientSession() as web:
        ((name, error),) = host.faults()
        assert (name, "the host's own" in str(error)) == ("thief", True)
        async with web.get(f"{host.url}/api/v1/stations/CP-1") as reply:
            assert reply.status == 404


async def test_a_route_that_cannot_be_fails_its_plugin_with_the_reason(
    tmp_path: Path, install: Callable[[str, str], str]
) -> None:
    async with node(tmp_path / "node", plugins=[install("wrong", WRONG)]) as host:
        host.excuse("wrong")
        assert "/acme/prices/{station}" in host.plugin("wrong").reason


class Page(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in {"script", "iframe", "img", "object", "embed", "style"} or "style" in found:
            self.loads.append(tag)
        if tag == "link":
            self.loads.append(str(found["href"]))
        if found.get("id"):
            self.anchors.add(str(found["id"]))
        if (found.get("href") or "").startswith("#"):
            self.links.add(str(found["href"])[1:])


@pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-files:*", "arthexis-webhooks:*")
async def test_the_page_of_a_whole_node_names_every_body(host: Node, api: Any) -> None:
    reply = await api("GET", "/api/docs")
    assert reply.status == 200
    assert "Body (application/json): " in reply.body
    assert "Body (application/octet-stream): " in reply.body


@pytest.mark.plugins("arthexis-ocpp16:*")
async def test_the_page_for_people_needs_no_script_and_nothing_from_outside(host: Node, api: Any) -> None:
    reply = await api("GET", "/api/docs")
    page = Page()
    page.feed(reply.body)
    assert page.loads == ["/plain.css"]
    assert page.links <= page.anchors
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    for route in ROUTES:
        assert f"{route.method} /api/v1{route.path}" in reply.body
