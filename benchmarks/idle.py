"""Memory per idle station: so many connect with their keys and boot, say nothing more, and stay.

    python -m benchmarks.idle [--stations 1000] [--check]

The figure is what the node's resident memory grew by, divided by the number of stations. A few stations come and go
before, so that what the node loads with its first station is not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import process
from benchmarks.errors import WrongAnswers
from benchmarks.servers import ours

LIMIT_KIB: Final = 20.0
HELD_KIB: Final = 22.0
"""What must not be lost again: 19.5 to 21.2 were measured, the caches of the database's connections among them."""
STATIONS: Final = 1_000
FIRST: Final = 100
SETTLE_S: Final = 1.0


def connect(url: str, stations: int, pid: int, *, first: int = 0) -> dict[str, Any]:
    """Connect and boot so many stations with their keys; the outcome. Raises ``WrongAnswers``."""
    command = [sys.executable, "-m", "benchmarks.generator", url, "--keys", "--seconds", "0"]
    command += ["--stations", str(stations), "--first", str(first), "--pid", str(pid)]
    with process.pinned(process.GENERATOR_CORE):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise WrongAnswers(f"the generator failed: {done.stderr[-2000:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    if outcome["faults"] or outcome["connected"] != stations:
        raise WrongAnswers(f"{outcome['connected']} connected, {outcome['faults']}: {outcome['shown']}")
    return outcome


def kib_each(stations: int) -> float:
    """KiB of the node per idle station."""
    port = process.free_port()
    with tempfile.TemporaryDirectory(prefix="arthexis-bench-") as folder:
        ours.prepare(Path(folder), stations + FIRST)
        with ours.running(Path(folder), port) as pid:
            url = f"ws://127.0.0.1:{port}/ocpp/{{}}"
            connect(url, FIRST, pid, first=stations)
            time.sleep(SETTLE_S)
            outcome = connect(url, stations, pid)
    return float(outcome["rss_after_kib"] - outcome["rss_before_kib"]) / stations


def check(say: Callable[[str], None], stations: int = STATIONS) -> bool:
    """Measure, say, and tell whether it is no more than what is held."""
    each = kib_each(stations)
    target = f"at most {LIMIT_KIB:g}: {'met' if each <= LIMIT_KIB else 'MISSED'}"
    held = f"held at {HELD_KIB:g}: {'yes' if each <= HELD_KIB else 'LOST'}"
    say(f"{stations:,} idle stations: {each:.1f} KiB each   {target}   {held}")
    return each <= HELD_KIB


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit status is 1 with ``--check`` if what is held is lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=STATIONS)
    parser.add_argument("--check", action="store_true")
    told = parser.parse_args(arguments)
    return 0 if check(print, told.stations) or not told.check else 1


if __name__ == "__main__":
    sys.exit(main())
