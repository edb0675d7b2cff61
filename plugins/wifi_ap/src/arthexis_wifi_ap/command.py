"""``arthexis wifi``: what the API offers, typed; ``setup`` prints what must be installed as root."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from arthexis import Invalid, call_api, show
from arthexis_wifi_ap.guests import mac_address

PATH: Final = "/wifi"
REFUSED: Final = 5
SETTLE_S: Final = 3


@click.group()
def wifi() -> None:
    """The access point: plan, apply, confirm, status, clients, revoke, remove; consents and setup."""


def _status(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


@wifi.command()
@show.json_option
def plan(as_json: bool) -> None:
    """Show what applying would change; nothing is touched. Exit status 5: something keeps it from being applied."""
    found = call_api("GET", f"{PATH}/plan")
    if as_json:
        show.as_json(found)
    else:
        _plan(found)
    if found["problems"]:
        raise SystemExit(REFUSED)


def _plan(found: dict[str, Any]) -> None:
    for change in found["changes"]:
        click.echo(show.plain(f"* {change}"))
    for notice in found["notices"]:
        click.echo(show.plain(f"note: {notice}"))
    for each in found["problems"]:
        click.echo(show.plain(f"problem ({each['code']}): {each['problem']}. {each['cure']}"))
    if not found["problems"]:
        click.echo("Nothing keeps it from being applied: arthexis wifi apply")


@wifi.command()
@click.option("--yes", is_flag=True, help="Confirm by itself, if all is well a few seconds later.")
@click.option(
    "--confirm-within", type=click.IntRange(5, 600), default=60, show_default=True, help="Seconds; then it is put back."
)
@show.json_option
def apply(yes: bool, confirm_within: int, as_json: bool) -> None:
    """Do what the plan says; it is put back if the uplink or your connection is lost, or if nobody confirms it."""
    body = {"confirm_within_s": confirm_within, "admin": _came_by()}
    found = call_api("POST", f"{PATH}/apply", body)
    if yes:
        found = _confirmed_later()
    elif sys.stdin.isatty() and not as_json:
        show.record(found)
        if click.confirm("It is up. Keep it?"):
            found = call_api("POST", f"{PATH}/confirm")
    _status(found, as_json=as_json)
    if found["state"] == "unconfirmed" and not as_json:
        click.echo(f"Within {confirm_within} seconds: arthexis wifi confirm")


def _came_by() -> str:
    """The address of this machine to which whoever types this is connected by SSH."""
    parts = os.environ.get("SSH_CONNECTION", "").split()
    return parts[2] if len(parts) == 4 else ""


def _confirmed_later() -> Any:
    import time

    time.sleep(SETTLE_S)
    return call_api("POST", f"{PATH}/confirm")


@wifi.command()
@show.json_option
def confirm(as_json: bool) -> None:
    """Keep what was applied."""
    _status(call_api("POST", f"{PATH}/confirm"), as_json=as_json)


@wifi.command()
@show.json_option
def status(as_json: bool) -> None:
    """Show how the access point is."""
    _status(call_api("GET", PATH), as_json=as_json)


@wifi.command()
@show.json_option
def clients(as_json: bool) -> None:
    """List the devices in the network, and for how long each is let through."""
    found = call_api("GET", f"{PATH}/clients")["items"]
    if as_json:
        show.as_json(found)
    else:
        show.table(found, ("mac", "address", "admitted", "seconds"), "No device.")


@wifi.command()
@click.argument("mac")
@show.json_option
def revoke(mac: str, as_json: bool) -> None:
    """End the access of a device (its MAC address) at once; it stays out until its consent's time would be over."""
    found = call_api("DELETE", f"{PATH}/clients/{quote(mac_address(mac), safe='')}")
    if as_json:
        show.as_json(found)
    else:
        click.echo(
            f"{found['mac']} is let through no longer."
            if found["revoked"]
            else f"{found['mac']} was not let in, and has no consent whose time runs, so it is not kept out."
        )


@wifi.command()
@show.json_option
def remove(as_json: bool) -> None:
    """Take the access point away: connection, gate, DHCP and portal."""
    _status(call_api("DELETE", PATH), as_json=as_json)


@wifi.command()
@click.option("--mac", help="Only of this device.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@show.json_option
def consents(mac: str | None, limit: int, as_json: bool) -> None:
    """List who consented until when, the latest first."""
    about = f"&mac={quote(mac, safe='')}" if mac else ""
    found = call_api("GET", f"{PATH}/consents?limit={limit}{about}")["items"]
    if as_json:
        show.as_json(found)
    else:
        show.table(found, ("device", "at", "until", "ended_by", "language", "digest"), "No consent.")


@wifi.command()
@click.option("--user", default="arthexis", show_default=True, help="The user that the node runs as.")
@click.option("--undo", is_flag=True, help="Print what takes it away again.")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write it into this file.")
def setup(user: str, undo: bool, to: Path | None) -> None:
    """Print a script that installs the part that needs root, to be read and then run by root."""
    from arthexis_wifi_ap import installing

    text = installing.undoing() if undo else installing.script(user)
    if to is None:
        click.echo(text, nl=False)
        return
    try:
        to.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(f"cannot be written: {error.strerror}", place=str(to), cure="Name another file") from None
    click.echo(show.plain(f"Read {to}, then: sudo sh {to}"))
