"""``arthexis plugins``: what is installed, what is on, and why something is not."""

from __future__ import annotations

import difflib
from typing import Any

import click

from arthexis.cli import authors, show
from arthexis.cli.node_access import ask, configuration
from arthexis.cli.plugins_explain import explain
from arthexis.cli.plugins_install import install, uninstall
from arthexis.config import Configuration
from arthexis.errors import NotFound, PluginError
from arthexis.plugins.discover import discover
from arthexis.plugins.patterns import checked, matching, pinned
from arthexis.plugins.states import Plugin

AILMENT = ("hook", "faults", "well", "suspended_until", "last_at", "last")
FAULT = ("at", "hook", "where", "error")


@click.group()
def plugins() -> None:
    """Plugins: list, info, explain, enable, disable, resume, install, uninstall, new."""


for command in (authors.new, authors.check, explain, install, uninstall):
    plugins.add_command(command)


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
        return
    came = {f"files: {name}": value for name, value in (found["provenance"] or {}).items()}
    shown = {name: value for name, value in found.items() if name not in {"ailments", "recent", "provenance"}}
    show.record({**shown, **came})
    for title, columns in (("ailments", AILMENT), ("recent", FAULT)):
        if found[title]:
            click.echo(f"\n{title}")
            show.table(found[title], columns, "")


@plugins.command()
@click.argument("name")
@show.json_option
def resume(name: str, as_json: bool) -> None:
    """Let a degraded or suspended plugin begin anew, at once; try one that is unavailable now instead of later."""
    found = ask("plugins.resume", name=name)
    if as_json:
        show.as_json(found)
    else:
        said = "it is tried now" if found["state"] == "unavailable" else "everything of it is called again"
        click.echo(f"{found['name']} is {found['state']}: {said}")


@plugins.command()
@click.argument("name")
@click.option("--instead-of", metavar="OTHER", help="Disable this plugin in the same step.")
@click.option("--pin", is_flag=True, help="Run only the version that is installed now.")
@show.json_option
def enable(name: str, instead_of: str | None, pin: bool, as_json: bool) -> None:
    """Turn a plugin on, from the next start on; NAME==1.2 runs only that version of it."""
    name, _, version = name.partition("==")
    off = _one(instead_of).full_name if instead_of is not None else None
    chosen = _one(name)
    if off == chosen.full_name:
        raise PluginError(f"{name} cannot stand in its own place", place="--instead-of", cure="Name another plugin")
    _change(on=chosen.full_name, off=off, version=chosen.version if pin else version, as_json=as_json)


@plugins.command()
@click.argument("name")
@show.json_option
def disable(name: str, as_json: bool) -> None:
    """Turn a plugin off, from the next start on."""
    _change(on=None, off=_off(name), as_json=as_json)


def _one(name: str) -> Plugin:
    """The installed plugin of this name; raises where there is none, or more than one."""
    everything = discover()
    found = [plugin for plugin in everything if name in {plugin.name, plugin.full_name}]
    if not found:
        close = difflib.get_close_matches(name, [n for p in everything for n in (p.name, p.full_name)], 1)
        cure = f"Did you mean {close[0]}?" if close else "See `arthexis plugins list`"
        raise NotFound(f"no plugin {name} is installed", place="plugins", cure=cure)
    if len(found) > 1:
        names = " or ".join(plugin.full_name for plugin in found)
        raise PluginError(f"{name} comes from several distributions", place="plugins", cure=f"Say {names}")
    return found[0]


def _off(name: str) -> str:
    """The full name of a plugin to turn off: an installed one, or one that only the configuration still names."""
    if ":" in name and not any(plugin.full_name == name for plugin in discover()):
        return checked(name, "plugins disable")
    return _one(name).full_name


def turn_on(full_name: str) -> None:
    """Enable an installed plugin, from the next start on."""
    found = configuration()
    found.change(_changed(found, on=full_name, off=None))


def _change(*, on: str | None, off: str | None, version: str = "", as_json: bool = False) -> None:
    """Write node.enable and node.disable, and say so; ``version`` pins what is turned on."""
    found = configuration()
    found.change(_changed(found, on=on, off=off, version=version))
    node = found.settings.node
    told: dict[str, Any] = {"enable": node.enable, "disable": node.disable, "file": str(found.path)}
    if as_json:
        show.as_json({**told, "effective": "at the next start"})
        return
    done = [f"{on} is on" if on else "", f"{off} is off" if off else ""]
    click.echo(f"{', '.join(filter(None, done))} in {found.path}, from the next start on: arthexis restart")


def _changed(found: Configuration, *, on: str | None, off: str | None, version: str = "") -> dict[str, list[str]]:
    """What node.enable and node.disable become, as far as they change."""
    from arthexis import roles

    node = found.settings.node
    enabled = [name for name in node.enable if checked(name, "node.enable") not in {on, off}]
    still_on = [checked(name, "node.enable") for name in enabled]
    disabled = [name for pattern in node.disable for name in _without(checked(pattern, "node.disable"), on, off)]
    installed = roles.installed()
    ours = roles.selection(roles.lineage(roles.chosen(node, installed), installed), node).plugins
    others = [p for p in ours if p not in {checked(name, "node.enable") for name in node.enable}]
    if on is not None and (version or not _covered(on, [*others, *still_on])):
        enabled.append(_pinned(on, version))
    if off is not None and _covered(off, [*others, *still_on]):
        disabled.append(off)
    changed = {"node.enable": enabled, "node.disable": disabled}
    before = {"node.enable": node.enable, "node.disable": node.disable}
    return {name: value for name, value in changed.items() if value != before[name]}


def _pinned(name: str, version: str) -> str:
    """A plugin with the one version that may run, where there is one; raises ``ConfigError``."""
    wanted = f"{name}=={version}" if version else name
    pinned(wanted, "plugins enable")
    return wanted


def _without(pattern: str, *names: str | None) -> list[str]:
    """A pattern that leaves these plugins out: itself, or the installed plugins that it means but for them."""
    if not any(name is not None and _covered(name, [pattern]) for name in names):
        return [pattern]
    meant = [plugin.full_name for plugin in discover() if matching(plugin, [pattern])]
    return [name for name in meant if name not in names]


def _covered(full_name: str, patterns: list[str]) -> bool:
    distribution, _, name = full_name.partition(":")
    return matching(Plugin(name, distribution, "", ""), patterns)
