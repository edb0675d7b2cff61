"""Servers as processes: started on a core of their own, their CPU and memory read from /proc, ended by their own id."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_S: Final = 30.0
STOP_S: Final = 15.0
SERVER_CORE: Final = 0
GENERATOR_CORE: Final = 1


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def cpu_s(pid: int) -> float:
    """User and system seconds of a process, its threads and its descendants so far."""
    ticks = sum(int(field) for member in family(pid) for field in _stat(member)[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def rss_kib(pid: int) -> int:
    """Resident memory of a process and its descendants, in KiB."""
    pages = sum(int(fields[21]) for member in family(pid) if (fields := _stat(member)))
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started in the block runs on one core, where there are two and the system can do that."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A port of the loopback interface on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(command: Sequence[str], port: int, log: Path, environ: dict[str, str] | None = None) -> Iterator[int]:
    """Run a server pinned to its core until the block ends; its process id, once it listens on ``port``.

    Raises ``RuntimeError`` with the end of its log if it does not.
    """
    with log.open("wb") as out, pinned(SERVER_CORE):
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(environ or {})})
    try:
        _await(process, port, log)
        yield process.pid
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    due = time.monotonic() + START_S
    while time.monotonic() < due and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{' '.join(process.args)} does not listen:\n{log.read_text('utf-8', 'replace')[-2000:]}")  # type: ignore[arg-type]
