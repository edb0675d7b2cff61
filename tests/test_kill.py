"""``kill -9`` at any moment: nothing that was acknowledged is lost, and nothing is there twice."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

from tests.campaigns.kill import campaign, failpoints

ROOT = Path(__file__).parent.parent
MUTANT = ROOT / "tests" / "mutants" / "early_answer.patch"
TIMES = 20
TIMES_MUTANT = 5
MOST_FAILPOINTS = 7


async def test_twenty_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    report = await campaign(tmp_path, TIMES, seed=seed)
    assert report.faults == [], f"seed {seed}"
    assert report.kills == TIMES
    assert report.acknowledged > 10 * TIMES, "the stations were busy"


async def test_a_node_that_answers_before_the_commit_is_caught(tmp_path: Path) -> None:
    source = tmp_path / "mutant"
    shutil.copytree(ROOT / "arthexis", source / "arthexis", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", "--unsafe-paths", "--directory", str(source), str(MUTANT)], check=True, cwd="/")
    report = await campaign(tmp_path, TIMES_MUTANT, source=source, slow_every=1)
    assert [fault for fault in report.faults if fault.startswith("lost:")]


async def test_death_at_every_failpoint_loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = await failpoints(tmp_path, MOST_FAILPOINTS)
    assert report.faults == []
    assert report.kills == 3 * MOST_FAILPOINTS + 1
