"""``arthexis roles``: what this node is."""

from __future__ import annotations

import click
import msgspec

from arthexis.cli import show
from arthexis.cli.node_access import configuration


@click.group()
def roles() -> None:
    """Roles: list, show, use."""


@roles.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List the roles that are installed."""
    from arthexis import roles as known

    installed = known.installed()
    now = known.current(configuration().settings.node, installed)
    found = [
        {
            "name": role.name,
            "chosen": role is now,
            "source": role.source,
            "summary": role.summary,
            "problem": role.problem,
        }
        for role in installed.values()
    ]
    if as_json:
        show.as_json(found)
    else:
        show.table(found, ("name", "chosen", "source", "summary", "problem"), "No role.")


@roles.command("show")
@click.argument("name")
@show.json_option
def show_(name: str, as_json: bool) -> None:
    """Show what a role is made of, with what it inherits."""
    from arthexis import roles as known
    from arthexis.config import Node

    installed = known.installed()
    role = known.chosen(Node(role=name), installed)
    line = known.lineage(role, installed)
    selected = known.selection(line, Node())
    found = {
        **{name: value for name, value in msgspec.to_builtins(role).items() if name != "problem"},
        "lineage": [ancestor.name for ancestor in line],
        "plugins": list(selected.plugins),
        "required": list(selected.required),
    }
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


@roles.command()
@click.argument("name")
@show.json_option
def use(name: str, as_json: bool) -> None:
    """Make this node's role another one, from its next start on."""
    from arthexis import roles as known
    from arthexis.config import Node

    installed = known.installed()
    known.lineage(known.chosen(Node(role=name), installed), installed)
    found = configuration()
    found.change({"node.role": name})
    if as_json:
        show.as_json({"role": name, "file": str(found.path), "effective": "at the next start"})
    else:
        click.echo(f"node.role = {name} in {found.path}. It takes effect at the next start: arthexis restart")
