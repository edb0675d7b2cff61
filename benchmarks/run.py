"""Compare ours with its rivals and its floor: CPU per message at saturation, interleaved in one run.

    python -m benchmarks.run [--quick] [--check] [--only a,c,d1] [--json]

Each repeat starts every server anew on one core and loads it from the other: 100 stations, closed loop, the fleet mix.
With ``--check`` the exit status is 1 if a ratio or the memory per idle station is out of bounds, 2 if a server answered
anything wrong.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks import idle, process
from benchmarks.errors import WrongAnswers
from benchmarks.ratios import TARGETS, Row, table
from benchmarks.servers import ours

STATIONS: Final = 100
IN_MEMORY: Final = "sqlite://"
WRONG: Final = 2


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that is compared: its row, how it is started, and how it is loaded.

    The slow ones are measured for longer, so that every window holds some hundred messages.
    """

    row: Row
    run: Callable[[Path, int], AbstractContextManager[int]]
    options: tuple[str, ...] = ()
    longer: float = 1.0


def _module(name: str, *more: str) -> Callable[[Path, int], AbstractContextManager[int]]:
    """A server of ``benchmarks.servers``, started with its port, a folder and whatever else it takes."""

    def run(folder: Path, port: int) -> AbstractContextManager[int]:
        command = [sys.executable, "-m", f"benchmarks.servers.{name}", str(port), str(folder), *more]
        return process.server(command, port, folder / "server.log")

    return run


def _ours(url: str, *, log: bool) -> Callable[[Path, int], AbstractContextManager[int]]:
    return lambda folder, port: ours.running(folder, port, url=url, log=log, many=STATIONS)


CONTENDERS: Final = (
    Contender(
        Row("a", "websockets + ocpp, as documented, no database", False, "none", False), _module("ocpp_plain"), (), 1.5
    ),
    Contender(
        Row("b", "websockets + ocpp + SQLAlchemy ORM + aiosqlite", False, "none", False), _module("ocpp_orm"), (), 2.0
    ),
    Contender(Row("c", "aiohttp echo: the id back with a ready answer", True, "none", False), _module("echo")),
    Contender(
        Row("d1", "ours, the journal discards", True, "station keys", False),
        _module("discarding", str(STATIONS)),
        ("--keys",),
    ),
    Contender(
        Row("d2", "ours, durable: SQLite file, WAL, synchronous=FULL", True, "station keys", True),
        _ours("", log=True),
        ("--keys",),
    ),
    Contender(
        Row("m", "ours, everything written to SQLite in memory", True, "station keys", True),
        _ours(IN_MEMORY, log=True),
        ("--keys",),
    ),
)


def load(url: str, pid: int, options: Sequence[str]) -> dict[str, Any]:
    """Load a server from the other core; the outcome. Raises ``WrongAnswers``."""
    command = [sys.executable, "-m", "benchmarks.generator", url, "--pid", str(pid), *options]
    with process.pinned(process.GENERATOR_CORE):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise WrongAnswers(f"the generator failed: {done.stderr[-2000:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    if outcome["faults"] or not outcome["replies"]:
        raise WrongAnswers(f"{outcome['faults'] or 'no replies'}: {outcome['shown']}")
    return outcome


def measure(contender: Contender, seconds: float) -> dict[str, Any]:
    """Start one server, load it, end it."""
    port = process.free_port()
    with tempfile.TemporaryDirectory(prefix="arthexis-bench-") as folder, contender.run(Path(folder), port) as pid:
        url = f"ws://127.0.0.1:{port}/ocpp/{{}}"
        window = ["--stations", str(STATIONS), "--seconds", str(seconds * contender.longer), "--warmup", "0.7"]
        try:
            return load(url, pid, [*window, *contender.options])
        except WrongAnswers as wrong:
            raise WrongAnswers(f"{contender.row.name}: {wrong}") from None


def compare(contenders: Sequence[Contender], repeats: int, seconds: float, say: Callable[[str], None]) -> list[Row]:
    """Every contender in turn, so many times."""
    rows = {contender.row.name: contender.row for contender in contenders}
    for repeat in range(repeats):
        for contender in contenders:
            outcome = measure(contender, seconds)
            row = rows[contender.row.name]
            us, per_s = outcome["us_per_message"], outcome["replies"] / outcome["seconds"]
            rows[row.name] = replace(row, us=(*row.us, us), per_s=(*row.per_s, per_s))
            say(f"repeat {repeat + 1}  {row.name:3} {us:9.1f} us/message  {per_s:8.0f}/s")
    return list(rows.values())


def report(rows: Sequence[Row], say: Callable[[str], None]) -> bool:
    """Say the table and the ratios; whether none that can be told is worse than it was before."""
    named = {row.name: row for row in rows}
    for line in ["", *table(rows), ""]:
        say(line)
    told = [target for target in TARGETS if target.upper in named and target.lower in named]
    for target in told:
        say(target.line(named))
    return all(target.kept(named) for target in told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three short repeats instead of seven longer ones")
    parser.add_argument(
        "--check", action="store_true", help="fail if a ratio is worse than what is held, or a bound is missed"
    )
    parser.add_argument("--only", help="rows to measure, with commas")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--seconds", type=float)
    told = parser.parse_args(arguments)
    chosen = [c for c in CONTENDERS if not told.only or c.row.name in told.only.split(",")]
    repeats, seconds = told.repeats or (3 if told.quick else 7), told.seconds or (1.5 if told.quick else 4.0)
    say = (lambda _: None) if told.json else print
    try:
        rows = compare(chosen, repeats, seconds, say)
        met = report(rows, say)
        if not told.only:
            met = idle.check(say) and met
    except WrongAnswers as wrong:
        print(f"WRONG: {wrong}", file=sys.stderr)
        return WRONG
    if told.json:
        print(json.dumps([asdict(row) for row in rows]))
    return 1 if told.check and not met else 0


if __name__ == "__main__":
    sys.exit(main())
