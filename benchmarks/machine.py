"""Figures of one machine, recorded and not checked in CI: durable messages a second, 10,000 stations, starting.

    python -m benchmarks.machine [durable] [idle] [restart] [start] [--short]

Wall time means nothing on a busy machine; run this on a quiet one. ``--short`` takes fewer stations and seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import idle, process
from benchmarks.run import CONTENDERS, measure
from benchmarks.servers import ours

STATIONS: Final = 10_000
SHORT: Final = 1_000
STARTS: Final = 5
PACKAGES: Final = ("arthexis-host", "aiohttp", "uvloop", "msgspec", "sqlalchemy", "ocpp", "websockets", "picows")
IMPORTS: Final = ("arthexis", "arthexis.cli.main", "arthexis.assembly", "arthexis.server", "arthexis_ocpp16.protocol")


def about() -> str:
    """The machine, the versions and the day."""
    models = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    kind = f"{len(models)} cores, {models[0] if models else platform.machine()}, {platform.system()}"
    return f"{datetime.now(UTC):%Y-%m-%d}  {kind}\nPython {platform.python_version()}, {versions}"


def durable(*, short: bool) -> str:
    """Messages of the fleet mix that are durable, a second, on one core, with the message log on."""
    contender = next(c for c in CONTENDERS if c.row.name == "d2")
    outcome = measure(contender, 3.0 if short else 15.0)
    per_s, us = outcome["replies"] / outcome["seconds"], outcome["us_per_message"]
    return f"durable        {per_s:8,.0f} messages/s, log on, {us:.1f} us of CPU each   (at least 10,000)"


def idle_stations(*, short: bool) -> str:
    """Memory of an idle station."""
    many = SHORT if short else STATIONS
    return f"idle           {idle.kib_each(many):8.1f} KiB each of {many:,} stations   (at most 20)"


def restart(*, short: bool) -> str:
    """How long it takes until all stations have booted again after ``kill -9``, the node's own start apart."""
    many, port = SHORT if short else STATIONS, process.free_port()
    url = f"ws://127.0.0.1:{port}/ocpp/{{}}"
    with tempfile.TemporaryDirectory(prefix="arthexis-bench-") as name:
        folder = Path(name)
        ours.prepare(folder, many)
        with ours.running(folder, port) as pid:
            idle.connect(url, many, pid)
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        with ours.running(folder, port) as pid:
            started_s, before = time.monotonic() - began, process.cpu_s(pid)
            outcome = idle.connect(url, many, pid)
            each_ms = 1e3 * (process.cpu_s(pid) - before) / many
    took = f"{many:,} stations booted again in {outcome['connect_s']:.1f} s, {each_ms:.2f} ms of CPU each"
    return f"restart        {took}; the node listened after {started_s:.1f} s   (at most 8 s)"


def start(*, short: bool) -> str:
    """CPU seconds from nothing to listening, on a data folder that is there already."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="arthexis-bench-") as name:
        ours.prepare(Path(name), 1)
        for _ in range(2 if short else STARTS):
            with ours.running(Path(name), process.free_port()) as pid:
                taken.append(process.cpu_s(pid))
    lines = [f"cold start     {median(taken):8.2f} s of CPU to listening   (at most 0.6)"]
    lines += [f"import         {import_s(module):8.2f} s of CPU for {module}" for module in IMPORTS]
    return "\n".join(lines)


def import_s(module: str) -> float:
    """CPU seconds that importing a module takes beyond starting the interpreter."""
    code = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"
    runs = [subprocess.run([sys.executable, "-c", code.format(module)], capture_output=True, text=True, check=True)]
    runs += [subprocess.run(runs[0].args, capture_output=True, text=True, check=True) for _ in range(2)]
    return median(float(done.stdout) for done in runs)


FIGURES: Final[dict[str, Callable[..., str]]] = {
    "durable": durable,
    "idle": idle_stations,
    "restart": restart,
    "start": start,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the figures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="which; all unless named")
    parser.add_argument("--short", action="store_true", help="1,000 stations and a few seconds")
    told = parser.parse_args(arguments)
    print(about())
    for name in told.figures or FIGURES:
        print(FIGURES[name](short=told.short), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
