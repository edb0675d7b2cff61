"""Uploads over HTTP: once, so large, under a name of ours, and never shown as a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, FormData, ServerDisconnectedError
from arthexis_files.node import Files
from arthexis_files.store import tame
from yarl import URL

from arthexis.testing import Node

SMALL = pytest.mark.node(config={"plugins": {"files": {"max_upload_bytes": 1000}}})


async def brought(http: ClientSession) -> list[dict[str, Any]]:
    async with http.get("/api/v1/files", params={"kind": "diagnostics"}) as response:
        return list((await response.json())["items"])


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("tail", ["", "log.txt", "/log.txt", "a/b/log.txt"])
async def test_raw_content_is_kept_wherever_below_its_folder_it_is_sent(
    http: ClientSession, folder: str, method: str, tail: str
) -> None:
    async with http.request(method, folder + tail, data=b"all is well") as response:
        assert response.status == 201
    (file,) = await brought(http)
    assert (file["name"], file["size"], file["station"]) == ("log.txt" if tail else "CP-1.log", 11, "CP-1")


async def test_a_form_brings_its_first_file(http: ClientSession, folder: str) -> None:
    form = FormData(quote_fields=False)
    form.add_field("comment", "none")
    form.add_field("file", b"all is well", filename="../../evil <b>.html", content_type="text/html")
    async with http.post(folder, data=form) as response:
        assert response.status == 201
    (file,) = await brought(http)
    assert (file["name"], file["size"]) == ("evil _b_.html", 11)
    async with http.get(f"/api/v1/files/{file['id']}/content") as response:
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith("attachment")


async def test_a_second_upload_is_refused_and_the_first_stays(http: ClientSession, folder: str, files: Files) -> None:
    for content, expected in ((b"first", 201), (b"second", 410)):
        async with http.put(folder + "log.txt", data=content) as response:
            assert response.status == expected
    (file,) = await brought(http)
    assert files.store.path(file["id"]).read_bytes() == b"first"
    assert len(list(files.store.folder.iterdir())) == 1
    assert files.store.used == 5


async def test_two_uploads_at_once_leave_one(http: ClientSession, folder: str, files: Files) -> None:
    async def bring(letter: bytes) -> int:
        async def slowly() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield letter * 1000
                await asyncio.sleep(0.01)

        try:
            async with http.put(folder + "log.txt", data=slowly()) as response:
                return response.status
        except (OSError, ServerDisconnectedError):
            return 0

    statuses = await asyncio.gather(bring(b"a"), bring(b"b"))
    assert sorted(statuses)[1] == 201
    (file,) = await brought(http)
    assert len(set(files.store.path(file["id"]).read_bytes())) == 1
    assert files.store.used == 20_000
    assert len(list(files.store.folder.iterdir())) == 1


@SMALL
@pytest.mark.parametrize("declared", [True, False])
async def test_too_much_is_413_and_leaves_nothing(
    http: ClientSession, folder: str, files: Files, declared: bool
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 100

    url = URL(folder + "log.txt")
    reader, writer = await asyncio.open_connection(url.host, url.port)
    length = "Content-Length: 10000000000" if declared else "Transfer-Encoding: chunked"
    writer.write(f"PUT {url.path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n{length}\r\n\r\n".encode())
    if not declared:
        async for chunk in endless():
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert await brought(http) == []
    assert list(files.store.folder.iterdir()) == []
    assert files.store.used == 0
    async with http.put(folder + "log.txt", data=b"x" * 1000) as response:
        assert response.status == 201


async def test_an_upload_that_breaks_off_leaves_nothing_and_may_be_sent_again(
    http: ClientSession, folder: str, files: Files
) -> None:
    url = URL(folder + "log.txt")
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"PUT {url.path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Length: 100\r\n\r\nhalf".encode())
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()
    async with http.put(folder + "log.txt", data=b"whole") as response:
        assert response.status == 201
    (file,) = await brought(http)
    assert file["size"] == 5
    assert len(list(files.store.folder.iterdir())) == 1


@pytest.mark.parametrize("tail", ["..%2f..%2fpepper", "%00", "a%00b.txt", "..%5c..%5cx.txt", "%2e%2e/x.txt"])
async def test_no_name_reaches_another_place(http: ClientSession, folder: str, files: Files, tail: str) -> None:
    home = files.store.folder.parent
    before = {path.name: path.stat().st_mtime_ns for path in home.iterdir() if path.is_file() and "db" not in path.name}
    async with http.put(URL(folder + tail, encoded=True), data=b"evil") as response:
        assert response.status in {201, 400, 404}
    after = {path.name: path.stat().st_mtime_ns for path in home.iterdir() if path.is_file() and "db" not in path.name}
    assert after == before
    for file in await brought(http):
        assert "/" not in file["name"]
        assert "\\" not in file["name"]
        assert "\0" not in file["name"]
        assert files.store.path(file["id"]).parent == files.store.folder


@pytest.mark.parametrize(("body", "kind"), [(b"", "text/plain"), (b"no form", "multipart/form-data; boundary=x")])
async def test_nothing_and_a_broken_form_are_refused(http: ClientSession, folder: str, body: bytes, kind: str) -> None:
    async with http.post(folder, data=body, headers={"Content-Type": kind}) as response:
        assert response.status in {400, 409}
    assert await brought(http) == []


async def test_a_download_token_takes_nothing(http: ClientSession, location: str) -> None:
    async with http.put(location, data=b"x") as response:
        assert response.status == 404


@pytest.mark.node(config={"plugins": {"files": {"quota_bytes": 1 << 20}}})
async def test_the_quota_is_kept(host: Node, http: ClientSession, firmware: dict[str, Any], files: Files) -> None:
    async with http.post("/api/v1/files", params={"name": "b.bin"}, data=b"x" * (1 << 19)) as response:
        assert (response.status, (await response.json())["detail"]) == (409, "the store is full")
    assert files.store.used == firmware["size"]
    async with http.delete(f"/api/v1/files/{firmware['id']}") as response:
        assert response.status == 204
    assert files.store.used == 0
    assert list(files.store.folder.iterdir()) == []


async def test_content_of_another_hash_is_refused(http: ClientSession, files: Files) -> None:
    async with http.post("/api/v1/files", params={"name": "a.bin", "sha256": "0" * 64}, data=b"x") as response:
        assert response.status == 409
    assert list(files.store.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("log.txt", "log.txt"),
        ("..", "file"),
        ("", "file"),
        ("C:\\temp\\x.log", "x.log"),
        ("/etc/passwd", "passwd"),
        ("a\0b\r\nSet-Cookie: x", "a_b_Set-Cookie_ x"),
        ('"><script>', "_script_"),
        (".hidden", "hidden"),
        ("x" * 500, "x" * 120),
    ],
)
def test_names_are_tamed(given: str, name: str) -> None:
    assert tame(given) == name
