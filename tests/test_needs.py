"""Tests of what needs services and mock hardware: skipped where those are not, failed where they must be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import WHOLE
from tests.tutorial import ROOT

NEEDY = (
    "plugins/rfid/tests/test_umockdev.py",
    "plugins/rfid/tests/test_pcscd.py",
    "plugins/rfid/tests/test_ports.py::test_an_rdm6300_that_repeats_its_frame_is_one_scan",
    "plugins/lcd/tests/test_i2c.py::test_the_terminal_shows_what_stands_on_the_display",
    "plugins/wifi_ap/tests/test_guests.py",
)


@pytest.mark.skipif(sys.platform == "win32", reason="most of them are for POSIX only")
@pytest.mark.parametrize(("which", "outcome", "other"), [("", " skipped", " error"), ("whole", " error", " skipped")])
def test_what_the_machine_lacks_is_skipped_and_fails_where_all_must_be_here(
    tmp_path: Path, which: str, outcome: str, other: str
) -> None:
    environ = {**os.environ, WHOLE: which, "PATH": str(tmp_path)}
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *NEEDY]
    done = subprocess.run(asked, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)
    last = done.stdout.strip().splitlines()[-1]
    assert (outcome in last, other in last) == (True, False), done.stdout[-2000:]
    assert ("must be here: " in done.stdout) is bool(which)
