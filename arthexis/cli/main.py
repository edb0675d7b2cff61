"""The root of the command: which groups there are, how errors end, and plugins' own commands."""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from arthexis import __version__
from arthexis.cli import contributed
from arthexis.errors import ArthexisError, PluginError, Unavailable
from arthexis.plugins.contain import attempt, told

COMMANDS = {
    "start": ("node", "start", "Run the node until it is stopped."),
    "stop": ("node", "stop", "Stop the running node."),
    "restart": ("node", "restart", "Restart the running node where it runs."),
    "status": ("node", "status", "Show how the node is doing."),
    "plugins": (
        "plugins",
        "plugins",
        "Plugins: list, info, explain, enable, disable, resume, install, uninstall, new.",
    ),
    "roles": ("roles", "roles", "Roles: list, show, use."),
    "config": ("config", "config", "Settings: get, set, explain, schema."),
    "db": ("db", "db", "The database: upgrade, status, backup, restore, verify."),
    "stations": ("stations", "stations", "Stations: add, list, approve, keys."),
    "why": ("stations", "why", "Tell what may explain a station's behaviour."),
    "send": ("operations", "send", "Tell a station to do something."),
    "operations": ("operations", "operations", "Operations: list, show, cancel, describe."),
    "transactions": ("transactions", "transactions", "Transactions: list, show."),
    "tags": ("tags", "tags", "Id tags: list, add, remove, unknown."),
    "messages": ("messages", "messages", "The message log."),
    "jobs": ("jobs", "jobs", "Jobs: list, retry."),
    "tokens": ("tokens", "tokens", "API tokens: list, add, revoke."),
}
USAGE = 2
INTERRUPTED = 130
CRASH = "crash.txt"


class Root(click.Group):
    """The host's commands by name, and behind them those of plugins, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, those of plugins as far as they are remembered."""
        return [*COMMANDS, *sorted(known.name for known in contributed.remembered() if known.name not in COMMANDS)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])
        of_plugins = [(known.name, known.help) for known in contributed.remembered() if known.name not in COMMANDS]
        if of_plugins:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(sorted(of_plugins))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; a plugin's is looked for only if the host has none of this name."""
        if cmd_name in COMMANDS:
            module, attribute, _ = COMMANDS[cmd_name]
            return _command(f"arthexis.cli.{module}", attribute)
        found = contributed.target(ctx.params.get("config"), cmd_name)
        if found is None:
            return None
        target, plugin = found
        module, _, attribute = target.partition(":")
        command, error = attempt(_command, module, attribute)
        if error is not None:
            said = f"the command {cmd_name} cannot be loaded: {told(error)}"
            cure = plugin.or_off(f"Reinstall {plugin.distribution}")
            raise PluginError(said, place=f"plugin {plugin.name}", cure=cure)
        return command

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command line; whatever happens ends with a message and an exit status, never with a traceback."""
        run: Callable[[], Any] = partial(super().main, *args, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        value, error = attempt(run)
        sys.exit(_ended(error) if error is not None else value if isinstance(value, int) else 0)


def _command(module: str, attribute: str) -> click.Command:
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, click.Command):
        raise AttributeError(f"{module}:{attribute} is no click command")
    return found


def _ended(error: BaseException) -> int:
    """Say what went wrong; the exit status."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    if isinstance(error, ArthexisError):
        report(error)
        return error.exit_status
    if isinstance(error, click.ClickException):
        return _misused(error)
    if isinstance(error, OSError):
        place = str(error.filename or "")
        report(Unavailable(error.strerror or str(error), place=place, cure="See that it is there and may be used"))
        return Unavailable.exit_status
    return _crashed(error)


def _misused(error: click.ClickException) -> int:
    """A command line that is none: what is meant instead, where that can be guessed."""
    if not isinstance(error, click.UsageError):
        report(Unavailable(error.format_message()))
        return Unavailable.exit_status
    problem, cure = error.format_message(), ""
    if error.ctx is not None:
        cure = f"See `{error.ctx.command_path} --help`"
        wrong = problem.removeprefix("No such command ").strip("'. ")
        if wrong != problem.strip("'. ") and isinstance(error.ctx.command, click.Group):
            wrong = problem.split("'")[1] if "'" in problem else wrong
            close = difflib.get_close_matches(wrong, error.ctx.command.list_commands(error.ctx), 1)
            cure = f"Did you mean `{error.ctx.command_path} {close[0]}`?" if close else cure
            problem = f"there is no command {wrong}"
    _told("usage", problem, "", cure)
    return USAGE


def _crashed(error: BaseException) -> int:
    """A fault of Arthexis itself: in one line, the rest in a file."""
    from arthexis import config

    text = "".join(traceback.format_exception(error))
    path = config.home() / CRASH
    _, unwritten = attempt(path.write_text, text, "utf-8")
    cure = f"Please report it with {path}" if unwritten is None else "Please report it"
    report(ArthexisError(f"this is a fault of Arthexis: {told(error)}", cure=cure))
    return ArthexisError.exit_status


def report(error: ArthexisError) -> None:
    """Tell a person (or, with --json, a program) what went wrong and what to do."""
    _told(error.code, error.problem, error.place, error.cure)


def _told(code: str, problem: str, place: str, cure: str) -> None:
    if "--json" in sys.argv[1:]:
        error = {"code": code, "problem": problem, "place": place, "cure": cure}
        click.echo(msgspec.json.encode({"error": error}).decode(), err=True)
        return
    click.echo(f"arthexis: {place + ': ' if place else ''}{problem}", err=True)
    if cure:
        click.echo(f"  {cure}", err=True)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="arthexis")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file instead of the default one.")
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Arthexis, the charging central system composed from plugins."""
    ctx.obj = config
