"""Stations over HTTP, outside the API: a file is fetched in one piece or several (RFC 9110 §14), one is brought."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from typing import Any, BinaryIO, Final

from aiohttp import BodyPartReader, MultipartReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from arthexis import ApiRequest, DomainError, NotFound
from arthexis_files import store
from arthexis_files.store import BLOCK, TooLarge
from arthexis_files.tokens import Grant, Spent
from arthexis_files.transfers import Transfers

STALLED_S: Final = 60.0
HEADERS: Final = {
    hdrs.CONTENT_TYPE: "application/octet-stream",
    hdrs.ACCEPT_RANGES: "bytes",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
}
BROKEN_OFF: Final = (ConnectionError, TimeoutError, HttpProcessingError, ValueError, web.RequestPayloadError)
_range = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE).fullmatch


class Stations:
    """The handlers of the public routes."""

    def __init__(self, transfers: Transfers) -> None:
        """Serve these."""
        self._transfers = transfers

    async def fetch(self, request: ApiRequest) -> web.StreamResponse:
        """Send a station its file: 200 or 206, 304, 404 for what is no token, 410 for one that is over, 416."""
        token, name = request.params["token"], request.params["name"]
        with _Told():
            async with self._transfers.alone(token, partial(_abort, request.http)):
                grant = await self._transfers.admit(token, upload=False, login=_login(request.http))
                if grant.file is None or name.lstrip("/") != grant.file["name"]:
                    raise NotFound("nothing is here", place="files", cure="Ask for a new location")
                with await self._transfers.opened(grant) as content:
                    return await self._send(request.http, grant, content)

    async def _send(self, http: web.Request, grant: Grant, content: BinaryIO) -> web.StreamResponse:
        file = grant.file or {}
        response = prepared(http, file)
        if response.status in {304, 416}:
            await response.prepare(http)
            return response
        start, end = span(response, file["size"])
        grant.check(start, end)
        done = start
        try:
            if http.method == hdrs.METH_HEAD:
                await response.prepare(http)
                return response
            async for at in poured(http, response, content, start, end):
                done = at
        except (ConnectionError, TimeoutError):
            _abort(http)
        finally:
            if done > start:
                await self._transfers.sent(grant, start, done)
        return response

    async def bring(self, request: ApiRequest) -> web.StreamResponse:
        """Take a station's file: 201, 404 or 410 for its token, 413 where it is too large."""
        token, tail = request.params["token"], request.params["name"]
        http, most = request.http, self._transfers.settings.max_upload_bytes
        with _Told():
            async with self._transfers.alone(token, partial(_abort, http)):
                grant = await self._transfers.admit(token, upload=True, login=_login(http))
                if (http.content_length or 0) > most + BLOCK:
                    raise TooLarge(f"more than {most} bytes", place="file", cure="Send a smaller file")
                names = [tail]
                try:
                    incoming = await store.received(self._transfers.store, pieces(http, names), most)
                except BROKEN_OFF as bad:
                    raise DomainError(f"the upload broke off: {bad}", place="file", cure="Send it again") from None
                name = next((n for n in reversed(names) if n.strip("/")), f"{grant.station}.log")
                await self._transfers.brought(grant, incoming, name)
        return web.Response(status=201, text="Kept.\n")


async def whole(transfers: Transfers, http: web.Request, file: dict[str, Any]) -> web.StreamResponse:
    """A file for somebody who has an API token; raises ``Unavailable`` where it is not what was stored."""
    content = await asyncio.to_thread(transfers.store.opened, file["uid"], file["size"], file["sha256"])
    with content:
        response = prepared(http, file)
        if response.status in {304, 416} or http.method == hdrs.METH_HEAD:
            await response.prepare(http)
            return response
        start, end = span(response, file["size"])
        try:
            async for _ in poured(http, response, content, start, end):
                pass
        except (ConnectionError, TimeoutError):
            _abort(http)
    return response


class _Told:
    """Turns what a token no longer allows into 410 Gone."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Spent):
            raise web.HTTPGone(text="This location is over.\n") from None


def _abort(http: web.Request) -> None:
    """Cut the connection, so that what waits for it fails."""
    if http.transport is not None:
        http.transport.abort()


def _login(http: web.Request) -> str | None:
    """Who a station says to be by Basic authentication, or None; raises ``NotFound`` where that cannot be read."""
    scheme, _, text = http.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace").partition(":")[0]
    except (binascii.Error, ValueError):
        raise NotFound("nothing is here", place="files", cure="Ask for a new location") from None


async def pieces(http: web.Request, names: list[str]) -> AsyncIterator[bytes]:
    """The content of an upload, raw or the first file of a form; its name is added to ``names``."""
    if not http.content_type.startswith("multipart/"):
        async for chunk in _unstalled(http.content):
            yield chunk
        return
    part = await _first_file(await http.multipart())
    names.append(part.filename or "")
    while True:
        async with asyncio.timeout(STALLED_S):
            chunk = await part.read_chunk(BLOCK)
        if not chunk:
            return
        yield bytes(chunk)


async def _unstalled(content: Any) -> AsyncIterator[bytes]:
    while True:
        async with asyncio.timeout(STALLED_S):
            chunk = await content.readany()
        if not chunk:
            return
        yield chunk


async def _first_file(form: MultipartReader) -> BodyPartReader:
    while True:
        async with asyncio.timeout(STALLED_S):
            part = await form.next()
        if part is None:
            raise DomainError("the form has no file", place="file", cure="Send one part with a file name")
        if isinstance(part, BodyPartReader) and part.filename is not None:
            return part
        if isinstance(part, BodyPartReader):
            await part.release()


# ---------------------------------------------------------------------- one file, in pieces


def prepared(http: web.Request, file: dict[str, Any]) -> web.StreamResponse:
    """The head of the answer to a request for a file: 200, 206, 304 or 416 (RFC 9110 §13, §14)."""
    size, tag = file["size"], f'"{file["sha256"]}"'
    headers = {**HEADERS, hdrs.ETAG: tag, hdrs.LAST_MODIFIED: format_datetime(file["added_at"], usegmt=True)}
    headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{file["name"]}"'
    if tag in [t.strip().removeprefix("W/") for t in http.headers.get(hdrs.IF_NONE_MATCH, "").split(",")]:
        return web.StreamResponse(status=304, headers=headers)
    wanted = _wanted(http, file, headers)
    if wanted is None:
        response = web.StreamResponse(headers=headers)
        response.content_length = size
        return response
    start, end = wanted
    if start >= min(end, size):
        response = web.StreamResponse(status=416, headers={**headers, hdrs.CONTENT_RANGE: f"bytes */{size}"})
        response.content_length = 0
        return response
    headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{end - 1}/{size}"
    response = web.StreamResponse(status=206, headers=headers)
    response.content_length = end - start
    return response


def _wanted(http: web.Request, file: dict[str, Any], headers: dict[str, str]) -> tuple[int, int] | None:
    """The one range that is asked for and meant for this very content; None: all of it."""
    found = _range(http.headers.get(hdrs.RANGE, "").strip())
    if found is None or http.method != hdrs.METH_GET or found.groups() == ("", ""):
        return None
    condition = http.headers.get(hdrs.IF_RANGE)
    if condition is not None and condition.strip() != headers[hdrs.ETAG] and not _same_time(condition, file):
        return None
    first, last = found.groups()
    size: int = file["size"]
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _same_time(condition: str, file: dict[str, Any]) -> bool:
    try:
        return bool(parsedate_to_datetime(condition) == file["added_at"].replace(microsecond=0))
    except (ValueError, TypeError):
        return False


def span(response: web.StreamResponse, size: int) -> tuple[int, int]:
    """From where to before where an answer goes."""
    told = response.headers.get(hdrs.CONTENT_RANGE)
    if told is None:
        return 0, size
    first, _, last = told.removeprefix("bytes ").partition("/")[0].partition("-")
    return int(first), int(last) + 1


async def poured(
    http: web.Request, response: web.StreamResponse, content: BinaryIO, start: int, end: int
) -> AsyncIterator[int]:
    """Send a file's bytes, block by block; yields how far it has come. Raises where nobody takes them."""
    await response.prepare(http)
    content.seek(start)
    at = start
    while at < end:
        block = await asyncio.to_thread(content.read, min(BLOCK, end - at))
        if not block:
            raise ConnectionAbortedError("the file ended early")
        async with asyncio.timeout(STALLED_S):
            await response.write(block)
        at += len(block)
        yield at
    await response.write_eof()
