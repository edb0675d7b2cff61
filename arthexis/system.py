"""The platform seam: everything that is different on Windows is here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar, cast
from weakref import WeakSet

T = TypeVar("T")
WINDOWS = sys.platform == "win32"
SIOCGIFADDR = 0x8915
STOPS = ("SIGINT", "SIGTERM", "SIGBREAK")
_MINDED: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
log = logging.getLogger("arthexis.host")


def run(work: Coroutine[Any, Any, T], strayed: Callable[[BaseException], object] = bool) -> T:
    """Run a coroutine on the fastest loop there is: uvloop where it is installed, else asyncio's own.

    ``strayed`` is told what a stray task or callback raised to end the process, which goes on nevertheless.
    """
    if not WINDOWS and os.environ.get("ARTHEXIS_UVLOOP", "1") != "0":
        with contextlib.suppress(ImportError):
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return _to_its_end(runner, work, strayed)
    with asyncio.Runner() as runner:
        return _to_its_end(runner, work, strayed)


def _to_its_end(runner: asyncio.Runner, work: Coroutine[Any, Any, T], strayed: Callable[[BaseException], object]) -> T:
    """Run until ``work`` is done: asyncio lets ``SystemExit`` and ``KeyboardInterrupt`` of any task end the loop.

    Once the node minds its signals, a KeyboardInterrupt is no Ctrl-C, and as little meant for the process.
    """
    tasks: list[asyncio.Task[T]] = []

    async def main() -> T:
        tasks.append(cast("asyncio.Task[T]", asyncio.current_task()))
        return await work

    loop, begin = runner.get_loop(), partial(runner.run, main())
    while True:
        try:
            return begin()
        except (SystemExit, KeyboardInterrupt) as error:
            if not tasks or tasks[0].done() or not (isinstance(error, SystemExit) or loop in _MINDED):
                raise
            log.error("something on the event loop wanted to end the process, which goes on: %s", type(error).__name__)
            strayed(error)
            begin = partial(loop.run_until_complete, tasks[0])


def on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call ``stop`` when the process is asked to end."""
    _MINDED.add(loop)
    for name in STOPS:
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, stop)
        except (NotImplementedError, RuntimeError):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def ignore_signals(loop: asyncio.AbstractEventLoop) -> None:
    """Be deaf to ``on_signals``' signals from now on: who ends in order is not to be hurried by a second one."""
    for name in STOPS:
        number = getattr(signal, name, None)
        if number is not None:
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def raise_file_limit() -> None:
    """Allow as many open sockets as the system lets this process have."""
    if WINDOWS:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def lock(path: Path) -> IO[str] | None:
    """Hold a file for as long as this process lives (or the returned file is open); None if another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="ascii")
    try:
        _lock(file)
    except OSError:
        file.close()
        return None
    return file


def held(path: Path) -> bool:
    """Whether another process holds this lock; looks without leaving anything behind."""
    if not path.exists():
        return False
    free = lock(path)
    if free is None:
        return True
    free.close()
    return False


def run_again(arguments: list[str]) -> int:
    """Run ``arthexis`` anew in this process's place: same terminal, same process id where the system can do that."""
    command = [sys.executable, "-m", "arthexis", *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if not WINDOWS:
        os.execv(sys.executable, command)  # noqa: S606 - ourselves, with our own options
    return subprocess.call(command)


def _lock(file: IO[str]) -> None:
    if WINDOWS:
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def rewrite(path: Path, text: str) -> None:
    """Write a person's file anew, all of it or nothing; a link stays a link, and mode and owner stay what they are."""
    path = path.resolve()
    before = path.stat() if path.exists() else None
    write_private(path, text)
    if before is not None and not WINDOWS:
        path.chmod(before.st_mode & 0o7777)
        with contextlib.suppress(PermissionError):
            os.chown(path, before.st_uid, before.st_gid)


def lan_addresses() -> list[str]:
    """This machine's IPv4 addresses that others can reach, without a packet being sent."""
    found = set(_named_addresses())
    if not WINDOWS:
        found.update(filter(None, (_interface_address(name) for _, name in socket.if_nameindex())))
    usable = (address for address in found if not ipaddress.ip_address(address).is_loopback)
    return sorted(usable, key=ipaddress.ip_address)


def _named_addresses() -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    except OSError:
        return []


def _interface_address(name: str) -> str | None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, SIOCGIFADDR, name.encode()[:15].ljust(256, b"\0"))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def is_loopback(address: str) -> bool:
    """Whether an address (or the name localhost) means this machine only."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started with ``start_new_session``, and whatever it has started and left behind."""
    if WINDOWS:
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
