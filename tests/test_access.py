"""Who may ask the node for what: open only on this machine and for its own pages, otherwise tokens with levels."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.control import REQUESTS
from arthexis.errors import Refused
from arthexis.testing import Node, node, wire

closed = pytest.mark.node(open_mode=False)
STATUS = "/api/v1/control/node.status"


async def post(host: Node, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """The status and the JSON (or text) of an API answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = io.BytesIO(body) if isinstance(body, bytes) else json.dumps(body or {})
    async with ClientSession() as session, session.post(host.url + path, data=data, headers=named) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if "json" in answer.content_type else text


async def get(host: Node, path: str, **headers: str) -> tuple[int, Any]:
    async with ClientSession() as session, session.get(host.url + path, headers=headers) as answer:
        return answer.status, answer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# ---------------------------------------------------------------------- open


@pytest.mark.parametrize(
    "http", [{"host": "0.0.0.0"}, {"host": "::"}, {"host": "192.0.2.1"}, {"trusted_proxies": ["127.0.0.1"]}]
)
async def test_open_mode_is_refused_beyond_this_machine_and_behind_a_proxy(tmp_path: Path, http: Any) -> None:
    with pytest.raises(Refused, match="open mode"):
        async with node(tmp_path / "node", config={"http": http}):
            pass


async def test_an_open_node_needs_no_login(host: Node) -> None:
    status, found = await post(host, STATUS)
    assert (status, found["open"]) == (200, True)


FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:8888"},
    {"Host": "[::1"},
    {"Host": "0.0.0.0:8888"},
    {"X_Forwarded_For": "127.0.0.1"},
    {"X_Forwarded_Host": "localhost"},
    {"Forwarded": "for=127.0.0.1"},
    {"X_Real_IP": "127.0.0.1"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://[bad"},
    {"Origin": "http://localhost:3000"},
]


async def test_an_open_node_serves_neither_other_names_nor_proxies_nor_other_pages(host: Node) -> None:
    for header in FOREIGN:
        status, said = await post(host, STATUS, **header)
        assert status == 403
        assert said["code"] == "forbidden"


FOREIGN_LINES = ["Host: evil.example", "X-Forwarded-For: 10.0.0.1", "Origin: https://evil.example", "Origin: null"]


async def test_a_page_elsewhere_cannot_pose_as_a_station_of_an_open_node(host: Node, upgrade: Any) -> None:
    for line in FOREIGN_LINES:
        assert (await upgrade(host.host.bound_port, "/ocpp/CP-1", line)).status == 403
        assert await host.ask("stations.list") == []


async def test_an_open_node_serves_its_own_pages_and_local_simulators(host: Node, upgrade: Any) -> None:
    assert (await post(host, STATUS, Origin=host.url))[0] == 200
    assert (await post(host, STATUS, Host=f"localhost:{host.host.bound_port}"))[0] == 200
    assert (await upgrade(host.host.bound_port, "/ocpp/CP-1", "Origin: http://localhost:3000")).status == 101


# ---------------------------------------------------------------------- closed


STRANGERS = ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer \udcff\udcfe"]


@closed
async def test_a_closed_node_answers_the_api_to_no_stranger(host: Node) -> None:
    for authorization in STRANGERS:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.host.bound_port)
        for name in REQUESTS:
            writer.write(f"POST /api/v1/control/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n".encode())
            if authorization:
                writer.write(f"Authorization: {authorization}\r\n".encode("utf-8", "surrogateescape"))
            writer.write(b"\r\n{}")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 401 "), (name, head)
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
        writer.close()


@closed
async def test_each_request_needs_its_level(host: Node) -> None:
    levels = ("viewer", "operator", "administrator")
    tokens = {level: (await host.ask("tokens.add", name=level, access=level))["token"] for level in levels}
    for name, request in REQUESTS.items():
        for level in levels:
            status, said = await post(
                host, f"/api/v1/control/{name}", {"no": "such parameter"}, **bearer(tokens[level])
            )
            enough = levels.index(level) >= levels.index(request.access)
            assert (status == 403) is not enough, (name, level, said)
    status, _ = await post(host, "/api/v1/control/node.stop", **bearer(tokens["operator"]))
    assert (status, host.stopping.is_set()) == (403, False)
    assert (await post(host, "/api/v1/control/node.stop", **bearer(tokens["administrator"])))[0] == 200
    await asyncio.sleep(0.05)
    assert host.stopping.is_set()


@closed
async def test_a_token_ends_when_it_is_over_or_revoked_and_is_in_no_file(host: Node, clock: Any) -> None:
    token = (await host.ask("tokens.add", name="short", days=1))["token"]
    await host.settle()
    assert not [path for path in host.host.home.iterdir() if path.is_file() and token.encode() in path.read_bytes()]
    assert (await post(host, STATUS, **bearer(token)))[0] == 200
    clock.advance(86_401)
    assert (await post(host, STATUS, **bearer(token)))[0] == 401
    token = (await host.ask("tokens.add", name="long"))["token"]
    await host.ask("tokens.revoke", name="long")
    assert (await post(host, STATUS, **bearer(token)))[0] == 401


@closed
@pytest.mark.skipif(os.name == "nt", reason="files have no mode there")
async def test_the_secrets_in_the_data_folder_are_their_owners_alone(host: Node) -> None:
    for name in ("control.json", "pepper"):
        assert stat.S_IMODE((host.host.home / name).stat().st_mode) == 0o600
    token = json.loads((host.host.home / "control.json").read_bytes())["token"]
    assert (await post(host, STATUS, **bearer(token)))[0] == 200


@closed
async def test_a_station_key_is_no_api_token(host: Node, basic: Any) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    assert (await post(host, STATUS, **bearer(key)))[0] == 401
    name, _, value = basic("CP-1", key).partition(": ")
    assert (await post(host, STATUS, **{name: value}))[0] == 401


BODIES = [
    (b"{", 400),
    (b"[]", 400),
    (b"\xff", 400),
    (b"[" * 100_000, 400),
    (b'{"a":' * 50_000, 400),
    (b"x" * (2 << 20), 413),
]


@closed
async def test_a_hostile_body_is_refused_politely(host: Node) -> None:
    for body, status in BODIES:
        token = json.loads((host.host.home / "control.json").read_bytes())["token"]
        assert (await post(host, "/api/v1/control/stations.add", body, **bearer(token)))[0] == status


ADDRESSES = ["/", "/plain.css", "/health", "/ocpp/CP-1", "/nothing", "/api/v1/control/none", "/..%2f"]


@closed
async def test_every_answer_to_a_browser_has_its_guards(host: Node) -> None:
    for path in ADDRESSES:
        _, answer = await get(host, path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@closed
async def test_a_visitor_from_elsewhere_sees_only_where_stations_connect(host: Node) -> None:
    async with ClientSession() as session:
        async with session.get(host.url, headers={"Host": "csms.example"}) as answer:
            page = await answer.text()
    assert "Stations connect to" in page
    assert "Plugins" not in page


# ---------------------------------------------------------------------- addresses

proxy = pytest.mark.node(open_mode=False, config={"http": {"trusted_proxies": ["127.0.0.1", "10.9.9.9"]}})


async def remote_seen(host: Node, upgrade: Any, *lines: str) -> str:
    await upgrade(host.host.bound_port, "/ocpp/CP-1", *lines)
    await host.settle()
    return str((await host.ask("stations.pending"))[0]["remote"])


@closed
async def test_a_forwarded_address_of_a_stranger_is_not_believed(host: Node, upgrade: Any) -> None:
    assert await remote_seen(host, upgrade, "X-Forwarded-For: 10.0.0.1") == "127.0.0.1"


@proxy
@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ((), "127.0.0.1"),
        (("X-Forwarded-For: 10.0.0.1",), "10.0.0.1"),
        (("X-Forwarded-For: 6.6.6.6, 10.0.0.1",), "10.0.0.1"),
        (("X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 10.0.0.1"), "10.0.0.1"),
        (("X-Forwarded-For: 6.6.6.6, 10.0.0.1, 10.9.9.9",), "10.0.0.1"),
        (("X-Forwarded-For: 6.6.6.6, unknown",), "127.0.0.1"),
        (("X-Forwarded-For: 2001:DB8::1",), "2001:db8::1"),
    ],
)
async def test_a_trusted_proxy_is_believed_as_far_as_it_saw(
    host: Node, upgrade: Any, lines: tuple[str, ...], seen: str
) -> None:
    assert await remote_seen(host, upgrade, *lines) == seen


# ---------------------------------------------------------------------- what stations say


@pytest.mark.plugins("arthexis-ocpp16:*")
async def test_what_a_station_says_of_itself_is_text_on_the_page_and_in_the_api(host: Node) -> None:
    hostile = "<script>\x1b[2J"
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot(vendor=hostile)
    status, found = await post(host, "/api/v1/control/stations.list")
    assert (status, found[0]["vendor"]) == (200, hostile)
    _, answer = await get(host, "/")
    assert "script-src" not in answer.headers["Content-Security-Policy"]
