"""The examples of docs/examples as a stranger's packages: built, installed elsewhere, tested by their own tests."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from arthexis.plugins.compose import HOOKS
from arthexis.plugins.registry import KINDS
from docs.generate import EXAMPLES, hooks_of
from tests import tutorial

ROOT = tutorial.ROOT
ROOMS = sorted(path.parent for path in EXAMPLES.glob("*/setup.cfg"))


def named(room: Path) -> str:
    return room.name


def test_the_tests_of_every_example_pass_where_it_is_installed(shelf: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error", "--rootdir", str(shelf)]
    modes = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *modes, *map(str, shelf.glob("*/tests"))],
        cwd=shelf,
        env={**os.environ, "PYTHONPATH": str(shelf / "site"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed in ", done.stdout, re.M), f"something was left out: {done.stdout}"


def test_every_kind_of_contribution_and_every_decision_has_an_example() -> None:
    wanted = {*KINDS, *(hook for hook in HOOKS if hook.startswith("decide_")), "lifespan"}
    assert sorted(wanted - hooks_of().keys()) == []
    assert any(_config(room).has_option("options.entry_points", "arthexis.roles") for room in ROOMS)


def _config(room: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(room / "setup.cfg", encoding="utf-8")
    return parser


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_an_example_is_a_whole_distribution(room: Path) -> None:
    config = _config(room)
    assert config["metadata"]["name"] == room.name
    assert "arthexis-host>=0.1,<0.2" in config["options"]["install_requires"]
    assert (room / "pyproject.toml").read_bytes() == (ROOT / "pyproject.toml").read_bytes()
    assert (room / "README.md").read_text("utf-8").startswith(f"# {room.name}\n")
    assert list(room.glob("tests/test_*.py")) or not config.has_section("options.entry_points"), "only an interface"


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_an_example_needs_nothing_but_the_public_face(room: Path) -> None:
    """Its own package, the packages it requires, and ``arthexis``; in its tests ``arthexis.testing`` too."""
    required = {
        need.replace("-", "_") for need in re.findall(r"arthexis-\w+", _config(room)["options"]["install_requires"])
    }
    own = {room.name.replace("-", "_"), *required}
    for file in room.rglob("*.py"):
        face = {"arthexis", "arthexis.testing"} if "tests" in file.parts else {"arthexis"}
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in (name for name in modules if name.startswith("arthexis")):
                assert module in face or module.partition(".")[0] in own, f"{file}: {module}"
