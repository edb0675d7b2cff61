"""Power loss at any moment: what was acknowledged is there, and nothing of what was not begun."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.power_loss import Disk, record

CRASHES = 600


def lost(folder: Path, before: Path, statements: list[str], crashes: int) -> list[str]:
    disk, dice = Disk(before.read_bytes()), random.Random(16)
    disk.play(folder, statements)
    last = disk.operations_until_close
    assert len(disk.acknowledged) > 12
    moments = [*range(last), *(dice.randrange(last) for _ in range(max(0, crashes - last)))]
    return [fault for at in moments if (fault := disk.crash(folder, at, dice)) is not None]


async def test_power_loss_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    before, statements = await record(tmp_path / "node")
    assert lost(tmp_path, before, statements, CRASHES) == []
    often = ["PRAGMA wal_autocheckpoint=10", *statements]
    assert lost(tmp_path, before, often, CRASHES) == [], "nor while the log is being moved into the database"


@pytest.mark.parametrize("setting", ["NORMAL", "OFF"])
async def test_a_node_that_syncs_less_is_caught(tmp_path: Path, setting: str) -> None:
    before, statements = await record(tmp_path / "node")
    mutant = [text.replace("synchronous=FULL", f"synchronous={setting}") for text in statements]
    assert mutant != statements
    assert lost(tmp_path, before, mutant, 100)
