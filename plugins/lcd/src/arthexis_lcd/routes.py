"""The display over HTTP: what it shows, a picture of it, saying something, looking for one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from aiohttp import web
from msgspec import Meta, Struct, structs

from arthexis import Answer, ApiRequest, ArthexisError, Route
from arthexis_lcd import picture, probing
from arthexis_lcd.board import MOST_TEXT, board_of
from arthexis_lcd.lanes import Lane, Message

T = TypeVar("T")
Priority = Literal["alarm", "event", "session", "status"]
LONGEST_S: Final = 7 * 86_400.0


class Said(Struct, kw_only=True):
    """Something that is shown, or waits for its turn; ``for_s`` is how long it is still valid."""

    priority: str
    title: str
    text: str
    key: str
    for_s: float | None


class Display(Struct, kw_only=True):
    """The display: what stands on it now, in rows as wide as it is, and why it does not, where something is wrong.

    ``lane`` is the priority of what is on show, and ``clock`` where there is nothing else to show.
    """

    bus: str
    columns: int
    rows: int
    light: bool
    lines: list[str]
    lane: str | None
    problem: str | None
    cure: str | None
    messages: list[Said]


class Taken(Said, kw_only=True):
    """Something that was said; ``waits_behind`` is the priority of what is on show before it, None where nothing is."""

    waits_behind: str | None


class Say(Struct, kw_only=True, forbid_unknown_fields=True):
    """Something to show."""

    text: Annotated[str, Meta(pattern=r"\S", max_length=MOST_TEXT, description="What is shown; long ones scroll")]
    title: Annotated[str, Meta(max_length=MOST_TEXT, description="The first row, where the text goes below it")] = ""
    priority: Annotated[Priority, Meta(description="Whatever is higher is shown first: alarm is the highest")] = "event"
    for_s: (
        Annotated[float, Meta(gt=0, le=LONGEST_S, description="Seconds; without them, what is usual for its priority")]
        | None
    ) = None
    key: Annotated[str, Meta(max_length=100, description="It takes the place of what has the same key")] = ""


class Probed(Struct, kw_only=True):
    """Every I2C bus of the machine, and what answers on it."""

    items: list[probing.Found]


async def show(request: ApiRequest) -> Display:
    """What stands on the display now."""
    board = board_of(request.host)
    return Display(**board.state(), messages=[_said(message, left_s) for message, left_s in board.messages()])


def _said(message: Message, left_s: float | None) -> Said:
    return Said(
        priority=message.lane.name.lower(), title=message.title, text=message.text, key=message.key, for_s=left_s
    )


async def say(request: ApiRequest) -> Answer:
    """Have something shown."""
    wish: Say = request.body
    board = board_of(request.host)
    message = board.say(wish.text, Lane[wish.priority.upper()], title=wish.title, lasts_s=wish.for_s, key=wish.key)
    left_s = None if message.until is None else message.until - request.host.clock.monotonic()
    said = structs.asdict(_said(message, left_s))
    return Answer(Taken(**said, waits_behind=board.waits_behind(message)), 202)


async def draw(request: ApiRequest) -> web.Response:
    """The display in dots."""
    state = board_of(request.host).state()
    drawn = picture.svg(state["lines"], light=state["light"] and state["problem"] is None)
    return web.Response(text=drawn, content_type="image/svg+xml", headers={"Cache-Control": "no-store"})


async def probe(request: ApiRequest) -> Probed:
    """Look for displays on every bus."""
    return Probed(items=await _in_a_thread(probing.probe))


async def _in_a_thread(call: Callable[[], T]) -> T:
    """Run what may hang where nothing waits for it at the node's end; what it returns or raises.

    The loop's own threads will not do: the process would wait for them.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        found: Any = None
        trouble: ArthexisError | None = None
        try:
            found = call()
        except ArthexisError as error:
            trouble = error
        loop.call_soon_threadsafe(_settle, done, found, trouble)

    threading.Thread(target=run, name="arthexis-lcd-probe", daemon=True).start()
    return await done


def _settle(done: asyncio.Future[Any], found: Any, trouble: ArthexisError | None) -> None:
    if done.done():
        return
    if trouble is not None:
        done.set_exception(trouble)
    else:
        done.set_result(found)


ROUTES: Final = (
    Route("GET", "/lcd", show, "viewer", "What the display shows", answer=Display, topic="Display"),
    Route(
        "POST",
        "/lcd/messages",
        say,
        "operator",
        "Show a message",
        body=Say,
        answer=Taken,
        statuses={202: "It is shown as soon as nothing more important is"},
        topic="Display",
    ),
    Route("GET", "/lcd/picture", draw, "viewer", "The display as a picture", media="image/svg+xml", topic="Display"),
    Route("GET", "/lcd/probe", probe, "operator", "Look for displays", answer=Probed, topic="Display"),
)
