"""The command `arthexis sunbox`."""

from urllib.parse import quote

import click

from arthexis import call_api, show


@click.command()
@click.argument("station")
@show.json_option
def sunbox(station, as_json):
    """Show what a Sunbox charger told of itself, the latest first."""
    rows = call_api("GET", f"/sunbox/telemetry/{quote(station, safe='')}")
    if as_json:
        show.as_json(rows)
    else:
        show.table(rows, ("number", "celsius", "fan_rpm"), f"{station} has told nothing.")
