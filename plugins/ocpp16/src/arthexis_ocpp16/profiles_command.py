"""``arthexis profiles``: charging profiles by name, as stations took them, and what they come to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import click

from arthexis import DomainError, ask, call_api, show

ASK_S = 35.0


def path(name: str) -> str:
    """Where the API has a profile."""
    return f"/charging-profiles/{quote(name, safe='')}"


@click.group("profiles")
def command() -> None:
    """Charging profiles: list, show, put, remove, installed, composite."""


@command.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List the profiles that have a name."""
    found = call_api("GET", "/charging-profiles")["items"]
    if as_json:
        show.as_json(found)
        return
    rows = [{**row, "purpose": row["profile"].get("chargingProfilePurpose")} for row in found]
    show.table(rows, ("name", "purpose", "changed_at", "profile"), "No profile has a name.")


@command.command("show")
@click.argument("name")
def show_(name: str) -> None:
    """Print the profile NAME as OCPP JSON."""
    show.as_json(call_api("GET", path(name))["profile"])


@command.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@show.json_option
def put(name: str, file: str, as_json: bool) -> None:
    """Keep the profile in FILE (OCPP JSON, - for standard input) under NAME."""
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            profile: Any = json.load(opened)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DomainError(f"no JSON: {error}", place=file, cure="See OCPP 1.6 §7.8") from None
    found = call_api("PUT", path(name), profile)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"Kept as {show.plain(name)}. Use it: arthexis send STATION SetChargingProfile")


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the profile NAME; stations that took it keep it."""
    call_api("DELETE", path(name))
    click.echo(f"{show.plain(name)} is forgotten.")


@command.command()
@click.argument("station")
@show.json_option
def installed(station: str, as_json: bool) -> None:
    """List the profiles that STATION took."""
    found = call_api("GET", f"/stations/{quote(station, safe='')}/charging-profiles")["items"]
    if as_json:
        show.as_json(found)
        return
    columns = ("connector", "profile_id", "purpose", "stack_level", "transaction_id", "installed_at")
    show.table(found, columns, f"{station} has taken none, as far as is known.")


@command.command()
@click.argument("station")
@click.argument("connector", type=click.IntRange(0))
@click.option("--hours", type=click.FloatRange(min=0.01, max=744), default=24, show_default=True)
@click.option("--unit", type=click.Choice(["A", "W"]), default="A", show_default=True)
@click.option("--ask", "asking", is_flag=True, help="Ask the station first what it will allow.")
@show.json_option
def composite(station: str, connector: int, hours: float, unit: str, asking: bool, as_json: bool) -> None:
    """Compute what CONNECTOR of STATION may draw, beside what the station said when it was last asked."""
    duration_s = round(hours * 3600)
    if asking:
        payload = {"connectorId": connector, "duration": duration_s, "chargingRateUnit": unit}
        ask("operations.send", station=station, action="GetCompositeSchedule", payload=payload, wait=ASK_S)
    query = urlencode({"connector": connector, "duration_s": duration_s, "unit": unit})
    found = call_api("GET", f"/stations/{quote(station, safe='')}/composite-schedule?{query}")
    if as_json:
        show.as_json(found)
        return
    start = datetime.fromisoformat(found["start"])
    rows = [{**row, "from": _text(start, row["start_s"])} for row in found["items"]]
    click.echo(f"As computed from the profiles {show.plain(found['profiles'])}, in {unit}:")
    show.table(rows, ("from", "limit", "phases"), "No profile limits it.")
    click.echo(f"The station's last answer, of {show.plain(found['answered_at'])}:")
    click.echo(show.plain(found["answer"]))


def _text(start: datetime, seconds: int) -> str:
    return f"{start + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} UTC"
