"""The papers are true: generated parts up to date, examples run, commands exist, links lead somewhere."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import json
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pluggy
import pytest

import arthexis
from arthexis import hookspecs
from arthexis.charging import transactions
from arthexis.charging.decisions import ConnectionRequest
from arthexis.charging.station import Station
from arthexis.cli.main import main
from arthexis.config import SECTIONS
from arthexis.control import REQUESTS
from arthexis.db.events import Event
from arthexis.errors import PluginError
from arthexis.plugins.compose import Selection, compose
from arthexis.plugins.registry import KINDS
from arthexis.plugins.states import Plugin, State
from arthexis.testing import wire
from arthexis.web.app import ENDINGS
from tests import tutorial

ROOT = tutorial.ROOT
PLUGINS = ROOT / "docs" / "plugins.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])
PYTHON = re.compile(r"^```python\n(?P<text>.*?)^```\n", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```\n", re.DOTALL | re.MULTILINE)
GENERATED = re.compile(r"<!-- generated: (.+?) -->.*?<!-- end -->", re.DOTALL)
MANAGER = pluggy.PluginManager("arthexis")
MANAGER.add_hookspecs(hookspecs)
HOOKS = [name for name in vars(hookspecs) if not name.startswith("_") and hasattr(MANAGER.hook, name)]


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


NEW = ["plugins", "new"]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# ---------------------------------------------------------------------- generated parts


def test_the_generated_parts_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------------- the four pieces of a hook


def _missing(there: set[str]) -> list[str]:
    return [name for name in HOOKS if name not in there]


def test_a_setting_is_called_required_only_where_it_must_be_written() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    readers = page.partition("[[plugins.rfid.readers]]\n")[2].partition("\n#")[0]
    rows = [line.split(" | ") for line in readers.splitlines() if line.startswith("| `")]
    assert {key.strip("| `") for key, default, *_ in rows if default == "required"} == {"name", "driver"}
    assert any(default == "optional" for _, default, *_ in rows)


def test_every_hook_has_a_page_with_its_exact_signature_and_when_it_is_called() -> None:
    pages = {page.stem: page.read_text("utf-8") for page in ROOT.glob("docs/hooks/*.md")}
    shape = "# {name}\n\n<!-- generated: hook {name} -->\n"
    there = {name for name, text in pages.items() if text.startswith(shape.format(name=name)) and "**When.** " in text}
    assert _missing(there) == []
    assert set(pages) == set(HOOKS), "a page is of no hook"


def test_every_hook_has_an_example_in_its_docstring() -> None:
    assert _missing({name for name in HOOKS if ">>> " in (getattr(hookspecs, name).__doc__ or "")}) == []


def test_every_hook_has_a_test_of_its_name() -> None:
    files = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/**/test_*.py")]
    there = {name for file in files for name in re.findall(r"def test_hook_(\w+)\(", file.read_text("utf-8"))}
    assert [name for name in HOOKS if not any(test == name or test.startswith(name + "_") for test in there)] == []


def test_every_hook_is_in_the_changelog() -> None:
    assert _missing(set(re.findall(r"`(\w+)`", read("CHANGELOG.md")))) == []


def _example(hook: str) -> str:
    found = PYTHON.search(GENERATED.sub("", read(f"docs/hooks/{hook}.md")))
    assert found is not None, f"docs/hooks/{hook}.md has no example"
    return found["text"]


SAMPLES: dict[str, Any] = {
    "station": Station("CP-9", 1),
    "request": ConnectionRequest("CP-9", "127.0.0.1", known=True),
    "boot": SimpleNamespace(charge_point_vendor="Acme"),
    "id_tag": "GUEST",
    "starting": True,
    "free": (1, 2),
    "reason": "closed",
    "plugin": Plugin("acme", "arthexis-acme", "1", "arthexis_acme"),
    "ctx": SimpleNamespace(log=logging.getLogger("example"), config=None),
    "event": Event(
        1,
        "transaction.stopped",
        "CP-9",
        datetime.now(UTC),
        {
            "action": "Heartbeat",
            "connector": 1,
            "energy_wh": 250,
            "error_code": "NoError",
            "model": "One",
            "outcome": "accepted",
            "reason": "Local",
            "repairs": ["idTag: 5 read as text"],
            "reader": "desk",
            "reservation_id": 3,
            "state": "Accepted",
            "status": "Faulted",
            "transaction_id": 7,
        },
    ),
}


@pytest.mark.parametrize("hook", HOOKS)
async def test_the_example_of_a_hook_is_a_plugin_that_works(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"example_of_{hook}"
    (tmp_path / f"{module}.py").write_text(_example(hook), "utf-8")
    (tmp_path / "arthexis_acme" / "migrations").mkdir(parents=True)  # what the example of register_tables names
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    plugin = Plugin("example", "docs", "1", module)
    composition = compose(Selection(("docs:*",)), lambda _, struct: struct() if struct else None, found=[plugin])
    assert plugin.state is State.CONFIGURED, plugin.reason
    if hook in KINDS:
        assert [owner for owner, _ in composition.contributions[hook]] == [plugin]
        return
    [(_, implementation)] = composition.hooks[hook]
    arguments = [SAMPLES[name] for name in inspect.signature(getattr(hookspecs, hook)).parameters]
    if hook == "lifespan":
        async with implementation(*arguments):
            return
    answer = await implementation(*arguments)
    assert (answer is not None) is hook.startswith("decide_")


# ---------------------------------------------------------------------- names, links, commands


def test_every_public_name_is_documented() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| \w+ \| (.*) \|$", read("docs/plugins.md"), re.M))
    assert sorted(documented) == sorted(arthexis.__all__)
    assert [name for name, about in documented.items() if not about.endswith(".") and "`" not in about] == []


def test_every_state_and_every_kind_of_event_is_documented() -> None:
    text = read("docs/plugins.md")
    assert [state for state in State if f"`{state}`" not in text] == []
    sources = "\n".join(file.read_text("utf-8") for file in _product())
    kinds = set(re.findall(r'\.event\(\s*"([\w.]+)"', sources))
    assert sorted(kind for kind in kinds if f"`{kind}`" not in text) == []


def test_every_flag_of_a_transaction_is_documented() -> None:
    flags = [
        value for value in vars(transactions).values() if isinstance(value, str) and re.fullmatch(r"[a-z, ]+", value)
    ]
    assert "stop without a start" in flags
    text = " ".join(read("docs/stations.md").split())
    assert [flag for flag in flags if f"*{flag}*" not in text] == []


def _product() -> Iterator[Path]:
    yield from itertools.chain(ROOT.glob("arthexis/**/*.py"), ROOT.glob("plugins/*/src/**/*.py"))


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text("utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path)
        if not there.exists() or (anchor and anchor not in _anchors(there.read_text("utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = FENCED.sub("", page.read_text("utf-8"))
    shown = set(tutorial.files(page))
    paths = re.findall(r"`((?:arthexis|plugins|tests|docs|benchmarks)/[\w./\-]*)(?:::\w+)?`", text)
    assert [path for path in paths if path not in shown and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named_tests = re.findall(r"`(tests/[\w./]+|plugins/[\w./]+)::(\w+)`", page.read_text("utf-8"))
    absent = [path for path, _ in named_tests if not (ROOT / path).exists()]
    assert absent == []
    assert [name for path, name in named_tests if f"def {name}(" not in read(path)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    text = page.read_text("utf-8")
    known = {f"{section}.{key}" for section, struct in SECTIONS.items() for key in struct.__struct_fields__}
    known |= set(REQUESTS) | ENDINGS
    wanted = re.findall(rf"`((?:{'|'.join(SECTIONS)})\.[a-z_]+)(?: = [^`]*)?`", text)
    assert sorted(name for name in set(wanted) - known if not name.endswith(".py")) == []


def _shell_lines() -> list[tuple[str, str]]:
    prose = re.compile(r"`(arthexis [a-z][^`]*)`")
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        found += [(named(page), line) for line in tutorial.commands(page)]
        found += [(named(page), line) for line in prose.findall(GENERATED.sub("", FENCED.sub("", text)))]
    return [(page, line) for page, line in found if "arthexis " in line and "…" not in line]


@pytest.mark.parametrize(("page", "line"), _shell_lines())
def test_every_command_that_a_page_shows_can_be_typed(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    while words and "=" in words[0]:
        del words[0]
    if words[:1] != ["arthexis"]:
        return
    arguments = [re.sub(r"^(MINUTES|NAME|KEY|FILE|ONE|OTHER)$", "5", word) for word in words[1:]]
    _parse(main, [re.sub(r"^.+\.db$", __file__, word) for word in arguments])


def _commands_of_examples() -> list[str]:
    sources = (path.read_text("utf-8") for path in ROOT.glob("docs/examples/*/src/**/*.py"))
    return [name for text in sources for name in re.findall(r'Command\("([\w-]+)"', text)]


def _parse(command: click.Command, arguments: list[str]) -> None:
    """Parse a command line as click would, and run nothing; raises ``UsageError``."""
    if isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        context = click.Context(command)
        try:
            below = command.get_command(context, arguments[0])
        except PluginError:  # of a plugin that is off here; its distribution is installed
            below = None
        if below is None and arguments[0] in {"acme", *_commands_of_examples()}:
            return  # run by test_the_tutorial and tests/test_howto.py
        if below is None:  # of a plugin that the usual role does not switch on
            below = dict(importlib.import_module("docs.generate").commands()).get(f"arthexis {arguments[0]}")
        assert below is not None, f"there is no command {arguments[0]}"
        _parse(below, arguments[1:])
        return
    missing = click.exceptions.MissingParameter
    try:
        command.make_context("arthexis", list(arguments))
    except (missing, click.exceptions.NoArgsIsHelpError):
        if not _mentioned_only(arguments):
            raise
    except click.exceptions.Exit:
        return


def _mentioned_only(arguments: list[str]) -> bool:
    """Whether a sentence only names the command, without the arguments it takes."""
    return not arguments or all(word.startswith("-") for word in arguments)


def test_the_recipes_and_scripts_run_what_is_there() -> None:
    recipes = read("justfile")
    assert [
        path for path in re.findall(r"(?:\./|python )(\w[\w/]*\.(?:sh|py))", recipes) if not (ROOT / path).exists()
    ] == []
    modules = re.findall(r"-m (benchmarks[\w.]*)", recipes + read("test.sh"))
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


def test_windows_installs_every_plugin_of_the_clone() -> None:
    script = read("start.bat")
    assert r'for /d %%P in (plugins\*) do if exist "%%P\setup.cfg" set wanted=!wanted! -e %%P' in script
    assert "-e . !wanted!" in script


def test_the_docs_become_a_site_without_a_warning(tmp_path: Path) -> None:
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-c", str(ROOT / "docs")]
    done = subprocess.run(
        [*sphinx, "-d", str(tmp_path / "trees"), str(ROOT), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = {page.relative_to(tmp_path / "site").with_suffix(".md").as_posix() for page in tmp_path.rglob("*.html")}
    assert [named(page) for page in PAGES if named(page) not in built] == []


# ---------------------------------------------------------------------- what never enters the repository

PRIVATE = [
    r"/wo" + r"rk/",
    r"/ro" + r"ot\b",
    r"/ho" + r"me/(?!you\b)\w+",
    r"[Cc]:\\Us" + r"ers",
    r"pyp" + r"i\.org",
    r"python" + r"hosted",
    r"npm" + r"js\.",
    r"crates\." + r"io",
    r"/op" + r"t/(?!arthexis)",
    r"BEGIN [A-Z ]*PRIVATE " + r"KEY",
]


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a clone")
    return [ROOT / name for name in listed.stdout.decode("utf-8").split("\0") if name and (ROOT / name).is_file()]


def test_nothing_private_is_in_the_repository() -> None:
    private = re.compile("|".join(PRIVATE))
    found = []
    for file in _tracked():
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if private.search(line):
                found.append(f"{named(file)}:{number}: {line.strip()[:80]}")
    assert found == []


# ---------------------------------------------------------------------- doing what the pages say


def test_the_examples_of_the_page_on_testing_pass(tmp_path: Path) -> None:
    for number, found in enumerate(PYTHON.finditer(read("docs/testing.md"))):
        (tmp_path / f"test_example_{number}.py").write_text(found["text"], "utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-W", "error", "--rootdir", str(tmp_path)]
    scope = ["-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *scope, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> tutorial.Environment:
    """The plugin of docs/plugins.md: begun by its first command, its files added, installed in an environment."""
    folder = tmp_path_factory.mktemp("tutorial")
    made = tutorial.environment(folder / "env", editable=True)
    [new] = [words for words in _typed(PLUGINS) if words[:2] == NEW]
    made.run(*new, "--into", str(folder))
    room = folder / "arthexis-acme"
    for path, text in tutorial.files(PLUGINS).items():
        if path in {"src/arthexis_acme/__init__.py", "tests/test_acme.py"}:
            assert (room / path).read_text("utf-8") == text, "the page shows another file than the command writes"
        (room / path).parent.mkdir(parents=True, exist_ok=True)
        (room / path).write_text(text, "utf-8")
    made.install(str(room))
    return made


def test_the_tutorial_shows_one_plugin_everywhere() -> None:
    eleven = tutorial.files(PLUGINS)["src/arthexis_acme/__init__.py"]
    assert len([line for line in eleven.splitlines() if line]) <= 11
    assert eleven in read("README.md")


def test_the_tests_of_the_tutorial_pass(acme: tutorial.Environment) -> None:
    told = acme.run(
        "-q", "-p", "no:cacheprovider", "-W", "error", str(acme.folder.parent / "arthexis-acme"), module="pytest"
    )
    many = sum(text.count("async def test_") for text in tutorial.files(PLUGINS).values())
    assert re.search(rf"^{many} passed", told.stdout, re.M), told.stdout


def _typed(page: Path) -> Iterator[list[str]]:
    """What a page has its reader type, less what installs, tests or runs a node."""
    for line in tutorial.commands(page):
        words = shlex.split(line)
        if words[0] == "arthexis" and words[1] not in {"start", "stop", "restart"}:
            yield words[1:]


async def test_the_tutorial_ends_with_a_node_that_answers(acme: tutorial.Environment) -> None:
    told = {" ".join(words): acme.run(*words).stdout for words in _typed(PLUGINS) if words[:2] != NEW}
    assert told["acme 10000"] == "3.10\n"
    acme.run("roles", "use", "terminal")
    acme.run("plugins", "enable", "acme.guests")
    acme.run("plugins", "enable", "acme.ping")
    acme.run("config", "set", "plugins.acme.telemetry.folder", str(acme.home))
    async with tutorial.Running(acme) as port:
        states = {row["name"]: row["state"] for row in json.loads(acme.run("plugins", "list", "--json").stdout)}
        for name in ("acme", "acme.clock", "acme.guests", "acme.ledger", "acme.ping", "acme.telemetry"):
            assert states[name] == "active", states
        async with wire(f"ws://127.0.0.1:{port}/ocpp/CP-1") as station:
            await station.boot(vendor="Acme")
            price = await station.result("DataTransfer", {"vendorId": "com.acme", "messageId": "GetPrice"})
            guest = await station.result("Authorize", {"idTag": "guest"})
        async with wire(f"ws://127.0.0.1:{port}/ocpp/CP-2", protocols=["acme1.0"]) as other:
            assert other.protocol == "acme1.0"
            assert list(await other.result("Ping", {"sentAt": "now"})) == ["gotAt"]
    assert price == {"status": "Accepted", "data": '{"pricePerKwh":0.31,"asked_by":"CP-1"}'}
    assert guest == {"idTagInfo": {"status": "Accepted"}}
    assert not (acme.home / "stations.txt").exists(), "its lifespan was not closed"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tutorial.Environment:
    """An environment with what this clone has installed."""
    return tutorial.environment(tmp_path_factory.mktemp("readme") / "env", editable=True)


async def test_the_first_ten_minutes_of_the_readme_are_lived_word_for_word(here: tutorial.Environment) -> None:
    typed = [words for words in _typed(ROOT / "README.md") if "CP-" not in " ".join(words)]
    assert ["simulate", "--stations", "1", "--sessions", "1"] in typed
    told: dict[str, str] = {}
    async with tutorial.Running(here):
        for words in typed:
            told[" ".join(words[:2])] = (await asyncio.to_thread(here.run, *words)).stdout
    assert re.search(r"^SIM-001 .* Accepted ", told["stations list"], re.M), told["stations list"]
    assert re.search(r"^1 ", told["transactions list"], re.M), told["transactions list"]
    assert "Energy.Active.Import.Register" in told["transactions show"]
    assert "StopTransaction" in told["messages list"]
