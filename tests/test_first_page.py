"""The first page in a real browser: what it says, that it asks nobody for anything, and that it fits."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.needs import WHOLE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
HOSTILE = "</li></ul><script>document.title='owned'</script><img src=http://evil.example/x onerror=alert(1)>"

browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get(WHOLE) != "whole", reason="no chromium here: apt install chromium"
)


def chromium(profile: Path, *arguments: str) -> str:
    """What headless Chromium prints, in a profile of its own."""
    assert CHROMIUM is not None, "CI must have chromium"
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


class Tags(HTMLParser):
    """The tags and the addresses of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def node(site: Any, arthexis: Any) -> Any:
    """A running open node with a hostile plugin among the others."""
    hostile = site.add(f"raise RuntimeError({HOSTILE!r})")
    arthexis.write(f"[node]\nenable = ['{hostile}', 'gone:gone']\n")
    arthexis.start("--open")
    return arthexis


async def fetched(url: str, **headers: str) -> tuple[int, str, Any]:
    async with ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text(), answer.headers


async def test_the_page_has_the_url_the_states_the_cures_and_the_next_command(node: Any) -> None:
    status, text, _ = await fetched(node.url)
    said = " ".join(Tags(text).words)
    assert status == 200
    assert node.station_url("<identity>") in said
    assert "ocpp16.heartbeat active" in said
    assert "its import failed: RuntimeError: </li>" in said
    assert "Mend it, or run: arthexis plugins disable acme:acme" in said
    assert "Open mode: not for real charging" in said
    assert "gone:gone is named in the configuration and not installed" in said
    assert re.search(r"arthexis (simulate|messages)", said)


async def test_the_page_has_no_script_and_no_address_elsewhere(node: Any) -> None:
    _, text, headers = await fetched(node.url)
    found = Tags(text)
    assert not {"script", "img", "iframe"} & set(found.tags)
    assert set(found.addresses) == {"data:,", "/plain.css"}
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    _, style, _ = await fetched(f"{node.url}/plain.css")
    assert not re.search(r"url\(|@import|https?:", style)


async def test_an_open_node_serves_its_page_to_nobody_else(node: Any) -> None:
    for header in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"X-Forwarded-For": "10.0.0.1"}):
        status, text, _ = await fetched(node.url, **header)
        assert status == 403, header
        assert "acme" not in text


async def test_a_closed_node_tells_how_to_add_a_station(arthexis: Any) -> None:
    arthexis.start()
    _, text, _ = await fetched(arthexis.url)
    assert "arthexis stations add CP-1" in text
    assert "Open mode" not in text
    _, text, _ = await fetched(arthexis.url, Host="csms.example")
    assert "ocpp16.heartbeat" not in text
    assert "Stations connect to" in text


async def test_a_node_in_recovery_says_so_first(arthexis: Any) -> None:
    arthexis.start("--safe-mode")
    _, text, _ = await fetched(arthexis.url)
    said = " ".join(Tags(text).words)
    assert said.index("Recovery") < said.index("Stations connect to")
    assert "arthexis plugins list" in said


@browser
def test_in_a_browser_the_hostile_reason_is_text(node: Any, tmp_path: Path) -> None:
    dom = chromium(tmp_path / "profile", "--dump-dom", node.url)
    assert "<title>Arthexis</title>" in dom
    assert "&lt;script&gt;" in dom
    assert "<script" not in dom
    assert "<img" not in dom


@browser
async def test_in_a_browser_the_page_asks_only_this_node(node: Any, tmp_path: Path) -> None:
    """Chromium sends every request through a proxy that writes down what was asked, and answers nothing else."""
    import asyncio

    asked: list[str] = []

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(str(request.rel_url) if request.rel_url.is_absolute() else request.path)
        async with ClientSession() as session, session.get(f"{node.url}{request.rel_url.path}") as answer:
            return web.Response(body=await answer.read(), content_type=answer.content_type)

    server = await asyncio.get_running_loop().create_server(web.Server(proxy), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = (f"--proxy-server=http://127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>", "--dump-dom")
    dom = await asyncio.to_thread(chromium, tmp_path / "profile", *through, node.url)
    server.close()
    assert "Stations connect to" in dom
    ours = {url for url in asked if url.startswith(node.url)}
    assert {url.removeprefix(node.url) for url in ours} <= {"/", "/plain.css"}
    assert not [url for url in asked if "evil" in url]


@browser
def test_in_a_browser_it_fits_and_follows_the_dark_mode(node: Any, tmp_path: Path) -> None:
    for width, dark in ((360, False), (360, True), (800, False)):
        name = f"first-{width}-{'dark' if dark else 'light'}.png"
        picture = Path(os.environ.get("ARTHEXIS_PICTURES", tmp_path)) / name
        frame = tmp_path / "frame.html"
        inner = f"<iframe src='{node.url}' width={width} height=640 style='border:0'></iframe>"
        frame.write_text(f"<body style='margin:0'>{inner}</body>")
        more = ("--blink-settings=preferredColorScheme=0",) if dark else ()
        size = (f"--window-size={width},640", f"--screenshot={picture}", "--hide-scrollbars", *more)
        chromium(tmp_path / "profile", *size, frame.as_uri())
        rows = pixels(picture)
        page = rows[2][2]
        assert (sum(page) < 200) is dark, page
        margins = {row[x] for row in rows for x in (4, width - 5)}
        assert margins == {page}, f"{name}: something sticks out"


def pixels(picture: Path) -> list[list[tuple[int, ...]]]:
    """The rows of a PNG as Chromium writes it (8 bits a channel, not interlaced), without a library."""
    data, chunks, at = picture.read_bytes(), {b"IDAT": b""}, 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks[kind] = chunks.get(kind, b"") + data[at + 8 : at + 8 + length]
        at += length + 12
    width, height, _, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    size = {2: 3, 6: 4}[colour]
    raw, stride, above, rows = zlib.decompress(chunks[b"IDAT"]), width * size, bytearray(width * size), []
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride if kind else 0):
            left, up = (line[x - size] if x >= size else 0), above[x]
            corner = above[x - size] if x >= size else 0
            line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]) & 255
        rows.append([tuple(line[x : x + 3]) for x in range(0, stride, size)])
        above = line
    return rows


def paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
