"""``arthexis plugins``: what is installed, what is on, and why something is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask
from arthexis.config import load
from arthexis.errors import NotFound, PluginError
from arthexis.plugins.compose import matching
from arthexis.plugins.discover import discover
from arthexis.plugins.states import Plugin


@click.group()
def plugins() -> None:
    """Plugins: list, info, enable, disable."""


@plugins.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List every plugin that is installed, with its state, reason and cure."""
    found = ask("plugins.list")
    if as_json:
        show.as_json(found)
        return
    rows = [{**row, "told": " ".join(filter(None, (row["reason"], row["cure"])))} for row in found]
    show.table(rows, ("name", "distribution", "version", "state", "stage", "told"), "No plugin is installed.")


@plugins.command()
@click.argument("name")
@show.json_option
def info(name: str, as_json: bool) -> None:
    """Show one plugin and what it contributes."""
    found = ask("plugins.info", name=name)
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


@plugins.command()
@click.argument("name")
@click.option("--instead-of", metavar="OTHER", help="Disable this plugin in the same step.")
@show.json_option
@click.pass_context
def enable(ctx: click.Context, name: str, instead_of: str | None, as_json: bool) -> None:
    """Turn a plugin on, from the next start on."""
    off = _one(instead_of).full_name if instead_of is not None else None
    _change(ctx, on=_one(name).full_name, off=off, as_json=as_json)


@plugins.command()
@click.argument("name")
@show.json_option
@click.pass_context
def disable(ctx: click.Context, name: str, as_json: bool) -> None:
    """Turn a plugin off, from the next start on."""
    _change(ctx, on=None, off=_one(name).full_name, as_json=as_json)


def _one(name: str) -> Plugin:
    """The installed plugin of this name; raises where there is none, or more than one."""
    found = [plugin for plugin in discover() if name in {plugin.name, plugin.full_name}]
    if not found:
        raise NotFound(f"no plugin {name} is installed", place="plugins", cure="See `arthexis plugins list`")
    if len(found) > 1:
        names = " or ".join(plugin.full_name for plugin in found)
        raise PluginError(f"{name} comes from several distributions", place="plugins", cure=f"Say {names}")
    return found[0]


def _change(ctx: click.Context, *, on: str | None, off: str | None, as_json: bool) -> None:
    """Write node.enable and node.disable."""
    from arthexis import roles

    root = ctx.find_root().obj
    configuration = load(root if isinstance(root, Path) else None)
    node = configuration.settings.node
    enabled = [name for name in node.enable if name not in {on, off}]
    disabled = [name for name in node.disable if name not in {on, off}]
    installed = roles.installed()
    ours = roles.selection(roles.lineage(roles.chosen(node, installed), installed), node).plugins
    if on is not None and not _covered(on, [p for p in ours if p not in node.enable]):
        enabled.append(on)
    if off is not None:
        disabled.append(off)
    configuration.change({"node.enable": enabled, "node.disable": disabled})
    told: dict[str, Any] = {"enable": enabled, "disable": disabled, "file": str(configuration.path)}
    if as_json:
        show.as_json({**told, "effective": "at the next start"})
        return
    done = [f"{on} is on" if on else "", f"{off} is off" if off else ""]
    click.echo(f"{', '.join(filter(None, done))} in {configuration.path}, from the next start on: arthexis restart")


def _covered(full_name: str, patterns: list[str]) -> bool:
    distribution, _, name = full_name.partition(":")
    return matching(Plugin(name, distribution, "", ""), patterns)
