"""The how-to pages, typed as they stand: what comes before the start, the node, and what is then printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from docs.generate import EXAMPLES
from tests import tutorial
from tests.node_process import NodeProcess, started

HOWTO = tutorial.ROOT / "docs" / "howto"
PAGES = sorted(path for path in HOWTO.glob("*.md") if path.name != "README.md")
OF_A_ROLE = HOWTO / "add-a-role.md"
TYPED = re.compile(
    r"^```sh\n(?P<typed>.*?)^```\n(?:\nprints\n\n```\w+\n(?P<printed>.*?)^```\n)?", re.DOTALL | re.MULTILINE
)
FILE = re.compile(r"<!-- generated: example (?P<path>\S+) -->")
NOT_HERE = {"pip", "pytest"}
TYPIST = """
import contextlib, io, json, sys
from urllib.request import urlopen
from arthexis.cli.main import main

def typed(words):
    if words[0] == "curl":
        print(urlopen(words[1], timeout=10).read().decode())
    else:
        main(words[1:], prog_name=words[0])

outputs = []
for words in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
        typed(words)
    outputs.append(out.getvalue())
json.dump(outputs, sys.stdout)
"""
"""Types many commands in one process: each in its own would take a second for what it imports."""


def named(page: Path) -> str:
    return page.stem


def prepared(page: Path) -> list[str]:
    """What is typed before the node starts."""
    blocks = TYPED.finditer(page.read_text("utf-8"))
    lines = [line for block in blocks if block["printed"] is None for line in block["typed"].splitlines()]
    return [line for line in lines if line.split()[0] not in NOT_HERE and not line.startswith("arthexis restart")]


def tried(page: Path) -> list[tuple[str, str]]:
    """What is typed beside the running node, and what is then printed."""
    blocks = TYPED.finditer(page.read_text("utf-8"))
    return [(block["typed"].strip(), block["printed"].strip()) for block in blocks if block["printed"] is not None]


def type_in(node: NodeProcess, lines: Iterable[str]) -> list[str]:
    """What each line prints, its errors included."""
    words = [shlex.split(line.replace("127.0.0.1:8888/", f"127.0.0.1:{node.port}/")) for line in lines]
    assert {line[0] for line in words} <= {"arthexis", "curl"}
    done = subprocess.run(
        [sys.executable, "-c", TYPIST],
        input=json.dumps(words),
        env=node.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [str(output).strip() for output in json.loads(done.stdout)]


def follow(pages: list[Path], home: Path, shelf: Path) -> dict[Path, list[str]]:
    """Do what these pages say, on one node; what was printed where a page says what is."""
    node = NodeProcess(home, "--open", site=shelf / "site")
    for output in type_in(node, [line for page in pages for line in prepared(page)]):
        assert "next start" in output, output
    with started(node):
        outputs = iter(type_in(node, [line for page in pages for line, _ in tried(page)]))
    return {page: [next(outputs) for _ in tried(page)] for page in pages}


@pytest.fixture(scope="module")
def told(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[str]]:
    """What was printed: all pages on one node, but the one of the role, which makes it another node."""
    others = [page for page in PAGES if page != OF_A_ROLE]
    both = [follow(pages, tmp_path_factory.mktemp("howto"), shelf) for pages in (others, [OF_A_ROLE])]
    return both[0] | both[1]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_prints_what_it_says(page: Path, told: dict[Path, list[str]]) -> None:
    assert tried(page) or page.stem == "add-a-protocol"
    for (line, expected), output in zip(tried(page), told[page], strict=True):
        pattern = ".*".join(re.escape(part) for part in expected.split("…"))
        assert re.fullmatch(pattern, output, re.DOTALL), f"{line}\nprinted\n{output}\ninstead of\n{expected}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_shows_whole_distributions_and_the_tests_that_it_counts(page: Path) -> None:
    """A reader who copies what stands there has all there is, the README that setup.cfg names included."""
    text = page.read_text("utf-8")
    shown = {found["path"] for found in FILE.finditer(text)}
    for room in {path.partition("/")[0] for path in shown}:
        files = [file for file in (EXAMPLES / room).rglob("*") if file.suffix in {".py", ".toml", ".cfg", ".md"}]
        whole = {file.relative_to(EXAMPLES).as_posix() for file in files if "build" not in file.parts}
        assert sorted(path for path in whole - shown if room != "arthexis-flattariff" or "/tests/" not in path) == []
        assert f"pip install ./{room}" in text or f" ./{room}" in text


def test_every_page_is_in_the_list_and_every_example_has_a_page() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (HOWTO / "README.md").read_text("utf-8")))
    assert listed == {page.name for page in PAGES}
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    rooms = [path.parent.name for path in EXAMPLES.glob("*/setup.cfg")]
    assert [room for room in rooms if f"example {room}/" not in pages] == []
