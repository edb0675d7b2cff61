"""``arthexis config``: settings, where they come from, and what they mean."""

from __future__ import annotations

from pathlib import Path

import click

from arthexis.cli import show
from arthexis.config import Configuration, load, parse_value, schema


@click.group()
def config() -> None:
    """Settings: get, set, explain, schema."""


@config.command()
@click.argument("path")
@show.json_option
@click.pass_context
def get(ctx: click.Context, path: str, as_json: bool) -> None:
    """Print a setting's value in effect, for example http.port."""
    value = _loaded(ctx).get(path)
    if as_json:
        show.as_json(value)
    else:
        click.echo(show.plain(value))


@config.command("set")
@click.argument("path")
@click.argument("value")
@show.json_option
@click.pass_context
def set_(ctx: click.Context, path: str, value: str, as_json: bool) -> None:
    """Write a setting into arthexis.toml; VALUE is TOML, or plain text."""
    configuration = _loaded(ctx)
    configuration.set(path, parse_value(value))
    if as_json:
        show.as_json({"setting": path, "value": configuration.get(path), "file": str(configuration.path)})
    else:
        click.echo(f"{path} is set in {configuration.path}. It takes effect at the next start: arthexis restart")


@config.command()
@click.argument("path")
@show.json_option
@click.pass_context
def explain(ctx: click.Context, path: str, as_json: bool) -> None:
    """Show a setting's value, where it comes from, and what it means."""
    found = _loaded(ctx).explain(path)
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


@config.command("schema")
def schema_() -> None:
    """Print the JSON Schema of arthexis.toml, with the sections of the plugins that are on."""
    from arthexis.assembly import Options, assemble

    host = assemble(Options())
    structs = host.composition.contributions.get("register_config", [])
    show.as_json(schema((plugin, contribution.struct) for plugin, contribution in structs))


def _loaded(ctx: click.Context) -> Configuration:
    root = ctx.find_root().obj
    return load(root if isinstance(root, Path) else None)
