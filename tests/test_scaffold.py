"""`arthexis plugins new`: what it writes is installed as it stands, its tests pass, and tools have nothing to say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arthexis import hookspecs
from arthexis.errors import PluginError
from arthexis.plugins import scaffold
from tests import tutorial

MADE = {kind: f"new_{kind.replace('-', '_')}" for kind in scaffold.kinds()}
WHEELS = ("tables", "role")
DECLARE = """
import os, sys
from setuptools import build_meta
for room in sys.argv[1:]:
    os.chdir(room)
    build_meta.prepare_metadata_for_build_wheel("src")
"""


class Authors:
    """A folder with a plugin of each kind, and an environment that they are installed in."""

    def __init__(self, folder: Path, env: tutorial.Environment) -> None:
        self.folder = folder
        self.env = env

    def room(self, kind: str) -> Path:
        return self.folder / f"arthexis-{MADE[kind].replace('_', '-')}"

    def declare(self, *kinds: str) -> None:
        """Install as an editable install does, all in one process: metadata by setuptools, the sources on the path."""
        site = next(self.env.folder.glob("lib/python*/site-packages"), self.env.folder / "Lib" / "site-packages")
        rooms = [str(self.room(kind)) for kind in kinds]
        subprocess.run([sys.executable, "-c", DECLARE, *rooms], capture_output=True, check=True, timeout=60)
        (site / "authors.pth").write_text("".join(f"{room}/src\n" for room in rooms), "utf-8")


@pytest.fixture(scope="module")
def authors(tmp_path_factory: pytest.TempPathFactory) -> Authors:
    """Each kind written; the usual one installed by hand as a person would, two as wheels, the others as they lie."""
    folder = tmp_path_factory.mktemp("authors")
    env = tutorial.environment(folder / "env", editable=True)
    for kind, name in MADE.items():
        env.run("plugins", "new", name, "--kind", kind, "--into", str(folder)) if kind == scaffold.DEFAULT else (
            scaffold.write(name, kind, folder)
        )
    made = Authors(folder, env)
    env.install("-e", str(made.room(scaffold.DEFAULT)), *(str(made.room(kind)) for kind in WHEELS))
    made.declare(*(kind for kind in MADE if kind not in {scaffold.DEFAULT, *WHEELS}))
    return made


def test_the_usual_plugin_passes_its_test_untouched(authors: Authors) -> None:
    done = _in(authors, authors.room(scaffold.DEFAULT), "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^1 passed", done.stdout, re.M), done.stdout


def test_the_tests_of_every_kind_pass(authors: Authors) -> None:
    rooms = [authors.room(kind) for kind in MADE]
    settings = ("-c", str(rooms[0] / "setup.cfg"), "--rootdir", str(authors.folder))
    done = _in(
        authors,
        authors.folder,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *settings,
        *(f"{r}/tests" for r in rooms),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tests = [text for room in rooms for text in re.findall(r"def (test_\w+)", _read(room, "tests/test_*.py"))]
    assert len(tests) >= len(MADE)


def test_ruff_has_nothing_to_say(authors: Authors) -> None:
    for command in (["check"], ["format", "--check"]):
        done = _in(authors, authors.folder, "-m", "ruff", *command, "--no-cache", "--exclude", "env", ".")
        assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_has_nothing_to_say(authors: Authors, tmp_path: Path) -> None:
    rooms = [(authors.room(kind), f"arthexis_{name}") for kind, name in MADE.items()]
    sources = [str(path) for room, package in rooms for path in (room / "src" / package, *room.glob("tests/*.py"))]
    path = os.pathsep.join([str(tutorial.ROOT), str(tutorial.ROOT / "plugins" / "simulator" / "src")])
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path), *sources],
        env={**os.environ, "MYPYPATH": path},
        cwd=authors.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", [scaffold.DEFAULT, "action", "service", "lifespan"])
def test_a_node_on_its_example_of_a_configuration_runs_it(authors: Authors, kind: str) -> None:
    told = authors.env.run("--config", str(authors.room(kind) / "arthexis.toml"), "plugins", "list", "--json").stdout
    states = {row["name"]: row["state"] for row in json.loads(told)}
    assert states[MADE[kind]] in {"configured", "migrated"}, states


@pytest.mark.parametrize("kind", ["lifespan", "tables", "role"])
def test_what_is_written_is_gold(authors: Authors, kind: str) -> None:
    told = json.loads(authors.env.run("plugins", "check", authors.room(kind).name, "--json").stdout)
    assert [rule["rule"] for rule in told["rules"] if rule["result"] == "failed"] == ["contact"]
    assert told["level"] == "gold"


@pytest.mark.parametrize("length", [2, scaffold.LONGEST])
def test_names_short_and_long_leave_nothing_to_format(length: int, tmp_path: Path) -> None:
    for number, kind in enumerate(MADE):
        scaffold.write(f"{chr(ord('a') + number)}{'x' * (length - 1)}", kind, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--no-cache", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_there_is_a_kind_for_every_hook_that_collects() -> None:
    shown = {hook for kind in MADE for hook in scaffold.skeleton(kind).facts["hooks"]}
    assert {name for name in vars(hookspecs) if name.startswith("register_")} - shown == set()
    for kind in MADE:
        chosen = scaffold.skeleton(kind)
        text = "\n".join(chosen.files.values())
        assert [hook for hook in chosen.facts["hooks"] if f"def {hook}(" not in text] == []


def test_the_usual_plugin_has_eleven_lines_at_most() -> None:
    text = scaffold.skeleton(scaffold.DEFAULT).files["src/arthexis_acme/__init__.py"]
    assert len([line for line in text.splitlines() if line]) <= 11


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("Acme", "for example acme"),
        ("acme tools", "for example acme_tools"),
        ("2fast", "for example fast"),
        ("", "begin with a letter"),
        ("-x", "for example x"),
        ("..", "begin with a letter"),
        ("../evil", "for example evil"),
        ("acme.price", "for example acme_price"),
        ("äcme", "for example cme"),
        ("acme\n", "for example acme"),
        ("arthexis-acme", "Leave the beginning out, it is added: acme"),
        ("class", "It means something in Python"),
        ("a" * 60, f"Use at most {scaffold.LONGEST} characters"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_with_a_better_one(name: str, cure: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=re.escape(cure)):
        scaffold.write(name, into=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind", "taken"),
    [
        ("host", "data-transfer", "the distribution arthexis-host"),
        ("files", "data-transfer", "arthexis-files:files"),
        ("terminal", "role", "the role terminal"),
        ("acme", "command", "arthexis-acme-two:acme"),
    ],
)
def test_a_name_that_is_taken_is_refused(name: str, kind: str, taken: str, tmp_path: Path, site: Any) -> None:
    site.add("", "acme", distribution="arthexis-acme-two")
    with pytest.raises(PluginError, match=re.escape(f"{name} is taken: {taken}")):
        scaffold.write(name, kind, tmp_path)
    assert not (tmp_path / f"arthexis-{name}").exists()


def test_a_command_of_the_host_is_not_taken(arthexis: Any, tmp_path: Path) -> None:
    told = arthexis("plugins", "new", "tags", "--kind", "command", "--into", str(tmp_path))
    assert "tags is taken: the command arthexis tags" in told.err
    assert arthexis("plugins", "new", "tags", "--into", str(tmp_path)).status == 0, "only a command takes that name"


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    scaffold.write("acme", into=tmp_path)
    (tmp_path / "arthexis-acme" / "README.md").write_text("mine", "utf-8")
    with pytest.raises(PluginError, match=r"is there already.*another place with --into"):
        scaffold.write("acme", into=tmp_path)
    assert (tmp_path / "arthexis-acme" / "README.md").read_text("utf-8") == "mine"


def test_the_command_says_what_comes_next(arthexis: Any, tmp_path: Path) -> None:
    told = arthexis("plugins", "new", "acme-tools", "--into", str(tmp_path / "not" / "there"))
    folder = tmp_path / "not" / "there" / "arthexis-acme-tools"
    assert told.out.splitlines()[1:] == [
        f"  cd {folder}",
        '  pip install -e ".[test]"',
        "  pytest",
        "  arthexis plugins enable arthexis-acme-tools:acme_tools",
        "  arthexis restart --open",
    ]
    assert 'DataTransfer("com.acme_tools", "GetPrice"' in _read(folder, "src/arthexis_acme_tools/*.py")


@pytest.mark.parametrize("kind", scaffold.kinds())
def test_what_the_readme_tries_is_done_on_a_node_that_lets_it(kind: str, tmp_path: Path) -> None:
    folder = scaffold.write("acme", kind, tmp_path).folder
    restarts = re.findall(r"^arthexis restart.*", _read(folder, "README.md"), re.MULTILINE)
    assert restarts == ["arthexis restart --open  # for this machine alone: no station needs a key"]


def test_one_that_stands_in_for_another_is_enabled_in_its_place(tmp_path: Path) -> None:
    told = scaffold.write("acme", "action", tmp_path).next
    assert "arthexis plugins enable arthexis-acme:acme --instead-of arthexis-ocpp16:ocpp16.heartbeat" in told, (
        "or both would be refused"
    )


def test_the_command_names_kind_and_cure(arthexis: Any, tmp_path: Path) -> None:
    told = arthexis("plugins", "new", "acme", "--kind", "roule", "--into", str(tmp_path), "--json")
    assert (told.status, told.error["code"]) == (PluginError.exit_status, "plugin")
    assert told.error["cure"] in {"Did you mean role?", "Did you mean route?"}


def test_a_folder_that_cannot_be_written_to_is_named(arthexis: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    told = arthexis("plugins", "new", "acme", "--into", str(tmp_path / "file" / "below"))
    assert told.status != 0
    assert "Traceback" not in told.err
    assert str(tmp_path / "file") in told.err


def _in(authors: Authors, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python in a folder."""
    return subprocess.run(
        [str(authors.env.python), *arguments],
        cwd=folder,
        env=authors.env.environ,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def _read(room: Path, pattern: str) -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(room.glob(pattern)))
