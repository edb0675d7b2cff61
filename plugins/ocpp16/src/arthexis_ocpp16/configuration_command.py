"""``arthexis configuration``: what stations' keys are, what they should be, and making them so."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from arthexis import call_api, show

SENT_NOTHING = 8


def path(station: str, *more: str) -> str:
    """Where the API has a station's configuration."""
    return "/".join([f"/stations/{quote(station, safe='')}/configuration", *more])


@click.group("configuration")
def command() -> None:
    """Configuration of stations: read, show, history, desire, follow, drift, apply, templates."""


@command.command()
@click.argument("station")
@click.argument("keys", nargs=-1)
@show.json_option
@click.pass_context
def read(ctx: click.Context, station: str, keys: tuple[str, ...], as_json: bool) -> None:
    """Ask STATION for its keys, or for KEYS. Exit status 8: it told none."""
    found = call_api("POST", path(station, "read"), {"keys": list(keys)})
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"{station} told {len(found['keys'])} keys; unknown to it: {show.plain(found['unknown'])}")
        for warning in found["warnings"]:
            click.echo(f"  ! {show.plain(warning)}")
    ctx.exit(0 if found["keys"] or found["unknown"] else SENT_NOTHING)


@command.command("show")
@click.argument("station")
@show.json_option
def show_(station: str, as_json: bool) -> None:
    """Show a station's keys as they were last told or taken."""
    found = call_api("GET", path(station))
    if as_json:
        show.as_json(found)
        return
    wished = {key.casefold(): value for key, value in found["desired"].items()}
    rows = [{**row, "desired": wished.get(row["key"].casefold())} for row in found["items"]]
    columns = ("key", "readonly", "reboot_required", "seen_at", "desired", "value")
    show.table(rows, columns, f"Never read. Try: arthexis configuration read {station}")
    if found["template"]:
        click.echo(f"It follows the template {show.plain(found['template'])}.")


@command.command()
@click.argument("station")
@click.option("--key", help="Only of this key.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@show.json_option
def history(station: str, key: str | None, limit: int, as_json: bool) -> None:
    """List how a station's keys changed, the latest first."""
    wanted = f"history?limit={limit}" + (f"&key={quote(key, safe='')}" if key else "")
    found = call_api("GET", path(station, wanted))["items"]
    if as_json:
        show.as_json(found)
        return
    show.table(found, ("at", "key", "source", "before", "value"), "Nothing has changed.")


@command.command()
@click.argument("station")
@click.argument("wishes", nargs=-1, required=True, metavar="KEY=VALUE...")
@show.json_option
def desire(station: str, wishes: tuple[str, ...], as_json: bool) -> None:
    """Say what KEYs of STATION should be; KEY alone takes a wish back. Nothing is sent before `apply`."""
    _wished(call_api("PATCH", path(station, "desired"), {"values": _values(wishes)}), as_json=as_json)


@command.command()
@click.argument("station")
@click.argument("template", required=False)
@show.json_option
def follow(station: str, template: str | None, as_json: bool) -> None:
    """Let STATION follow TEMPLATE, or none."""
    _wished(call_api("PUT", path(station, "template"), {"template": template}), as_json=as_json)


@command.command()
@click.argument("station")
@show.json_option
def drift(station: str, as_json: bool) -> None:
    """List the keys of STATION that are not what they should be."""
    found = call_api("GET", path(station, "drift"))["items"]
    if as_json:
        show.as_json(found)
        return
    show.table(found, ("key", "state", "value", "desired"), f"{station} is as it should be, as far as is known.")


@command.command()
@click.argument("station")
@show.json_option
@click.pass_context
def apply(ctx: click.Context, station: str, as_json: bool) -> None:
    """Send STATION every key that drifts. Exit status 8: not all of them are set now."""
    found = call_api("POST", path(station, "apply"))["items"]
    if as_json:
        show.as_json(found)
    else:
        show.table(found, ("key", "state", "refused", "value", "desired"), f"{station} is as it should be.")
    ctx.exit(0 if all(row["state"] in {"Accepted", "RebootRequired"} for row in found) else SENT_NOTHING)


@command.group("templates", invoke_without_command=True)
@show.json_option
@click.pass_context
def templates(ctx: click.Context, as_json: bool) -> None:
    """Templates: values that several stations should hold. Without a command, list them."""
    if ctx.invoked_subcommand is not None:
        return
    found = call_api("GET", "/configuration-templates")["items"]
    if as_json:
        show.as_json(found)
        return
    show.table(found, ("name", "stations", "values"), "No template.")


@templates.command("set")
@click.argument("name")
@click.argument("wishes", nargs=-1, metavar="KEY=VALUE...")
@show.json_option
def set_(name: str, wishes: tuple[str, ...], as_json: bool) -> None:
    """Change template NAME, or make it; KEY alone takes a value out."""
    found = call_api("PATCH", f"/configuration-templates/{quote(name, safe='')}", {"values": _values(wishes)})
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


@templates.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget template NAME; its stations follow none then."""
    call_api("DELETE", f"/configuration-templates/{quote(name, safe='')}")
    click.echo(f"Template {show.plain(name)} is forgotten.")


def _values(wishes: tuple[str, ...]) -> dict[str, str | None]:
    parts = [wish.partition("=") for wish in wishes]
    return {key: value if equals else None for key, equals, value in parts}


def _wished(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    rows = [{"key": key, "desired": value} for key, value in found["desired"].items()]
    show.table(rows, ("key", "desired"), "Nothing is wished for.")
    if found["template"]:
        click.echo(f"It follows the template {show.plain(found['template'])}.")
