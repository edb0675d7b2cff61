"""``arthexis config``: settings, where they come from, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from arthexis.cli import show
from arthexis.cli.node_access import configuration
from arthexis.config import SECTIONS, Configuration, Node
from arthexis.errors import ConfigError, PluginError
from arthexis.values import schema

if TYPE_CHECKING:
    from arthexis.plugins.states import Plugin


@click.group()
def config() -> None:
    """Settings: get, set, explain, schema."""


@config.command()
@click.argument("path")
@show.json_option
def get(path: str, as_json: bool) -> None:
    """Print a setting's value in effect, for example http.port, or those of a whole section."""
    value = _known(path).get(path)
    if as_json:
        show.as_json(value)
    elif isinstance(value, dict):
        show.record(value, empty=True)
    else:
        click.echo(show.plain(value))


@config.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("path")
@click.argument("value")
@show.json_option
def set_(path: str, value: str, as_json: bool) -> None:
    """Write a setting into arthexis.toml; VALUE is TOML, or plain text."""
    found = _known(path)
    if path == "node.role":
        from arthexis import roles

        roles.chosen(Node(role=value), roles.installed())
    comes_from = found.set(path, value)
    above = comes_from if comes_from.startswith("environment") else ""
    if as_json:
        told: dict[str, Any] = {"setting": path, "value": found.get(path), "file": str(found.path)}
        show.as_json({**told, "from": comes_from, "effective": "at the next start"})
        return
    click.echo(f"{path} is set in {found.path}. It takes effect at the next start: arthexis restart")
    if above:
        click.echo(f"But {above} stands above the file: unset it, or nothing changes.", err=True)


@config.command()
@click.argument("path")
@show.json_option
def explain(path: str, as_json: bool) -> None:
    """Show a setting's value, where it comes from, what it means and its default; of a section each of its settings."""
    found = _known(path).explain(path)
    if as_json:
        show.as_json(found)
        return
    for number, setting in enumerate(found.get("settings", [found])):
        if number:
            click.echo()
        show.record(setting, empty=True)


@config.command("schema")
@click.option("--json", is_flag=True, expose_value=False, help="It is JSON in any case.")
def schema_() -> None:
    """Print the JSON Schema of arthexis.toml, with the sections of the plugins that are on."""
    show.as_json(schema(_composed()[0].structs))


def _known(path: str) -> Configuration:
    """The configuration, with the sections of plugins where the setting is none of the host's.

    Raises ``PluginError`` for a setting of a plugin that is installed and does not run.
    """
    if path.partition(".")[0] in SECTIONS:
        return configuration()
    found, plugins = _composed()
    for plugin in plugins:
        section = f"plugins.{plugin.name}"
        if f"{path}.".startswith(f"{section}.") and section not in found.structs and not plugin.climbing:
            why = plugin.reason or "it is installed and not turned on"
            raise PluginError(f"the settings of {plugin.name} are not known: {why}", place=path, cure=plugin.cure)
    return found


def _composed() -> tuple[Configuration, list[Plugin]]:
    """The configuration with the settings of every plugin that is on, and all plugins; other faults do not matter."""
    from arthexis.assembly import plugins_of

    found = configuration()
    try:
        return found, plugins_of(found)
    except ConfigError as error:
        click.echo(f"(plugins are left out: {error})", err=True)
        return found, []
