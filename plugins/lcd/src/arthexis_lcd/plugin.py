"""The plugin ``lcd``: settings, the display's lifespan, a notifier, live hooks, routes and a command."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from arthexis import Command, Config, Context, Event, Notification, Notifier, Route, hookimpl
from arthexis_lcd import routes
from arthexis_lcd.board import Board, board_of, something_changed
from arthexis_lcd.lanes import Lane
from arthexis_lcd.settings import Settings

_sentence = re.compile(r"(?<=[^\s.][^\s.])\.\s+(?=[A-Z`])")


@hookimpl
def register_config() -> Iterable[Config]:
    """Offer the settings."""
    yield Config(Settings)


@hookimpl
def register_routes() -> Iterable[Route]:
    """Offer the display over HTTP."""
    yield from routes.ROUTES


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis lcd``."""
    yield Command("lcd", "arthexis_lcd.command:lcd", "The display: show, say, probe")


@hookimpl
def register_notifiers() -> Iterable[Notifier]:
    """Show notifications."""
    yield Notifier("lcd", notify, "The display of this machine")


async def notify(notification: Notification, ctx: Context) -> None:
    """Show a notification in the lane of its priority; raises ``Unavailable`` while there is no display.

    One that is over by now is not shown any more. Of what an event led to the first sentence is shown: those behind it
    say what to type where, which is for who runs the node and not for who stands in front of the display.
    """
    board, end = board_of(ctx.host), notification.expires_at
    lasts_s = (end - ctx.clock.now()).total_seconds() if end is not None else None
    if lasts_s is None or lasts_s > 0:
        lane = Lane[notification.priority.upper()]
        text = first_sentence(notification.text) if notification.kind else notification.text
        board.say(text, lane, title=notification.title, lasts_s=lasts_s, key=notification.key)


def first_sentence(text: str) -> str:
    """A text up to its first full stop with something behind it, without that."""
    return _sentence.split(text, maxsplit=1)[0]


@hookimpl
async def on_transaction_started(event: Event) -> None:
    """A session has begun: show it at once."""
    something_changed(urgent=True)


@hookimpl
async def on_transaction_metered(event: Event) -> None:
    """A session goes on: show its energy soon."""
    something_changed(urgent=False)


@hookimpl
async def on_transaction_stopped(event: Event) -> None:
    """A session has ended: show what it came to."""
    something_changed(urgent=True)


@hookimpl
@asynccontextmanager
async def lifespan(ctx: Context) -> AsyncIterator[None]:
    """Find the display, and say goodbye at the end; raises ``Unavailable``."""
    board = Board(ctx)
    await board.open()
    try:
        yield
    finally:
        await board.close()
