"""``arthexis files``, ``arthexis deploy`` and ``arthexis diagnostics``: they ask the running node over its API."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from arthexis import DomainError, call_api

EVERY_S = 0.5
FINAL = frozenset({"done", "stopped", "cancelled"})
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


def _printed(value: Any, *, as_json: bool, columns: tuple[str, ...] = (), empty: str = "Nothing.") -> None:
    """JSON, or a table of a list, or the members of a record."""
    if as_json:
        click.echo(json.dumps(value, indent=2))
    elif isinstance(value, dict):
        for name, member in value.items():
            click.echo(f"{name:<13} {_plain(member)}")
    elif not value:
        click.echo(empty)
    else:
        rows = [columns, *([_plain(row[name]) for name in columns] for row in value)]
        widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
        for row in rows:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(value: Any) -> str:
    text = "" if value is None else json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _all(path: str, **query: Any) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    rows: list[dict[str, Any]] = []
    given = {name: value for name, value in query.items() if value is not None}
    while True:
        page = call_api("GET", f"{path}?{urlencode({**given, 'limit': 1000})}")
        rows += page["items"]
        if page["next"] is None:
            return rows
        given["cursor"] = page["next"]


@click.group()
def files() -> None:
    """Files: add, list, show, get, remove."""


@files.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Its name for people; the file's own, if left out.")
@click.option("--sha256", help="What its SHA-256 must be.")
@as_json_option
def add(path: Path, name: str | None, sha256: str | None, as_json: bool) -> None:
    """Keep the file PATH as firmware."""
    query = {"name": name or path.name, **({"sha256": sha256} if sha256 else {})}
    found = call_api("POST", f"/files?{urlencode(query)}", file=path)
    if as_json:
        _printed(found, as_json=True)
    else:
        click.echo(f"{found['name']} is kept as {found['id']}: {found['size']} bytes, SHA-256 {found['sha256']}")


@files.command("list")
@click.option("--kind", help="firmware or diagnostics.")
@click.option("--station", help="Only what this station brought.")
@as_json_option
def list_(kind: str | None, station: str | None, as_json: bool) -> None:
    """List files, the latest first."""
    rows = _all("/files", kind=kind, station=station)
    columns = ("id", "kind", "name", "size", "station", "added_at")
    _printed(rows, as_json=as_json, columns=columns, empty="No file.")


@files.command()
@click.argument("file")
@as_json_option
def show(file: str, as_json: bool) -> None:
    """Show FILE: its id, or its name if only one has it."""
    _printed(call_api("GET", f"/files/{quote(file, safe='')}"), as_json=as_json)


@files.command()
@click.argument("file")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def get(file: str, path: Path) -> None:
    """Write FILE's content to PATH, which must not be there yet."""
    content = call_api("GET", f"/files/{quote(file, safe='')}/content")
    try:
        with path.open("xb") as written:
            written.write(content if isinstance(content, bytes) else json.dumps(content).encode())
    except OSError as error:
        raise DomainError(str(error.strerror), place=str(path), cure="Choose another path") from None
    click.echo(f"{path}: {path.stat().st_size} bytes")


@files.command()
@click.argument("file")
def remove(file: str) -> None:
    """Delete FILE."""
    call_api("DELETE", f"/files/{quote(file, safe='')}")
    click.echo(f"{file} is gone.")


@click.group()
def deploy() -> None:
    """Deployments: firmware, list, show, pause, resume, cancel."""


@deploy.command()
@click.argument("file")
@click.option("--stations", required=True, help="The stations, with commas between.")
@click.option("--wave", "wave_size", type=click.IntRange(min=1), help="So many stations at once; all, if left out.")
@click.option("--pause", "pause_s", type=click.FloatRange(min=0), help="Seconds between two waves.")
@click.option("--stop-after", type=click.IntRange(min=0), help="Stop when more than so many failed.")
@click.option("--stop-percent", type=click.FloatRange(0, 100), help="Stop when more than this part of them failed.")
@click.option("--scheme", type=click.Choice(["https", "ftps", "http", "ftp"]), help="How stations are to fetch it.")
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait for its end.")
@as_json_option
def firmware(file: str, stations: str, wait: float, as_json: bool, **options: Any) -> None:
    """Let stations fetch and install FILE, wave by wave."""
    _deploy({"file": file, **options}, stations, wait, as_json=as_json)


def _deploy(wished: dict[str, Any], stations: str, wait: float, *, as_json: bool) -> None:
    given = {name: value for name, value in wished.items() if value is not None}
    names = [name.strip() for name in stations.split(",") if name.strip()]
    found = call_api("POST", "/deployments", {**given, "stations": names})
    until = time.monotonic() + wait
    while found["state"] not in FINAL and time.monotonic() < until:
        time.sleep(EVERY_S)
        found = {**call_api("GET", f"/deployments/{found['id']}"), "warnings": found["warnings"]}
    _told(found, as_json=as_json)


def _told(found: dict[str, Any], *, as_json: bool) -> None:
    rows = _all(f"/deployments/{found['id']}/stations")
    if as_json:
        _printed({**found, "parts": rows}, as_json=True)
        return
    for warning in found["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    why = f": {found['reason']}" if found["reason"] else ""
    click.echo(f"deployment {found['id']} is {found['state']}{why}")
    _printed(rows, as_json=False, columns=("station", "state", "said", "wave", "file"))


@deploy.command("list")
@click.option("--state", help="Only in this state.")
@as_json_option
def list_deployments(state: str | None, as_json: bool) -> None:
    """List deployments, the latest first."""
    columns = ("id", "kind", "file_name", "state", "stations", "created_at")
    _printed(_all("/deployments", state=state), as_json=as_json, columns=columns, empty="No deployment.")


@deploy.command("show")
@click.argument("deployment")
@as_json_option
def show_deployment(deployment: str, as_json: bool) -> None:
    """Show DEPLOYMENT and what became of each station."""
    _told(call_api("GET", f"/deployments/{quote(deployment, safe='')}"), as_json=as_json)


def _steer(deployment: str, wish: str) -> None:
    found = call_api("POST", f"/deployments/{quote(deployment, safe='')}/{wish}")
    click.echo(f"deployment {found['id']} is {found['state']}")


@deploy.command()
@click.argument("deployment")
def pause(deployment: str) -> None:
    """Ask nobody else for now."""
    _steer(deployment, "pause")


@deploy.command()
@click.argument("deployment")
def resume(deployment: str) -> None:
    """Go on, also after a stop; it does not stop by itself again."""
    _steer(deployment, "resume")


@deploy.command()
@click.argument("deployment")
def cancel(deployment: str) -> None:
    """Ask nobody else; what was asked goes on."""
    _steer(deployment, "cancel")


@click.group()
def diagnostics() -> None:
    """Diagnostics: fetch."""


@diagnostics.command()
@click.argument("stations")
@click.option("--scheme", type=click.Choice(["https", "ftps", "http", "ftp"]), help="How stations are to bring them.")
@click.option("--wait", type=click.FloatRange(min=0), default=120.0, show_default=True, help="Seconds for the end.")
@as_json_option
def fetch(stations: str, scheme: str | None, wait: float, as_json: bool) -> None:
    """Let STATIONS (with commas between) bring their diagnostics; see them with `arthexis files list`."""
    _deploy({"scheme": scheme}, stations, wait, as_json=as_json)
