"""The page on notifications is true: its rules are sound, and its plugin is one that works."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from arthexis_notify import rules, settings

from arthexis.config import Configuration
from tests import tutorial

PAGE = tutorial.ROOT / "docs" / "notifications.md"
README = tutorial.ROOT / "plugins" / "notify" / "README.md"
TOML = re.compile(r"^```toml\n(?P<text>.*?)^```\n", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"^```python\n(?P<text>.*?)^```\n", re.DOTALL | re.MULTILINE)
BLOCKS = [found["text"] for page in (PAGE, README) for found in TOML.finditer(page.read_text("utf-8"))]


@pytest.mark.parametrize("text", BLOCKS)
def test_what_the_page_writes_into_the_file_is_taken(text: str) -> None:
    configuration = Configuration(Path("arthexis.toml"), tomllib.loads(text), {})
    found = configuration.section("plugins.notify", settings.Settings)
    assert found.mail or found.webhook or found.rules


def test_the_page_names_every_key_of_a_rule_and_every_rule_of_the_house() -> None:
    text = PAGE.read_text("utf-8")
    rows = Counter(
        name for line in re.findall(r"^\| (`\w.*?) \|", text, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", line)
    )
    wanted = {*rules.Rule.__struct_fields__, *(rule.name for rule in rules.HOUSE_RULES)}
    assert wanted - set(rows) == set()


def test_the_plugin_of_the_page_passes_its_own_tests(site: Any, arthexis: Any) -> None:
    shown = tutorial.files(PAGE)
    site.add("", "lamp", distribution="arthexis-lamp", entries={"lamp": "arthexis_lamp"})
    for path, text in shown.items():
        file = site.path / path.removeprefix("src/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    [setup] = re.findall(r"^```ini\n(.*?)^```\n", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (site.path / "setup.cfg").write_text(setup, "utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "-c", "setup.cfg", "--rootdir", str(site.path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(site.path / "tests")],
        env=arthexis.env,
        cwd=site.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_other_examples_of_the_page_can_be_run() -> None:
    for found in PYTHON.finditer(PAGE.read_text("utf-8")):
        exec(compile(found["text"], str(PAGE), "exec"), {"__name__": "example"})
