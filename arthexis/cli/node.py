"""``arthexis start|stop|restart|status``: the node as a process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from arthexis import config, server, system
from arthexis.cli import show
from arthexis.cli.node_access import ask, over_http
from arthexis.errors import Refused, Unavailable

STOP_S = 30.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only by --lan


@click.command()
@click.option("--open", "open_mode", is_flag=True, help="Admit any station and tag, ask for no login: loopback only.")
@click.option("--lan", is_flag=True, help="Listen on every interface; turns open mode off.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--strict", is_flag=True, help="Refuse odd frames instead of mending them.")
@click.option("--safe-mode", is_flag=True, help="Run no plugin at all.")
@click.option(
    "--admit-pending",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MINUTES",
    help="For so long, let unknown stations in to wait for approval.",
)
@click.pass_context
def start(
    ctx: click.Context,
    open_mode: bool,
    lan: bool,
    host: str | None,
    port: int | None,
    strict: bool,
    safe_mode: bool,
    admit_pending: float,
) -> None:
    """Run the node until it is stopped."""
    from arthexis.assembly import Options, assemble, configure_logging

    root = ctx.find_root().obj
    options = Options(
        config=root if isinstance(root, Path) else None,
        host=EVERYWHERE if lan else host,
        port=port,
        open=open_mode and not lan,
        strict=strict,
        safe_mode=safe_mode,
        admit_pending_minutes=admit_pending,
    )
    node = assemble(options)
    configure_logging(node.settings)
    sys.exit(system.run(server.serve(node, click.echo)))


@click.command()
@show.json_option
def stop(as_json: bool) -> None:
    """Stop the running node and wait until it has stopped."""
    folder = config.home()
    control = server.control_of(folder)
    if control is None or not _held(folder):
        if as_json:
            show.as_json({"stopped": False, "running": False})
        else:
            click.echo("No node is running here.")
        return
    over_http(control, "node.stop", {})
    _wait_for(folder)
    if as_json:
        show.as_json({"stopped": True, "running": False})
    else:
        click.echo("Stopped.")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def restart(ctx: click.Context, options: tuple[str, ...]) -> None:
    """Stop the running node, then start it here with these options (those of `start`)."""
    ctx.invoke(stop, as_json=False)
    ctx.invoke(start.main, args=list(options), prog_name="arthexis start", obj=ctx.find_root().obj)


@click.command()
@show.json_option
def status(as_json: bool) -> None:
    """Show how the node is doing."""
    found = ask("node.status")
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


def _held(folder: Path) -> bool:
    held = system.lock(folder / server.LOCK)
    if held is None:
        return True
    held.close()
    return False


def _wait_for(folder: Path) -> None:
    until = time.monotonic() + STOP_S
    while _held(folder):
        if time.monotonic() > until:
            raise Unavailable("the node does not stop", place=str(folder), cure="See its log")
        time.sleep(0.05)


@contextmanager
def held_while(folder: Path, what: str) -> Iterator[None]:
    """Hold a data folder so that no node can start on it; raises ``Refused`` if one runs."""
    held = system.lock(folder / server.LOCK)
    if held is None:
        raise Refused("a node is running on this data folder", place=what, cure="Run `arthexis stop` first")
    with held:
        yield
