"""``arthexis reservations``: connectors kept for tags, now and ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from arthexis import DomainError, ask, call_api, format_utc, parse_utc, show

COLUMNS = ("id", "station", "connector", "id_tag", "state", "starts_at", "expires_at", "said")
NOT_DONE = 8


@click.group("reservations")
def command() -> None:
    """Reservations: list, show, add, cancel."""


@command.command("list")
@click.option("--station", help="Only of this station.")
@click.option("--state", help="Only in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@show.json_option
def list_(station: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List reservations, the latest first."""
    found = ask("reservations.list", station=station, state=state, limit=limit)
    if as_json:
        show.as_json(found)
        return
    show.table(found, COLUMNS, "No reservation.")


@command.command("show")
@click.argument("reservation", type=click.IntRange(1))
@show.json_option
def show_(reservation: int, as_json: bool) -> None:
    """Show one reservation."""
    _print(ask("reservations.show", reservation=reservation), as_json=as_json)


@command.command()
@click.argument("station")
@click.argument("id_tag")
@click.option("--connector", type=click.IntRange(0), help="0 is any; a free one is chosen if left out.")
@click.option("--from", "start", metavar="TIME", help="In UTC, like 2027-01-31T12:00:00Z; now if left out.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=60, show_default=True)
@click.option("--parent", "parent_id_tag", help="The group that may use it too; the tag's own if left out.")
@show.json_option
def add(
    station: str,
    id_tag: str,
    connector: int | None,
    start: str | None,
    minutes: float,
    parent_id_tag: str | None,
    as_json: bool,
) -> None:
    """Keep a connector of STATION for ID_TAG."""
    starts_at = parse_utc(start) if start is not None else datetime.now(UTC)
    if starts_at is None:
        raise DomainError(f"no time {start!r}", place="--from", cure="Write it like 2027-01-31T12:00:00Z")
    given = {
        "station": station,
        "id_tag": id_tag,
        "connector": connector,
        "starts_at": format_utc(starts_at) if start is not None else None,
        "expires_at": format_utc(starts_at + timedelta(minutes=minutes)),
        "parent_id_tag": parent_id_tag,
    }
    _print(call_api("POST", "/reservations", given), as_json=as_json)


@command.command()
@click.argument("reservation", type=click.IntRange(1))
@show.json_option
@click.pass_context
def cancel(ctx: click.Context, reservation: int, as_json: bool) -> None:
    """Give a reservation up. Exit status 8: the station has not let it go (yet)."""
    found = call_api("POST", f"/reservations/{reservation}/cancel", {})
    _print(found, as_json=as_json)
    ctx.exit(0 if found["state"] == "cancelled" else NOT_DONE)


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
    else:
        show.record(found)
