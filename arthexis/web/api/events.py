"""The event stream (server-sent events): what happens, as it is stored, resumed where a reader left off.

A stream keeps nothing in memory: it is woken by a commit and reads on in the table of events at its own pace, so that
a slow reader costs nobody else anything and misses nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import UTC
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from arthexis.charging import stations
from arthexis.contributions import ApiRequest, Route
from arthexis.db import events
from arthexis.db.events import Event
from arthexis.db.statements import Connection
from arthexis.errors import Invalid
from arthexis.host import Host
from arthexis.web.access import DOOR, allows
from arthexis.web.api.scalars import Identity

KEEP_ALIVE_S: Final = 15.0
WRITE_S: Final = 30.0
PAUSE_S: Final = 0.05
LARGEST: Final = 2**62
RESUME: Final = "Last-Event-ID"
HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}

_number = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
encode = msgspec.json.Encoder().encode


class Follow(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which events."""

    kinds: (
        Annotated[
            str,
            Meta(
                pattern=r"^[a-z_.]+(\.\*)?(,[a-z_.]+(\.\*)?)*$",
                max_length=500,
                description="Kinds with commas between; `transaction.*` is all of those. Left out: every kind",
                examples=["transaction.started,transaction.stopped"],
            ),
        ]
        | None
    ) = None
    station: Identity | None = None
    after: Annotated[int, Meta(ge=0, le=LARGEST, description="Begin behind this event; left out: with the next")] | (
        None
    ) = None


class ServerSentEvent(Struct, kw_only=True):
    """One event of the stream: its number, its kind, and a JSON object (id, kind, station, at, data) as text."""

    id: str
    event: str
    data: str


class Stream:
    """One reader of events."""

    def __init__(self, host: Host, response: web.StreamResponse, kinds: Iterable[str], station: str | None) -> None:
        """Nothing is sent before ``follow``."""
        self._host = host
        self._response = response
        self._kinds = tuple(kinds)
        self._station = station
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something new, or the node stops."""
        self._woken.set()

    async def follow(self, behind: int) -> int:
        """Send what there is behind an event, or a sign of life if nothing comes; the number to go on from."""
        self._woken.clear()

        def read(db: Connection) -> tuple[list[Event], int]:
            return events.matching(db, behind, kinds=self._kinds, station=self._station)

        found, seen = await self._host.database.read(read)
        if found:
            await self._write(b"".join(told(event) for event in found))
        elif seen == behind and not await self._woken_within(KEEP_ALIVE_S):
            await self._write(b": still here\n\n")
        return seen

    async def _woken_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._woken.wait()
        except TimeoutError:
            return False

    async def _write(self, chunk: bytes) -> None:
        """Send bytes; raises ``TimeoutError`` for a reader that takes none of them."""
        async with asyncio.timeout(WRITE_S):
            await self._response.write(chunk)


def told(event: Event) -> bytes:
    """An event as the stream says it."""
    at = event.at.astimezone(UTC)
    data = {"id": event.id, "kind": event.kind, "station": event.station, "at": at, "data": event.data}
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.kind.encode(), encode(data))


async def stream(request: ApiRequest) -> web.StreamResponse:
    """Follow the events until the reader, the node or the token goes, or the stream has lived long enough."""
    host, asked = request.host, request.params
    behind, station = await _place(request)
    response = web.StreamResponse(headers=HEADERS)
    reader = Stream(host, response, (asked.kinds or "").split(",") if asked.kinds else (), station)
    host.watchers.add(reader.wake)
    door = request.http.app[DOOR]
    door.at_close.add(reader.wake)
    try:
        await response.prepare(request.http)
        await response.write(b"retry: 3000\n: events follow\n\n")
        async with asyncio.timeout(host.settings.http.longest_stream_s):
            while not door.closed and await _still_allowed(request):
                behind = await reader.follow(behind)
                await asyncio.sleep(PAUSE_S)
    except (TimeoutError, ConnectionError):
        pass
    finally:
        host.watchers.discard(reader.wake)
        door.at_close.discard(reader.wake)
    return response


async def _still_allowed(request: ApiRequest) -> bool:
    """Whether the token is still good."""
    granted = await request.http.app[DOOR].grant(request.http)
    return granted is not None and allows(granted.access, "viewer")


async def _place(request: ApiRequest) -> tuple[int, str | None]:
    """Behind which event to begin, and the station as it is written here; raises ``NotFound``."""
    asked: Follow = request.params
    header = request.http.headers.get(RESUME)
    if header is not None and _number(header) is None:
        raise Invalid("it is no event's number", place="header", member=RESUME, cure="Send the id of an event")
    named = int(header) if header is not None else asked.after

    def read(db: Connection) -> tuple[int, str | None]:
        station = stations.required(db, asked.station).identity if asked.station is not None else None
        return events.last(db) if named is None else named, station

    return await request.host.database.read(read)


ROUTES: Final = (
    Route(
        "GET",
        "/events",
        stream,
        "viewer",
        "Follow what happens, as a stream of server-sent events",
        "Each event has its number as `id`, its kind as `event` and a JSON object as `data` (id, kind, station, at,"
        " data). The stream ends now and then; resume with the header Last-Event-ID, as browsers do by themselves.",
        params=Follow,
        answer=ServerSentEvent,
        statuses={200: "The stream"},
        headers={RESUME: "Begin behind the event of this number"},
        media="text/event-stream",
    ),
)
