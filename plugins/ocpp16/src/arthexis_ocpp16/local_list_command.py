"""``arthexis local-list``: whom stations serve by themselves while the node is out of reach."""

from __future__ import annotations

from urllib.parse import quote

import click

from arthexis import call_api, show

IN_SYNC = "in sync"
NOT_DONE = 8


@click.group("local-list")
def command() -> None:
    """Local authorization lists of stations: show, sync."""


@command.command("show")
@click.argument("station")
@show.json_option
def show_(station: str, as_json: bool) -> None:
    """Show whom STATION should serve by itself, and what of that it has accepted."""
    found = call_api("GET", f"/stations/{quote(station, safe='')}/local-list")
    if as_json:
        show.as_json(found)
        return
    show.record(found, ["station", "version", "told_version", "in_sync", "synced", "said", "left_out"], empty=True)
    show.table(found["items"], ("id_tag", "state", "parent_id_tag", "expires_at"), "No tag may charge.")


@command.command()
@click.argument("station")
@click.option("--full", is_flag=True, help="Send the whole list, whatever the station says that it holds.")
@show.json_option
@click.pass_context
def sync(ctx: click.Context, station: str, full: bool, as_json: bool) -> None:
    """Bring the list of STATION up to date. Exit status 8: it is not."""
    found = call_api("POST", f"/stations/{quote(station, safe='')}/local-list/sync", {"full": full})
    if as_json:
        show.as_json(found)
    else:
        said = f" ({show.plain(found['said'])})" if found["said"] else ""
        click.echo(f"{station}: {found['state']}{said}; lists sent: {found['sent']}")
    ctx.exit(0 if found["state"] == IN_SYNC else NOT_DONE)
