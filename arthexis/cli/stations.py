"""``arthexis stations``: who may connect, who waits, and who is here."""

from __future__ import annotations

from typing import Any

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask
from arthexis.cli.operations import WAIT_S, status_of, told


@click.group()
def stations() -> None:
    """Stations: add, list, approve, keys."""


@stations.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List every station."""
    found = ask("stations.list")
    if as_json:
        show.as_json(found)
        return
    columns = ("identity", "connected", "registration", "vendor", "model", "firmware_version", "last_seen_at")
    show.table(found, columns, "No station yet. Add one with: arthexis stations add CP-1")


@stations.command("show")
@click.argument("station")
@show.json_option
def show_(station: str, as_json: bool) -> None:
    """Show one station, its connectors and latest statuses."""
    found = ask("stations.show", station=station)
    if as_json:
        show.as_json(found)
        return
    lists = {"connectors", "statuses"}
    show.record(found, [name for name in found if name not in lists])
    click.echo()
    show.table(found["connectors"], ("number", "status", "error_code", "at"), "No connector has reported yet.")


@click.command()
@click.argument("station")
@show.json_option
def why(station: str, as_json: bool) -> None:
    """Tell what may explain a station's behaviour, and what to try next."""
    found = ask("stations.why", station=station)
    if as_json:
        show.as_json(found)
        return
    click.echo(f"{found['station']}")
    for finding in found["findings"]:
        click.echo(f"  {'!' if finding['wrong'] else ' '} {show.plain(finding['said'])}")
    if found["next"]:
        click.echo(f"Next: {show.plain(found['next'])}")


@stations.command()
@click.argument("station")
@click.option("--no-key", is_flag=True, help="Let it connect without a key (a plain station).")
@click.option("--key", metavar="HEX", help="A key made elsewhere: 32 to 40 hexadecimal digits.")
@show.json_option
def add(station: str, no_key: bool, key: str | None, as_json: bool) -> None:
    """Add a station and print its URL and key."""
    _credentials(ask("stations.add", station=station, no_key=no_key, key=key), as_json=as_json)


@stations.command("key")
@click.argument("station")
@click.option("--no-key", is_flag=True, help="Let it connect without a key from now on.")
@click.option("--push", is_flag=True, help="Tell it the key over its socket, and nobody else.")
@show.json_option
@click.pass_context
def key_(ctx: click.Context, station: str, no_key: bool, push: bool, as_json: bool) -> None:
    """Give a station a new key.

    With --push the old key works until the station first connects with the new one. Exit status as of `arthexis send`.
    """
    if push:
        ended = ask("stations.key", station=station, push=True, no_key=no_key, wait=WAIT_S)
        told(ended, as_json=as_json)
        ctx.exit(status_of(ended))
    _credentials(ask("stations.key", station=station, no_key=no_key), as_json=as_json)


@stations.command()
@show.json_option
def pending(as_json: bool) -> None:
    """List stations that were refused or wait for approval."""
    found = ask("stations.pending")
    if as_json:
        show.as_json(found)
        return
    show.table(found, ("identity", "remote", "tries", "last_at", "boot", "reason"), "Nobody was refused.")


@stations.command()
@click.argument("station")
@click.option("--no-key", is_flag=True, help="Let it connect without a key.")
@show.json_option
def approve(station: str, no_key: bool, as_json: bool) -> None:
    """Let in a station that was refused or waits."""
    _credentials(ask("stations.approve", station=station, no_key=no_key), as_json=as_json)


@stations.command()
@click.argument("station")
@show.json_option
def reject(station: str, as_json: bool) -> None:
    """Answer a station's boots Rejected."""
    found = ask("stations.reject", station=station)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"{found['station']} is rejected.")


@stations.command("set")
@click.argument("station")
@click.option("--mode", type=click.Choice(["strict", "repair", "node"]), help="How its frames are taken.")
@click.option("--zone", help="IANA zone of its timestamps that name none.")
@click.option("--ping", metavar="SECONDS", help="Silence after which it is pinged; 0 for never, or node.")
@show.json_option
def set_(station: str, mode: str | None, zone: str | None, ping: str | None, as_json: bool) -> None:
    """Change how a station is treated."""
    found = ask("stations.set", station=station, mode=mode, zone=zone, ping=ping)
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


def _credentials(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    click.echo(f"Station {found['station']}")
    for url in found["urls"]:
        click.echo(f"  URL          {url}")
    if found.get("kept_key"):
        click.echo(f"  key          the one it has; for a new one: arthexis stations key {found['station']}")
        return
    if found["key_hex"] is None:
        click.echo("  key          none: it connects without one, so anybody who reaches this node can pose as it")
        return
    click.echo(f"  user         {found['station']}")
    if found["key"] is not None:
        click.echo(f"  key (text)   {found['key']}")
    click.echo(f"  key (hex)    {found['key_hex']}")
    click.echo("  The key is shown this once. HTTP Basic, security profile 1 (AuthorizationKey).")
    click.echo("  The station needs it from its next connection on; one that is connected now stays so.")
