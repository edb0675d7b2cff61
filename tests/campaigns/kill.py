"""Kill a node again and again while stations charge, then compare their books with its own.

python -m tests.campaigns.kill --times 1000 --stations 20
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from arthexis.db.engine import Database
from tests import witness
from tests.fleet import Books, Station
from tests.process import NodeDied, NodeProcess

FAILPOINTS = Path(__file__).parent.parent / "failpoints"
POINTS = ("before-commit", "after-commit", "before-send")
SLOW_S = 0.02
FINISH_S = 60.0
CATCH_UP_S = 20.0


@dataclass
class Report:
    """What came of a campaign; ``faults`` is empty if nothing was lost and nothing doubled."""

    kills: int = 0
    acknowledged: int = 0
    sent: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What the node's environment needs for the witness and for failpoints."""
    path = os.pathsep.join([str(FAILPOINTS), str(witness.install(folder / "site")), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path, "WITNESS": str(folder / "witness.txt"), "ARTHEXIS_LOG": "warning", **more}


async def campaign(
    folder: Path,
    times: int,
    *,
    stations: int = 6,
    seed: int | None = None,
    source: Path | None = None,
    slow_every: int = 2,
) -> Report:
    """Kill the node so many times at random moments, all of them while stations are answered, and keep the books.

    Every so many-th time its disk is slow, so that it is killed inside of a commit.
    """
    dice = random.Random(seed)

    async def kills(node: NodeProcess, fleet: list[Station]) -> AsyncIterator[None]:
        for number in range(times):
            await _busy(fleet)
            await asyncio.sleep(dice.uniform(0.05, 0.3))
            await node.kill()
            node.set_env(FAIL_SLOW_COMMIT=str(0 if (number + 1) % slow_every else SLOW_S))
            yield

    return await under_load(folder, kills, stations, source)


async def failpoints(folder: Path, most: int, *, stations: int = 2) -> Report:
    """Let the node die at each failpoint, at the first time it gets there, at the second, and so on up to ``most``."""

    async def deaths(node: NodeProcess, _fleet: list[Station]) -> AsyncIterator[None]:
        for number in range(1, most + 1):
            for point in POINTS:
                node.set_env(FAIL_KILL=f"{point}:{number}")
                await node.kill()
                with contextlib.suppress(NodeDied):
                    await node.start()
                await node.ended()
        node.set_env(FAIL_KILL="")
        yield

    return await under_load(folder, deaths, stations, None)


async def _busy(fleet: list[Station]) -> None:
    """Wait until every station was answered again."""
    async with asyncio.timeout(FINISH_S):
        for station in fleet:
            answered = station.answered
            while station.answered < answered + 2:
                await asyncio.sleep(0.01)


async def under_load(
    folder: Path,
    deaths: Callable[[NodeProcess, list[Station]], AsyncIterator[None]],
    stations: int,
    source: Path | None,
) -> Report:
    """Start a node, let stations charge, start the node again after each of its deaths, and keep the books."""
    report, began = Report(), time.monotonic()
    node = NodeProcess(folder / "node", env=environment(folder), source=source)
    (folder / "node").mkdir()
    (folder / "node" / "arthexis.toml").write_text('[node]\nenable = ["arthexis-witness:*"]\n')
    fleet = [Station(f"CP-{number}", node.station_url) for number in range(1, stations + 1)]
    async with node:
        runs = [asyncio.create_task(station.run()) for station in fleet]
        async for _ in deaths(node, fleet):
            await node.start()
        for station in fleet:
            station.finish()
        async with asyncio.timeout(FINISH_S):
            await asyncio.gather(*runs)
        await _caught_up(folder)
        await node.stop()
    report.kills = node.starts - 1
    database = Database("", folder / "node")
    report.faults = Books(database, fleet).faults + _unseen(folder)
    database.close()
    report.sent = sum(len(said.frames) for station in fleet for said in station.said)
    report.acknowledged = sum(said.answer is not None for station in fleet for said in station.said)
    report.seconds = time.monotonic() - began
    return report


async def _caught_up(folder: Path) -> None:
    """Wait until the witness has seen everything."""
    until = time.monotonic() + CATCH_UP_S
    while _unseen(folder) and time.monotonic() < until:
        await asyncio.sleep(0.1)


def _unseen(folder: Path) -> list[str]:
    """Events that the durable subscriber was not told, or was first told in another order than they happened."""
    with closing(sqlite3.connect(folder / "node" / "arthexis.db")) as db:
        kinds = "('transaction.started', 'transaction.metered', 'transaction.stopped')"
        happened = db.execute(f"SELECT id, station FROM event WHERE kind IN {kinds} ORDER BY id").fetchall()
    told = list(dict.fromkeys(witness.seen(folder / "witness.txt")))
    if told == happened:
        return []
    missing = [event for event in happened if event not in set(told)]
    return [f"the subscriber was not told of {len(missing)} events: {missing[:5]}" if missing else "told in disorder"]


def main() -> int:
    """The command."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--times", type=int, default=1000)
    words.add_argument("--stations", type=int, default=20)
    words.add_argument("--seed", type=int, default=random.randrange(10**6))
    words.add_argument("--failpoints", type=int, help="die at each failpoint, up to its so many-th time, instead")
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.failpoints:
            work = failpoints(Path(folder), given.failpoints)
        else:
            work = campaign(Path(folder), given.times, stations=given.stations, seed=given.seed)
        report = asyncio.run(work)
    print(f"seed {given.seed}: {report.kills} kills in {report.seconds:.0f} s")
    print(f"{report.sent} frames sent, {report.acknowledged} acknowledged, {len(report.faults)} faults")
    print("\n".join(report.faults[:50]))
    return bool(report.faults)


if __name__ == "__main__":
    sys.exit(main())
