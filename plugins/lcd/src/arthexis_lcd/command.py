"""``arthexis lcd``: see what the display shows, say something, find one."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from typing import Any, Final

import click

from arthexis import Invalid, call_api, node_url, show
from arthexis_lcd import picture, probing

UNITS_S: Final = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*").fullmatch
ARTICLES: Final = {"alarm": "an alarm", "event": "an event", "session": "a session", "status": "a status"}
FOLLOW_S: Final = 0.3
UP: Final = "\x1b[{}A\r\x1b[J"


class Duration(click.ParamType[float]):
    """A time like 30s, 5m or 2h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds, above 0."""
        found = _DURATION(str(value).lower())
        if found is None or found[2] not in UNITS_S or not float(found[1]):
            self.fail(f"{value!r} is no time; write 30s, 5m or 2h", param, ctx)
        return float(found[1]) * UNITS_S[found[2]]


@click.group()
def lcd() -> None:
    """Display: show what stands on it, say something, probe for one."""


@lcd.command("show")
@click.option("--follow", is_flag=True, help="Go on showing it, until Ctrl-C.")
@show.json_option
def show_(follow: bool, as_json: bool) -> None:
    """Show what stands on the display now."""
    state = call_api("GET", "/lcd")
    _print(state, as_json=as_json)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(state, as_json=as_json)


def _follow(state: dict[str, Any], *, as_json: bool) -> None:
    """Print the display each time that it has changed, in a terminal over what was there."""
    while True:
        time.sleep(FOLLOW_S)
        before, state = state, call_api("GET", "/lcd")
        if _seen(state) != _seen(before):
            if sys.stdout.isatty() and not as_json:
                click.echo(UP.format(len(_drawn(before))), nl=False)
            _print(state, as_json=as_json)


def _seen(state: dict[str, Any]) -> tuple[Any, ...]:
    return state["lines"], state["problem"]


def _drawn(state: dict[str, Any]) -> list[str]:
    lines = picture.framed([show.plain(line) for line in state["lines"]], sys.stdout.encoding or "ascii")
    if state["problem"]:
        lines.append(show.plain(f"This is what would stand there: {state['problem']}. {state['cure']}"))
    return lines


def _print(state: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(state)
    else:
        click.echo("\n".join(_drawn(state)))


@lcd.command()
@click.argument("text")
@click.option("--for", "for_s", type=Duration(), help="How long it is shown: 30s, 5m, 2h.")
@click.option(
    "--priority",
    type=click.Choice(["alarm", "event", "session", "status"]),
    default="event",
    show_default=True,
    help="Whatever is higher is shown first.",
)
@click.option("--title", default="", help="The first row; the text goes below it.")
@click.option("--key", default="", help="It takes the place of what has the same key.")
@show.json_option
def say(text: str, for_s: float | None, priority: str, title: str, key: str, as_json: bool) -> None:
    """Show TEXT on the display."""
    if not text.strip():
        raise Invalid("there is nothing to show", place="TEXT", cure="Write a text of at least one letter")
    wish = {"text": text, "title": title, "priority": priority, "key": key, "for_s": for_s}
    said = call_api("POST", "/lcd/messages", wish)
    if as_json:
        show.as_json(said)
    else:
        click.echo(show.plain(told(said)))


def told(said: dict[str, Any]) -> str:
    """Whether it is on show or waits for its turn, and how long it is worth showing."""
    kind, for_s, before = said["priority"], f"{said['for_s']:.0f} s", said["waits_behind"]
    if before is None:
        return f"Shown for {for_s} as {kind}: {said['text']}"
    return f"Waits for its turn behind {ARTICLES[before]} as {kind}, for {for_s} at most: {said['text']}"


@lcd.command()
@show.json_option
def probe(as_json: bool) -> None:
    """Look for displays on every I2C bus of this machine."""
    if node_url() is not None:
        found = call_api("GET", "/lcd/probe")["items"]
    else:
        found = [{name: getattr(one, name) for name in one.__struct_fields__} for one in probing.probe()]
    if as_json:
        show.as_json(found)
        return
    for row in found:
        told = ", ".join(row["addresses"]) or "nothing answers where a display could be"
        click.echo(show.plain(f"{row['bus']}: {row['problem'] + '. ' + row['cure'] if row['problem'] else told}"))
