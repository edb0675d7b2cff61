"""Instructions per message, from its bytes in to the bytes of its answer, with a journal that discards.

    python -m benchmarks.instructions [--check] [--only MeterValues]

Counted by valgrind's cachegrind as the difference of two runs of different length, so that starting the node counts
for nothing. With ``--check`` the exit status is 1 if a message costs more than its limit, 2 if it cannot be counted.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.pipeline import SAID

SHORT: Final = 200
LONG: Final = 1_000
LIMITS: Final = {"MeterValues": 100_000}
UNCOUNTED: Final = 2
CURE: Final = "valgrind is missing: sudo apt-get install valgrind   (Linux only; elsewhere leave this check out)"


class Uncounted(Exception):
    """valgrind is missing or the run failed."""


def run(name: str, rounds: int) -> int:
    """All instructions of one run; raises ``Uncounted``."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "benchmarks.pipeline", name, str(rounds)]
    environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "ARTHEXIS_LOG": "WARNING"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    counted = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode != 0 or counted is None:
        raise Uncounted(f"the run failed ({done.returncode}):\n{done.stderr[-3000:]}")
    return int(counted[1].replace(",", ""))


def per_round(short: int, long: int) -> float:
    """Instructions of one round, from those of a short and a long run."""
    return (long - short) / (LONG - SHORT)


def count(names: Sequence[str]) -> dict[str, float]:
    """Instructions per round of each; as many runs at once as there are cores. Raises ``Uncounted``."""
    if shutil.which("valgrind") is None:
        raise Uncounted(CURE)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {name: [pool.submit(run, name, rounds) for rounds in (SHORT, LONG)] for name in names}
        return {name: per_round(*(each.result() for each in pair)) for name, pair in runs.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and report; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail above the limit")
    parser.add_argument("--only", choices=sorted(SAID), help="count one kind of message")
    told = parser.parse_args(arguments)
    names = [told.only] if told.only else list(LIMITS) if told.check else list(SAID)
    try:
        counted = count(names)
    except Uncounted as reason:
        print(reason, file=sys.stderr)
        return UNCOUNTED
    return 1 if report(counted) and told.check else 0


def report(counted: dict[str, float]) -> list[str]:
    """Print what was counted; the names of those above their limit."""
    over = [name for name, instructions in counted.items() if instructions > LIMITS.get(name, float("inf"))]
    for name, instructions in counted.items():
        limit = f"at most {LIMITS[name]:,}: {'MISSED' if name in over else 'met'}" if name in LIMITS else ""
        print(f"{name:40} {instructions:10,.0f} instructions   {limit}")
    return over


if __name__ == "__main__":
    sys.exit(main())
