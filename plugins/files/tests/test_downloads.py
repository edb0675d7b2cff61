"""Downloads over HTTP: pieces as RFC 9110 has them, and nothing for anybody but the station of the token."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from aiohttp import ClientSession, encode_basic_auth
from arthexis_files.node import Files
from yarl import URL

from arthexis.testing import FrozenClock, Node, wire


async def status(http: ClientSession, url: str, method: str = "GET", **options: Any) -> int:
    async with http.request(method, URL(url, encoded=True), **options) as response:
        await response.read()
        return response.status


async def test_a_file_comes_whole_with_what_is_needed_to_go_on(
    http: ClientSession, location: str, content: bytes
) -> None:
    async with http.get(location) as response:
        assert response.status == 200
        assert await response.read() == content
        assert response.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["Content-Disposition"] == 'attachment; filename="acme-2.0.bin"'
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_second_use_of_a_token_is_refused(http: ClientSession, location: str) -> None:
    assert await status(http, location) == 200
    assert await status(http, location) == 410
    assert await status(http, location, "HEAD") == 410
    assert await status(http, location, headers={"Range": "bytes=0-99"}) == 410


async def test_a_file_that_has_left_is_not_read_again_from_near_its_beginning(
    http: ClientSession, location: str, content: bytes
) -> None:
    assert await status(http, location) == 200
    assert await status(http, location, headers={"Range": f"bytes={len(content) // 2}-"}) == 206
    assert await status(http, location, headers={"Range": "bytes=1-"}) == 410
    assert await status(http, location, headers={"Range": "bytes=100-"}) == 410
    assert await status(http, location, headers={"Range": f"bytes={len(content) // 2}-"}) == 410


@pytest.mark.node(config={"plugins": {"files": {"downloads": 10}}})
async def test_every_download_that_is_allowed_is_served(http: ClientSession, location: str) -> None:
    assert [await status(http, location) for _ in range(11)] == [200] * 10 + [410]


async def test_pieces_count_as_one_use(http: ClientSession, location: str, content: bytes) -> None:
    got = b""
    for start in range(0, len(content), 300_000):
        async with http.get(location, headers={"Range": f"bytes={start}-{start + 299_999}"}) as response:
            end = min(start + 300_000, len(content))
            assert response.status == 206
            assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(content)}"
            got += await response.read()
    assert got == content
    assert await status(http, location) == 410


async def test_what_broke_off_goes_on_until_the_station_says_that_it_has_it(
    host: Node, http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any]
) -> None:
    cp = await passive()
    await deploy(stations=["CP-1"], file=firmware["id"])
    location = (await cp.expect("UpdateFirmware"))["location"]
    assert await status(http, location) == 200
    assert await status(http, location, headers={"Range": "bytes=500000-"}) == 206
    await cp.notify_firmware("Downloaded")
    async with asyncio.timeout(5):
        while await status(http, location, headers={"Range": "bytes=500000-"}) != 404:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("headers", "expected", "content_range"),
    [
        ({"Range": "bytes=0-0"}, 206, "bytes 0-0/768000"),
        ({"Range": "bytes=-1000"}, 206, "bytes 767000-767999/768000"),
        ({"Range": "bytes=767999-"}, 206, "bytes 767999-767999/768000"),
        ({"Range": "bytes=10-99999999"}, 206, "bytes 10-767999/768000"),
        ({"Range": "bytes=768000-"}, 416, "bytes */768000"),
        ({"Range": "bytes=-0"}, 416, "bytes */768000"),
        ({"Range": "bytes=5-4"}, 200, None),
        ({"Range": "bytes=0-1,5-6"}, 200, None),
        ({"Range": "lines=1-2"}, 200, None),
        ({"Range": "bytes=1-2", "If-Range": '"another"'}, 200, None),
        ({"Range": "bytes=1-2", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"}, 200, None),
        ({"Range": "bytes=1-2", "If-Range": "nonsense"}, 200, None),
    ],
)
async def test_a_range_is_answered_as_the_rules_have_it(
    http: ClientSession, location: str, headers: dict[str, str], expected: int, content_range: str | None
) -> None:
    async with http.get(location, headers=headers) as response:
        assert (response.status, response.headers.get("Content-Range")) == (expected, content_range)


async def test_if_range_and_head_and_if_none_match_know_the_content(
    http: ClientSession, location: str, content: bytes
) -> None:
    async with http.head(location) as response:
        tag, changed = response.headers["ETag"], response.headers["Last-Modified"]
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(content)))
    for condition in (tag, changed):
        assert await status(http, location, headers={"Range": "bytes=1-2", "If-Range": condition}) == 206
    assert await status(http, location, headers={"If-None-Match": tag}) == 304


async def test_a_guess_another_name_and_another_purpose_find_nothing(http: ClientSession, location: str) -> None:
    token = location.split("/")[-2]
    name = location.split("/")[-1]
    wrong = [
        location.replace(token, "0" * len(token)),
        location.replace(token, token.upper()),
        location.replace(token, token[:-1]),
        location.replace(name, "other.bin"),
        location.replace(name, ""),
        location.replace(name, "../acme-2.0.bin"),
        location.replace(name, "..%2f..%2f..%2fetc%2fpasswd"),
        location.replace(name, "%2e%2e/%2e%2e/pepper"),
        location.replace(name, name + "%00"),
        location.replace(token, "%00"),
        location.replace(token, "..%2f"),
    ]
    for url in wrong:
        assert await status(http, url) in {400, 404}, url
    assert await status(http, location, "PUT", data=b"x") == 404
    assert await status(http, location, "DELETE") == 405
    assert await status(http, location) == 200


async def test_another_stations_token_is_not_its_own(
    http: ClientSession, passive: Any, deploy: Any, firmware: dict[str, Any]
) -> None:
    first, second = await passive("CP-1"), await passive("CP-2")
    await deploy(stations=["CP-1", "CP-2"], file=firmware["id"])
    one, two = [(await cp.expect("UpdateFirmware"))["location"] for cp in (first, second)]
    assert one != two
    assert await status(http, one, headers={"Authorization": encode_basic_auth("CP-2", "key")}) == 404
    assert await status(http, one, headers={"Authorization": encode_basic_auth("cp-1", "key")}) == 200
    assert await status(http, two) == 200


@pytest.mark.node(config={"plugins": {"files": {"token_hours": 1.0}}})
async def test_an_expired_token_is_over(clock: FrozenClock, host: Node, http: ClientSession, location: str) -> None:
    clock.advance(3_601)
    assert await status(http, location) == 410


async def test_a_file_that_was_changed_or_replaced_by_a_link_is_never_sent(
    http: ClientSession, location: str, firmware: dict[str, Any], files: Files, content: bytes
) -> None:
    place = files.store.path(firmware["id"])
    place.write_bytes(content[:-1] + b"!")
    assert await status(http, location) == 503
    elsewhere = place.parent.parent / "elsewhere"
    elsewhere.write_bytes(content)
    place.unlink()
    place.symlink_to(elsewhere)
    assert await status(http, location) == 503
    place.unlink()
    place.write_bytes(content)
    assert await status(http, location) == 200


async def test_the_newest_transfer_takes_over_from_one_that_hangs(
    host: Node, http: ClientSession, location: str, content: bytes
) -> None:
    url = URL(location)
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    writer.write(f"GET {url.path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n\r\n".encode())
    await reader.readexactly(100)
    async with http.get(location, headers={"Range": "bytes=1-"}) as response:
        assert await response.read() == content[1:]
    writer.close()


@pytest.mark.node(open_mode=False)
async def test_a_closed_node_serves_its_stations_without_an_api_token(host: Node) -> None:
    added = await host.ask("stations.add", station="CP-1")
    assert added["key_hex"]
    async with ClientSession(host.url) as session:
        async with session.get("/api/v1/files") as response:
            assert response.status == 401
        async with session.get("/files/nothing/here.bin") as response:
            assert response.status == 404


async def test_the_api_document_shows_what_is_for_people_and_not_what_is_for_stations(http: ClientSession) -> None:
    async with http.get("/api/openapi.json") as response:
        paths = (await response.json())["paths"]
    assert "/api/v1/deployments/{deployment}/stations" in paths
    assert [path for path in paths if "token" in path and "files" in path] == []


async def test_many_guesses_cost_no_commit(host: Node, http: ClientSession) -> None:
    before = host.host.journal.commits
    for number in range(20):
        assert await status(http, f"{host.url}/files/{number:048x}/a.bin") == 404
    assert host.host.journal.commits - before <= 1
    async with wire(host.station_url("CP-9")) as cp:
        await cp.boot()
