"""``arthexis notify``: what people are told, by which rules and notifiers; all through the node's API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import click

from arthexis import PRIORITIES, call_api, show


@click.group()
def notify() -> None:
    """What people are told: rules, list, send, ack, test, status."""


@notify.command()
@show.json_option
def rules(as_json: bool) -> None:
    """List the rules that hold."""
    found = call_api("GET", "/notify/rules")
    if as_json:
        show.as_json(found)
        return
    rows = [
        {
            **rule,
            "on": ", ".join(rule["on"]),
            "to": ", ".join(rule["to"]) or "all",
            "kept_back": found["suppressed"].get(rule["name"], 0),
        }
        for rule in found["items"]
    ]
    if not found["written"]:
        click.echo("The house's rules; write [[plugins.notify.rules]] in arthexis.toml to have your own.")
    show.table(rows, ["name", "on", "priority", "to", "kept_back", "text"], "No rule: nobody is told anything.")
    for problem in found["problems"]:
        click.echo(show.plain(problem), err=True)


@notify.command("list")
@click.option("--station", help="Only of this station.")
@click.option("--rule", help="Only of this rule.")
@click.option(
    "--state",
    type=click.Choice(["waiting", "sent", "expired", "replaced", "given up"]),
    help="Only where a notifier stands so.",
)
@click.option("--new", is_flag=True, help="Only what nobody has taken notice of.")
@click.option("--limit", type=click.IntRange(1, 1000), default=30, show_default=True)
@show.json_option
def list_(station: str | None, rule: str | None, state: str | None, new: bool, limit: int, as_json: bool) -> None:
    """List what people were told, the latest first."""
    asked = {"station": station, "rule": rule, "state": state, "unacknowledged": "true" if new else None}
    query = urlencode({"limit": limit, **{name: value for name, value in asked.items() if value is not None}})
    found = call_api("GET", f"/notify/notifications?{query}")["items"]
    if as_json:
        show.as_json(found)
        return
    rows = [{**row, "to": _deliveries(row["deliveries"])} for row in found]
    show.table(rows, ["id", "at", "priority", "to", "text"], "Nobody was told anything.")


def _deliveries(found: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['notifier']} {each['state']}" for each in found)


@notify.command()
@click.argument("text")
@click.option(
    "--to", "names", multiple=True, metavar="NAME", help="By this notifier; may be repeated. Without: by all."
)
@click.option("--priority", type=click.Choice(PRIORITIES), default="event", show_default=True)
@click.option("--title", default="", help="A few words above it.")
@click.option("--for", "lifetime_s", type=click.FloatRange(0, min_open=True), help="Seconds after which it is moot.")
@click.option("--key", default="", help="It replaces an older one with the same key.")
@show.json_option
def send(
    text: str, names: tuple[str, ...], priority: str, title: str, lifetime_s: float | None, key: str, as_json: bool
) -> None:
    """Say TEXT to people."""
    body = {"text": text, "to": names, "priority": priority, "title": title, "lifetime_s": lifetime_s, "key": key}
    found = call_api("POST", "/notify/notifications", body)
    if as_json:
        show.as_json(found)
        return
    to = ", ".join(each["notifier"] for each in found["deliveries"])
    click.echo(f"Notification {found['id']} is on its way to {to}.")


@notify.command()
@click.argument("notification", type=int)
@show.json_option
def ack(notification: int, as_json: bool) -> None:
    """Take notice of a notification, by its number."""
    found = call_api("POST", f"/notify/notifications/{notification}/acknowledge")
    if as_json:
        show.as_json(found)
        return
    click.echo(f"{show.plain(found['acknowledged_by'])} took notice at {found['acknowledged_at']}.")


@notify.command()
@click.argument("name")
def test(name: str) -> None:
    """Give the notifier NAME a test at once, and say how that went."""
    call_api("POST", f"/notify/notifiers/{quote(name, safe='')}/test")
    click.echo(f"{name} took it.")


@notify.command()
@show.json_option
def status(as_json: bool) -> None:
    """Show every notifier, and what waits for it."""
    found = call_api("GET", "/notify/notifiers")["items"]
    if as_json:
        show.as_json(found)
        return
    columns = ["name", "state", "waiting", "sent", "expired", "given_up", "plugin", "error"]
    show.table(found, columns, "No notifier.")
