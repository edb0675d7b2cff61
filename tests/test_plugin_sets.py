"""Random sets of plugins: twenty here, two hundred with ``python -m tests.campaigns.plugin_sets``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from arthexis.plugins.states import Plugin, State
from tests.campaigns.plugin_sets import expect

ROOT = Path(__file__).parent.parent


def test_any_set_of_plugins_starts_serves_a_boot_and_says_what_failed() -> None:
    command = [sys.executable, "-m", "tests.campaigns.plugin_sets", "--examples", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    assert json.loads(done.stdout)["sets"] >= 20


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("zoo-healthy:zoo.healthy", State.FAILED, "its import failed"),
        ("zoo-unavailable:zoo.unavailable", State.ACTIVE, ""),
        ("zoo-unavailable:zoo.unavailable", State.UNAVAILABLE, "another reason"),
        ("arthexis-ocpp16:ocpp16.reset", State.FAILED, "its import failed"),
    ],
)
def test_a_plugin_that_stands_elsewhere_than_it_must_is_seen(name: str, state: State, reason: str) -> None:
    distribution, _, short = name.partition(":")
    with pytest.raises(AssertionError):
        expect(Plugin(short, distribution, "1.0", "", state, reason=reason), {name})
