"""``arthexis tokens``: API tokens."""

from __future__ import annotations

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask


@click.group()
def tokens() -> None:
    """API tokens: list, add, revoke."""


@tokens.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List every token, without its secret."""
    found = ask("tokens.list")
    if as_json:
        show.as_json(found)
    else:
        show.table(found, ("name", "access", "created_at", "expires_at", "expired"), "No token yet.")


@tokens.command()
@click.argument("name")
@click.option("--access", type=click.Choice(["viewer", "operator", "administrator"]), default="viewer")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="It ends after so many days.")
@show.json_option
def add(name: str, access: str, days: float | None, as_json: bool) -> None:
    """Make a token and print it, this once."""
    found = ask("tokens.add", name=name, access=access, days=days)
    if as_json:
        show.as_json(found)
        return
    click.echo(found["token"])
    click.echo(f"Token {name} ({access}). It is shown this once: Authorization: Bearer <token>", err=True)


@tokens.command()
@click.argument("name")
@show.json_option
def revoke(name: str, as_json: bool) -> None:
    """End a token."""
    found = ask("tokens.revoke", name=name)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"Token {found['name']} is revoked.")
