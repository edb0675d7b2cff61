"""``arthexis plugins explain``: who would be asked, in which order, for how long, and what happens otherwise."""

from __future__ import annotations

from typing import Any

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask, assembled, running

INDENT = "  "


@click.command()
@click.argument("name")
@show.json_option
def explain(name: str, as_json: bool) -> None:
    """Show who would be asked for NAME, in which order, how long, and what happens otherwise.

    NAME is an action, an operation, a hook, a vendorId or vendorId/messageId, a route, a command, a job, a notifier, a
    kind of event, a service or a plugin.
    """
    found = _own(name) or _explained(name)
    if as_json:
        show.as_json(found)
        return
    for number, meaning in enumerate(found["meanings"]):
        if number:
            click.echo()
        _print(meaning, "")


def _explained(name: str) -> dict[str, Any]:
    """What the running node says; where none runs, what it would be composed of, for which no file is opened."""
    from arthexis import config

    if running(config.home()) is not None:
        return dict(ask("plugins.explain", name=name))
    from arthexis.explain import explain as explained

    found = explained(assembled(), name)
    click.echo("(no node is running; this is what it would be composed of)", err=True)
    return found


def _own(name: str) -> dict[str, Any] | None:
    """What the host does itself: its commands and routes, where no plugin has a say."""
    from arthexis.cli.main import COMMANDS
    from arthexis.web.api.table import ROUTES

    method, _, path = name.rpartition(" ")
    routes = [r for r in ROUTES if path in (r.place, r.path) and method.upper() in ("", r.method)]
    meanings = [_hosts("route", f"{r.method} {r.place}", r.summary) for r in routes]
    if name in COMMANDS:
        meanings.append(_hosts("command", name, COMMANDS[name][2]))
    return {"name": name, "meanings": meanings} if meanings else None


def _hosts(kind: str, name: str, summary: str) -> dict[str, Any]:
    otherwise = "the host answers by itself; no plugin is asked, and none can take its place"
    meaning = {"kind": kind, "name": name, "summary": summary, "asked": [], "otherwise": otherwise, "on_fault": ""}
    return {**meaning, "together_s": None, "asks": []}


def _print(meaning: dict[str, Any], indent: str) -> None:
    click.echo(f"{indent}{show.plain(meaning['name'])} ({meaning['kind']}): {show.plain(meaning['summary'])}")
    for place, asked in enumerate(meaning["asked"], 1):
        limit = f", at most {asked['within_s']:g} s" if asked["within_s"] is not None else ""
        skipped = f", but is not asked: {asked['skipped']}" if asked["skipped"] else ""
        who = f"{asked['plugin']} ({asked['state']}{limit}){skipped}: {asked['code']}"
        click.echo(f"{indent}{INDENT}{place}. {show.plain(who)}")
    if not meaning["asked"]:
        click.echo(f"{indent}{INDENT}no plugin is asked")
    if meaning["together_s"] is not None and meaning["asked"]:
        click.echo(f"{indent}{INDENT}all of them together at most {meaning['together_s']:g} s")
    click.echo(f"{indent}{INDENT}otherwise: {show.plain(meaning['otherwise'])}")
    if meaning["on_fault"] and meaning["asked"]:
        click.echo(f"{indent}{INDENT}if it fails: {show.plain(meaning['on_fault'])}")
    for inner in meaning["asks"]:
        click.echo(f"{indent}{INDENT}{'tells' if inner['name'].startswith('on_') else 'asks'}")
        _print(inner, indent + 2 * INDENT)
