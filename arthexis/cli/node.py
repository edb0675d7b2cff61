"""``arthexis start|stop|restart|status``: the node as a process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from arthexis import config, system
from arthexis.cli import contributed, show
from arthexis.cli.node_access import ask, assembled, config_path, over_http, running
from arthexis.errors import Refused, Unavailable
from arthexis.node_files import LOCK, Control, control_of

STOP_S = 30.0
COME_BACK_S = 60.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only by --lan


@click.command()
@click.option("--open", "open_mode", is_flag=True, help="Admit any station and tag, ask for no login: loopback only.")
@click.option("--lan", is_flag=True, help="Listen on every interface; turns open mode off.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--strict", is_flag=True, help="Refuse odd frames instead of mending them.")
@click.option("--safe-mode", is_flag=True, help="Run no plugin at all, serve no station: to look and to mend.")
@click.option(
    "--admit-pending",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MINUTES",
    help="For so long, let unknown stations in to wait for approval.",
)
def start(
    open_mode: bool,
    lan: bool,
    host: str | None,
    port: int | None,
    strict: bool,
    safe_mode: bool,
    admit_pending: float,
) -> None:
    """Run the node until it is stopped."""
    from arthexis import server
    from arthexis.assembly import Options, assemble, configure_logging

    options = Options(
        config=config_path(),
        host=EVERYWHERE if lan else host,
        port=port,
        open=open_mode and not lan,
        strict=strict,
        safe_mode=safe_mode,
        admit_pending_minutes=admit_pending,
    )
    node = assemble(options)
    node.started_with = tuple(sys.argv[1:])
    configure_logging(node.settings)
    contributed.remember(node)
    status = system.run(server.serve(node, click.echo), node.strayed)
    sys.exit(status if node.restart_options is None else system.run_again(node.restart_options))


@click.command()
@show.json_option
def stop(as_json: bool) -> None:
    """Stop the running node and wait until it has stopped."""
    folder = config.home()
    control = running(folder)
    if control is not None:
        over_http(control, "node.stop", {})
        _wait_for(folder, control)
    if as_json:
        show.as_json({"stopped": control is not None, "running": False})
    else:
        click.echo("Stopped." if control is not None else "No node is running here.")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def restart(options: tuple[str, ...], as_json: bool) -> None:
    """Restart the running node where it runs, with the options it was started with.

    OPTIONS are those of `start`; where any are given, the node restarts with these alone. --safe-mode is for once:
    alone it leaves the others as they are, and the next `arthexis restart` ends it. Nothing is stopped if the node
    could not be put together again. If no node runs, one is started here.
    """
    named = config_path()
    arguments = [*(["--config", str(named.absolute())] if named is not None else []), "start", *options]
    start.make_context("start", list(options), parent=click.get_current_context().find_root())
    folder = config.home()
    control = running(folder)
    if control is None:
        click.echo("No node is running here; this starts one.", err=True)
        sys.exit(system.run_again(arguments))
    assembled()
    safe_mode = options == ("--safe-mode",)
    kept = named is None and (safe_mode or not options)
    over_http(control, "node.restart", {"options": None if kept else arguments, "safe_mode": safe_mode})
    url = _come_back(folder, control)
    if as_json:
        show.as_json({"restarted": True, "url": url})
    else:
        click.echo(f"Restarted: {url}")


@click.command()
@show.json_option
def status(as_json: bool) -> None:
    """Show how the node is doing."""
    found = ask("node.status")
    if as_json:
        show.as_json(found)
        return
    show.record(found, [name for name in found if name not in {"recovery", "notices"}])
    for reason in found["recovery"]:
        click.echo(f"RECOVERY: no stations are served: {show.plain(reason)}")
    for notice in found["notices"]:
        click.echo(f"notice: {show.plain(notice['reason'])}. {show.plain(notice['cure'])}")


def _wait_for(folder: Path, control: Control) -> None:
    until = time.monotonic() + STOP_S
    while system.held(folder / LOCK):
        if time.monotonic() > until:
            cure = f"See its log; if it hangs, end process {control.pid}"
            raise Unavailable(f"the node does not stop within {STOP_S:g} s", place=str(folder), cure=cure)
        time.sleep(0.05)


def _come_back(folder: Path, before: Control) -> str:
    """Wait until the node that was asked to restart listens again; its URL."""
    until = time.monotonic() + COME_BACK_S
    gone = 0
    while time.monotonic() < until:
        now = control_of(folder)
        if now is not None and now.token != before.token:
            return now.url
        gone = 0 if system.held(folder / LOCK) else gone + 1
        if gone > 100 and now is None:
            break
        time.sleep(0.1)
    raise Unavailable(
        "the node stopped and has not come back", place=str(folder), cure="See its log, or run: arthexis start"
    )


@contextmanager
def held_while(folder: Path, what: str) -> Iterator[None]:
    """Hold a data folder so that no node can start on it; raises ``Refused`` if one runs."""
    held = system.lock(folder / LOCK)
    if held is None:
        raise Refused("a node is running on this data folder", place=what, cure="Run `arthexis stop` first")
    with held:
        yield
