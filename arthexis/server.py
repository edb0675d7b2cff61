"""A node as a process: lock the data folder, start the host, listen, say where, and stop in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from arthexis import system
from arthexis.errors import Refused, Unavailable
from arthexis.host import Host
from arthexis.node_files import CONTROL, LOCK, Control
from arthexis.web.app import application

log = logging.getLogger("arthexis.host")

EXIT_DISK = 70
COLLECT = (20_000, 20, 50)
STOP_S = 10.0
REQUEST_S = 10.0
LEAVE_S = 1.0


def refuse_open(host: Host) -> None:
    """An open node listens on loopback only and behind no proxy; raises ``Refused``."""
    http = host.settings.http
    if not system.is_loopback(http.host):
        raise Refused(
            f"open mode is for this machine only, and http.host is {http.host}",
            place="start --open",
            cure="Leave --open out (stations then need a key), or bind to 127.0.0.1",
        )
    if http.trusted_proxies:
        raise Refused(
            "open mode does not work behind a proxy, and http.trusted_proxies names one",
            place="start --open",
            cure="Leave --open out, or remove http.trusted_proxies",
        )


async def serve(host: Host, say: Callable[[str], None]) -> int:
    """Run a node until it is asked to stop; the exit status. ``host.restart_options`` tells whether to start again."""
    stopping = asyncio.Event()
    async with running(host, stopping.set):
        system.on_signals(host.loop, stopping.set)
        _settle()
        for line in greeting(host):
            say(line)
        status = await _until(stopping, host)
    system.ignore_signals(host.loop)
    await _leave_behind(status, host)
    return status


def _settle() -> None:
    """Let the garbage collector look at what stays for ever never again, and at the rest less often.

    What messages leave behind holds no cycles, and every look at 10,000 links costs all of them a pause.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


@asynccontextmanager
async def running(host: Host, stop: Callable[[], None]) -> AsyncIterator[None]:
    """A node that is started and listens, in its locked data folder; ``stop`` is called when an administrator asks.

    Raises ``ArthexisError`` where it cannot run. At the end everything is closed in order.
    """
    if host.open:
        refuse_open(host)
    held = system.lock(host.home / LOCK)
    if held is None:
        raise Refused(
            "another node runs on this data folder",
            place=str(host.home),
            cure="Run `arthexis stop`, or set ARTHEXIS_HOME to another folder",
        )
    with held:
        system.raise_file_limit()
        await host.start()
        try:
            async with _listening(host, stop):
                yield
        finally:
            (host.home / CONTROL).unlink(missing_ok=True)
            await host.stop()


@asynccontextmanager
async def _listening(host: Host, stop: Callable[[], None]) -> AsyncIterator[None]:
    """Listen, and tell commands where."""
    token = secrets.token_urlsafe(32)
    app = application(host, token, stop)
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=STOP_S, keepalive_timeout=REQUEST_S, handle_signals=False
    )
    await runner.setup()
    http = host.settings.http
    site = web.TCPSite(runner, http.host, http.port, backlog=host.settings.stations.backlog)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise Unavailable(
            f"cannot listen on {http.host}:{http.port}: {error.strerror or error}",
            place="http.port",
            cure="Stop what listens there, or start with --port",
        ) from error
    host.bound_port = runner.addresses[0][1]
    control = Control(f"http://{_reachable(http.host)}:{host.bound_port}", token, os.getpid())
    system.write_private(host.home / CONTROL, msgspec.json.encode(control).decode())
    try:
        yield
    finally:
        await site.stop()
        await host.close_links()
        await runner.cleanup()


async def _leave_behind(status: int, host: Host) -> None:
    """End the process here and now if a plugin's task or thread does not end by itself: nothing waits for it."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=LEAVE_S)
    left = [task.get_name() for task in rest if not task.done()] + await _threads_left()
    if not left:
        return
    log.warning("left behind: %s", ", ".join(left))
    sys.stdout.flush()
    sys.stderr.flush()
    if host.restart_options is not None:
        status = system.run_again(host.restart_options)
    os._exit(status)


async def _threads_left() -> list[str]:
    """The threads for which the interpreter would wait for ever, by their names."""
    closing: asyncio.Future[None] = asyncio.ensure_future(asyncio.get_running_loop().shutdown_default_executor())
    await asyncio.wait([closing], timeout=LEAVE_S)
    closing.cancel()
    until = time.monotonic() + LEAVE_S
    while (alive := _waited_for()) and time.monotonic() < until:
        await asyncio.sleep(LEAVE_S / 20)
    return [f"thread {thread.name}" for thread in alive]


def _waited_for() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if not t.daemon and t is not threading.current_thread()]


async def _until(stopping: asyncio.Event, host: Host) -> int:
    """Wait until somebody stops the node (0) or the disk fails (70)."""
    asked: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    await asyncio.wait([asked, host.fatal], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if host.fatal.done():
        sys.stderr.flush()
        os._exit(EXIT_DISK)
    return 0


def _reachable(bound: str) -> str:
    """The loopback address under which a node that is bound here can be reached."""
    if bound in {"0.0.0.0", ""}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    if bound == "::":
        return "[::1]"
    return f"[{bound}]" if ":" in bound else bound


def greeting(host: Host) -> list[str]:
    """What a person reads when the node has started."""
    lines = [f"Arthexis listens, role {host.role_name} (started in {time.process_time():.2f} s of CPU)."]
    lines += [f"  Stations connect to  {url}" for url in host.station_urls("<identity>")]
    lines.append(f"  First page           {host.page_url}")
    for reason in host.composition.recovery:
        lines.append(f"  RECOVERY: no stations are served: {reason}")
    if host.open:
        lines.append("  OPEN MODE: any station and any tag is admitted, no login. This machine only; not for charging.")
    else:
        lines.append("  Add a station with   arthexis stations add CP-1")
    lines += [
        f"  plugin {p.name} {p.state}: {p.reason}. {p.cure}"
        for p in host.composition.plugins
        if p.reason and p.cure and p.climbing is False and p.state not in {"off", "found"}
    ]
    lines += [f"  notice: {notice.reason}. {notice.cure}" for notice in host.composition.notices]
    return lines
