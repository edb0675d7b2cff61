"""Power loss at any moment: what was acknowledged is there, and nothing of what was not begun."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.power_loss import lost, record

CRASHES = 600


async def test_power_loss_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    before, statements = await record(tmp_path / "node")
    assert lost(tmp_path, before, statements, CRASHES, random.Random(16)) == []
    often = ["PRAGMA wal_autocheckpoint=10", *statements]
    assert lost(tmp_path, before, often, CRASHES, random.Random(17)) == [], (
        "nor while the log is being moved into the database"
    )


@pytest.mark.parametrize("setting", ["NORMAL", "OFF"])
async def test_a_node_that_syncs_less_is_caught(tmp_path: Path, setting: str) -> None:
    before, statements = await record(tmp_path / "node")
    mutant = [text.replace("synchronous=FULL", f"synchronous={setting}") for text in statements]
    assert mutant != statements
    assert lost(tmp_path, before, mutant, 100, random.Random(18))
