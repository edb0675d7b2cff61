"""``arthexis roles``: what this node is."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from arthexis.cli import show


@click.group()
def roles() -> None:
    """Roles: list, show, use."""


@roles.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List the roles that are installed."""
    from arthexis import config
    from arthexis import roles as known

    installed = known.installed()
    now = known.chosen(config.load().settings.node, installed).name
    found = [
        {"name": role.name, "chosen": role.name == now, "source": role.source, "summary": role.summary}
        for role in installed.values()
    ]
    if as_json:
        show.as_json(found)
    else:
        show.table(found, ("name", "chosen", "source", "summary"), "No role.")


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
        **msgspec.to_builtins(role),
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
@click.pass_context
def use(ctx: click.Context, name: str, as_json: bool) -> None:
    """Make this node's role another one, from its next start on."""
    from arthexis import config
    from arthexis import roles as known
    from arthexis.config import Node

    known.chosen(Node(role=name), known.installed())
    root = ctx.find_root().obj
    configuration = config.load(root if isinstance(root, Path) else None)
    configuration.set("node.role", name)
    if as_json:
        show.as_json({"role": name, "file": str(configuration.path), "effective": "at the next start"})
    else:
        click.echo(f"node.role = {name} in {configuration.path}. It takes effect at the next start: arthexis restart")
