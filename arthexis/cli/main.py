"""The root of the command: which groups there are, how errors end, and plugins' own commands."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from arthexis import __version__
from arthexis.errors import ArthexisError, PluginError

COMMANDS = {
    "start": ("node", "start"),
    "stop": ("node", "stop"),
    "restart": ("node", "restart"),
    "status": ("node", "status"),
    "plugins": ("plugins", "plugins"),
    "roles": ("roles", "roles"),
    "config": ("config", "config"),
    "db": ("db", "db"),
    "stations": ("stations", "stations"),
    "why": ("stations", "why"),
    "send": ("operations", "send"),
    "operations": ("operations", "operations"),
    "transactions": ("transactions", "transactions"),
    "tags": ("tags", "tags"),
    "messages": ("messages", "messages"),
    "jobs": ("jobs", "jobs"),
    "tokens": ("tokens", "tokens"),
}


class Root(click.Group):
    """The host's commands by name, and behind them those of plugins, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, plugins' too."""
        return [*COMMANDS, *sorted(self._contributed())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; a plugin's is looked for only if the host has none of this name."""
        if cmd_name in COMMANDS:
            module, attribute = COMMANDS[cmd_name]
            return _command(f"arthexis.cli.{module}", attribute)
        target = self._contributed().get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        try:
            return _command(module, attribute)
        except (ImportError, AttributeError) as error:
            raise PluginError(f"its command cannot be loaded: {error}", place=cmd_name, cure="Reinstall it") from None

    def _contributed(self) -> dict[str, str]:
        from arthexis.assembly import Options, assemble

        host = assemble(Options())
        return {command.name: command.target for _, command in host.composition.commands}

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error ends with its message and its exit status, never with a traceback."""
        try:
            return super().invoke(ctx)
        except ArthexisError as error:
            report(error)
            ctx.exit(error.exit_status)
        except KeyboardInterrupt:
            ctx.exit(130)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command; errors of the search are reported like those of a command."""
        try:
            return super().resolve_command(ctx, args)
        except ArthexisError as error:
            report(error)
            ctx.exit(error.exit_status)


def _command(module: str, attribute: str) -> click.Command:
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, click.Command):
        raise AttributeError(f"{module}:{attribute} is no click command")
    return found


def report(error: ArthexisError) -> None:
    """Tell a person (or, with --json, a program) what went wrong and what to do."""
    if "--json" in sys.argv[1:]:
        told = {"code": error.code, "problem": error.problem, "place": error.place, "cure": error.cure}
        click.echo(msgspec.json.encode({"error": told}).decode(), err=True)
        return
    click.echo(f"arthexis: {error.place + ': ' if error.place else ''}{error.problem}", err=True)
    if error.cure:
        click.echo(f"  {error.cure}", err=True)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="arthexis")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file instead of the default one.")
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Arthexis, the charging central system composed from plugins."""
    ctx.obj = config
