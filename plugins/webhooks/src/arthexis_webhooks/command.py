"""``arthexis webhooks``: what the API offers, typed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import click

from arthexis import call_api


@click.group()
def webhooks() -> None:
    """Webhooks: list, add, remove, enable, disable, log, replay."""


def _path(name: str, *more: object) -> str:
    return "/".join(["/webhooks", quote(name, safe=""), *map(str, more)])


def _told(found: Any, line: str, *, as_json: bool) -> None:
    click.echo(json.dumps(found, indent=2) if as_json else line)


def _line(text: str) -> None:
    """Print what others wrote, so that it cannot move the cursor."""
    click.echo("".join(letter if letter.isprintable() else "?" for letter in text))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@webhooks.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List every webhook and how it does."""
    found = call_api("GET", "/webhooks")["items"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for row in found:
        state = "on" if row["active"] else f"off: {row['reason']}"
        failing = f", failing: {row['last_error']}" if row["failures"] and row["active"] else ""
        about = f"{', '.join(row['kinds']) or 'every event'} of {', '.join(row['stations']) or 'every station'}"
        _line(f"{row['name']}  {row['url']}  {about}  {row['waiting']} waiting  {state}{failing}")
    if not found:
        click.echo("No webhook.")


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, help="Only of this kind; may be repeated: transaction.*")
@click.option("--station", "stations", multiple=True, help="Only of this station; may be repeated.")
@click.option("--secret", help="Key of the signature; made for you if left out.")
@json_option
def add(
    name: str, url: str, kinds: tuple[str, ...], stations: tuple[str, ...], secret: str | None, as_json: bool
) -> None:
    """Subscribe URL to events, and print the secret, this once."""
    body = {"name": name, "url": url, "kinds": kinds, "stations": stations, **({"secret": secret} if secret else {})}
    found = call_api("POST", "/webhooks", body)
    _told(found, f"Webhook {name}. Its secret is shown this once: {found['secret']}", as_json=as_json)


@webhooks.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget a webhook and its log."""
    call_api("DELETE", _path(name))
    click.echo(f"Webhook {name} is forgotten.")


@webhooks.command()
@click.argument("name")
@json_option
def enable(name: str, as_json: bool) -> None:
    """Switch a webhook on again; what waits is delivered."""
    found = call_api("POST", _path(name, "enable"))
    _told(found, f"Webhook {name} is on, {found['waiting']} waiting.", as_json=as_json)


@webhooks.command()
@click.argument("name")
@json_option
def disable(name: str, as_json: bool) -> None:
    """Switch a webhook off; what happens meanwhile waits."""
    _told(call_api("POST", _path(name, "disable")), f"Webhook {name} is off.", as_json=as_json)


@webhooks.command()
@click.argument("name")
@click.option("--state", type=click.Choice(["waiting", "delivered", "given up"]), help="Only in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
def log(name: str, state: str | None, limit: int, as_json: bool) -> None:
    """List a webhook's deliveries, the latest first."""
    query = f"?limit={limit}" + (f"&state={quote(state)}" if state else "")
    found = call_api("GET", _path(name, f"deliveries{query}"))["items"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for row in found:
        said = row["error"] or row["status"] or ""
        _line(f"{row['id']}  {row['kind']}  {row['station'] or '-'}  {row['state']}  {row['tries']} tries  {said}")
    if not found:
        click.echo("No delivery.")


@webhooks.command()
@click.argument("name")
@click.argument("delivery", type=int)
@json_option
def replay(name: str, delivery: int, as_json: bool) -> None:
    """Deliver an event once more, the same to the byte."""
    found = call_api("POST", _path(name, "deliveries", delivery, "replay"))
    _told(found, f"Delivery {delivery} ({found['kind']}) waits to be delivered.", as_json=as_json)
