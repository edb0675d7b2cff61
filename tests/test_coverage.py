"""The table and the badge of OCPP 1.6 say what a run with foreign charge points shows."""

from __future__ import annotations

from pathlib import Path

from tests.campaigns.coverage import Coverage, badge, covered, outdated, page
from tests.needs import lacks
from tests.peers import Impossible


async def test_the_published_coverage_is_what_a_run_shows(tmp_path: Path) -> None:
    try:
        found = await covered(tmp_path)
    except Impossible as reason:
        lacks(str(reason))
    assert found.complete == 29
    assert outdated(found) == {}, "run: python -m tests.campaigns.coverage"


def test_what_did_not_pass_is_not_counted() -> None:
    found = Coverage()
    found.count("Reset", "node to station", "ocpp")
    assert found.complete == 0
    assert "| Reset | node to station | 1 | 0 |" in page(found)
    assert "0 of 29" in badge(found)
