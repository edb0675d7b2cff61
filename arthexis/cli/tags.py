"""``arthexis tags``: who may charge."""

from __future__ import annotations

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask


@click.group()
def tags() -> None:
    """Id tags: list, add, remove, unknown."""


@tags.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List every id tag."""
    found = ask("tags.list")
    if as_json:
        show.as_json(found)
        return
    columns = ("id_tag", "status", "expires_at", "parent_id_tag", "note")
    show.table(found, columns, "No tag yet. Add one with: arthexis tags add TAG1")


@tags.command()
@click.argument("id_tag")
@click.option("--status", type=click.Choice(["Accepted", "Blocked", "Expired", "Invalid"]), default="Accepted")
@click.option("--expires-at", metavar="TIME", help="ISO 8601 with a zone, for example 2027-01-31T12:00:00Z.")
@click.option("--parent", help="The tag of the group it belongs to.")
@click.option("--note", help="Anything you want to remember.")
@show.json_option
def add(id_tag: str, status: str, expires_at: str | None, parent: str | None, note: str | None, as_json: bool) -> None:
    """Add an id tag, or change it."""
    found = ask("tags.add", id_tag=id_tag, status=status, expires_at=expires_at, parent_id_tag=parent, note=note)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"Tag {found['id_tag']} is {found['status']}.")


@tags.command()
@click.argument("id_tag")
@show.json_option
def remove(id_tag: str, as_json: bool) -> None:
    """Forget an id tag."""
    found = ask("tags.remove", id_tag=id_tag)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"Tag {found['id_tag']} is forgotten.")


@tags.command()
@show.json_option
def unknown(as_json: bool) -> None:
    """List tags that were refused because nobody knows them."""
    found = ask("tags.unknown")
    if as_json:
        show.as_json(found)
        return
    show.table(found, ("id_tag", "station", "tries", "first_at", "last_at"), "No unknown tag was presented.")
