"""``arthexis messages``: the frames as they went over the wire."""

from __future__ import annotations

import time
from typing import Any

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask


@click.group()
def messages() -> None:
    """The message log."""


@messages.command("list")
@click.option("--station", help="Only of this station.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--follow", is_flag=True, help="Go on with what comes (with --json one object after the other).")
@show.json_option
def list_(station: str | None, limit: int, follow: bool, as_json: bool) -> None:
    """List the latest frames, oldest first."""
    last = 0
    while True:
        found = ask("messages.list", station=station, limit=limit, after=last)
        if not follow:
            _print(found, as_json=as_json)
            return
        for row in found:
            _print(row if as_json else [row], as_json=as_json)
        last = found[-1]["id"] if found else last
        time.sleep(0.5)


def _print(found: Any, *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    for row in found:
        there, back = (">", "<") if row["inbound"] else ("<", ">")
        start = f"{row['at']}  {show.plain(row['station'])}"
        mended = f"  mended: {show.plain(row['repairs'])}" if row["repairs"] else ""
        if row["frame"] is not None:
            click.echo(f"{start} {there} {show.plain(row['frame'])}{mended}")
        if row["answer"] is not None:
            click.echo(f"{start} {back} {show.plain(row['answer'])}")
