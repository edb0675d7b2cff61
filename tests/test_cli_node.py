"""Commands as processes: with a node and without one, for people and for programs, whatever is broken."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError, encode_basic_auth
from click.testing import CliRunner

from arthexis.testing import wire

# what a command is asked -> the members of its answer that stay
READING = {
    ("status",): {"running", "role", "open", "recovery", "notices", "plugins", "stations_connected", "home"},
    ("plugins", "list"): {"name", "distribution", "version", "state", "stage", "reason", "cure", "required", "errors"},
    ("plugins", "info", "ocpp16.heartbeat"): {"name", "state", "offers", "implements"},
    ("roles", "list"): {"name", "chosen", "source", "summary", "problem"},
    ("roles", "show", "terminal"): {"name", "lineage", "plugins", "required", "config"},
    ("config", "get", "http"): {"host", "port"},
    ("config", "explain", "http.port"): {"setting", "value", "from", "meaning", "default"},
    ("config", "schema"): {"$schema", "properties"},
    ("db", "status"): {"url", "size_bytes", "chains"},
    ("db", "verify"): {"sound", "problems"},
    ("stations", "list"): {"identity", "connected", "registration"},
    ("stations", "show", "CP-1"): {"identity", "connectors", "statuses"},
    ("stations", "pending"): {"identity", "remote", "reason", "tries"},
    ("transactions", "list"): {"id", "station", "id_tag", "energy_wh"},
    ("transactions", "show", "1"): {"id", "meter_values"},
    ("tags", "list"): {"id_tag", "status"},
    ("tags", "unknown"): {"id_tag", "station"},
    ("messages", "list"): {"station", "frame", "answer"},
    ("tokens", "list"): {"name", "access"},
}
WRONG = [
    # arguments, exit status, code, a word of the problem, a word of the cure
    (("sttus",), 2, "usage", "there is no command sttus", "arthexis status"),
    (("stations", "lst"), 2, "usage", "there is no command lst", "arthexis stations list"),
    (("start", "--prt", "1"), 2, "usage", "No such option", "--help"),
    (("stations", "add"), 2, "usage", "Missing argument", "--help"),
    (("transactions", "show", "x"), 2, "usage", "not a valid integer", "--help"),
    (("--config", "/nowhere/x.toml", "status"), 3, "config", "there is no such file", "--config"),
    (("config", "get", "http.prot"), 5, "not-found", "no setting http.prot", "http.port"),
    (("config", "set", "http.port", "x"), 3, "config", "expected `int`", "8888"),
    (("plugins", "info", "nobody"), 5, "not-found", "no plugin nobody", "plugins list"),
    (("plugins", "enable", "ocpp16.hartbeat"), 5, "not-found", "no plugin ocpp16.hartbeat", "ocpp16.heartbeat"),
    (("roles", "use", "nobody"), 5, "not-found", "no role nobody", "terminal"),
    (("stations", "show", "nobody"), 5, "not-found", "nobody", ""),
    (("stations", "add", "CP-2", "--key", "secret"), 5, "refused", "40 hexadecimal digits", "--key"),
    (("transactions", "show", "99"), 5, "not-found", "no transaction 99", "transactions list"),
    (("tokens", "revoke", "nobody"), 5, "not-found", "no token nobody", "tokens list"),
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A data folder in which a station, a tag and a transaction are stored."""
    import asyncio

    from arthexis.testing import node

    home = tmp_path_factory.mktemp("stored") / "home"

    async def fill() -> None:
        async with node(home, plugins=["arthexis-ocpp16:*"]) as running, wire(running.station_url("CP-1")) as cp:
            await cp.boot()
            start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
            await cp.result("StartTransaction", start)
            await running.ask("tags.add", id_tag="TAG1")
            await running.ask("tokens.add", name="t")

    asyncio.run(fill())
    (home / "arthexis.toml").unlink()
    return home


@pytest.fixture
def on_stored(stored: Any, arthexis: Any, tmp_path: Any) -> Any:
    """The command on a copy of that folder."""
    import shutil

    shutil.copytree(stored, arthexis.home)
    return arthexis


@pytest.fixture
def here(on_stored: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command on that folder inside this process, which is quicker than a process for each."""
    from arthexis.cli.main import main

    monkeypatch.setenv("ARTHEXIS_HOME", str(on_stored.home))

    def run(*words: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["arthexis", *words])
        told = CliRunner().invoke(main, list(words), prog_name="arthexis")
        return _Ended(told)

    return run


class _Ended:
    def __init__(self, told: Any) -> None:
        self.status, self.out, self.err = told.exit_code, told.stdout, told.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err.strip().splitlines()[-1])["error"]


def sound(ended: Any) -> Any:
    assert "Traceback" not in ended.out + ended.err
    return ended


def check(command: Any, words: tuple[str, ...], members: set[str]) -> None:
    ended = sound(command(*words, "--json"))
    assert ended.status == 0, (words, ended.err)
    found = ended.json
    rows = found if isinstance(found, list) else [found]
    for row in rows:
        assert members <= row.keys(), (words, members - row.keys())
    assert sound(command(*words)).status == 0 if words[0] in {"status", "plugins"} else True


def test_every_reading_command_answers_in_json_from_the_files_and_says_so(here: Any, on_stored: Any) -> None:
    for words, members in READING.items():
        check(here, words, members)
    ended = on_stored("stations", "list")
    assert "CP-1" in ended.out
    assert f"(no node is running; this is from the files in {on_stored.home})" in ended.err


def test_every_reading_command_answers_the_same_from_a_running_node(here: Any, on_stored: Any) -> None:
    on_stored.start("--open")
    for words, members in READING.items():
        check(here, words, members)
    assert on_stored("stations", "list").err == ""


@pytest.mark.parametrize(("words", "status", "code", "problem", "cure"), WRONG, ids=lambda v: str(v)[:40])
def test_what_is_wrong_has_a_status_a_code_and_a_cure(
    here: Any, words: tuple[str, ...], status: int, code: str, problem: str, cure: str
) -> None:
    ended = sound(here(*words, "--json"))
    assert (ended.status, ended.out) == (status, "")
    assert ended.error["code"] == code
    assert problem in ended.error["problem"]
    assert cure in ended.error["cure"]


def test_for_a_person_an_error_is_two_lines(on_stored: Any) -> None:
    ended = on_stored("stations", "lst")
    assert ended.err == "arthexis: there is no command lst\n  Did you mean `arthexis stations list`?\n"


def test_stations_add_prints_url_and_key_once(arthexis: Any) -> None:
    arthexis.start()
    told = arthexis("stations", "add", "CP 1")
    assert told.status == 0, told.err
    lines = dict(line.strip().split("  ", 1) for line in told.out.splitlines()[1:] if "  " in line.strip())
    assert lines["URL"].strip() == f"{arthexis.url.replace('http', 'ws')}/ocpp/CP%201"
    assert len(bytes.fromhex(lines["key (hex)"].strip())) == 20
    assert bytes.fromhex(lines["key (hex)"].strip()).decode() == lines["key (text)"].strip()
    plain = arthexis("stations", "add", "CP-2", "--no-key")
    assert "none: it connects without one" in plain.out


async def test_a_refused_station_is_listed_and_may_be_approved(arthexis: Any) -> None:
    arthexis.start()
    with pytest.raises(WSServerHandshakeError) as refused:
        async with wire(arthexis.station_url("CP-1")):
            pass
    assert refused.value.status == 401
    [waiting] = arthexis("stations", "pending", "--json").json
    assert (waiting["identity"], waiting["tries"]) == ("CP-1", 1)
    assert waiting["reason"]
    key = arthexis("stations", "approve", "CP-1", "--json").json["key"]
    async with wire(arthexis.station_url("CP-1"), headers={"Authorization": encode_basic_auth("CP-1", key)}) as cp:
        assert (await cp.boot())["status"] == "Accepted"


async def test_admit_pending_lets_it_wait_and_approval_is_on_the_spot(arthexis: Any) -> None:
    arthexis.start("--admit-pending", "5")
    async with wire(arthexis.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Pending"
        assert arthexis("stations", "approve", "CP-1", "--no-key").status == 0
        assert (await cp.boot())["status"] == "Accepted"


def test_stop_without_a_node_says_so(arthexis: Any) -> None:
    assert arthexis("stop").out == "No node is running here.\n"
    assert arthexis("stop", "--json").json == {"stopped": False, "running": False}


def test_stop_waits_until_the_node_has_stopped(arthexis: Any) -> None:
    process = arthexis.start("--open")
    assert arthexis("stop", "--json").json == {"stopped": True, "running": False}
    assert process.wait(2) == 0
    assert arthexis.control() is None


def test_restart_keeps_the_options_and_the_process(arthexis: Any) -> None:
    process = arthexis.start("--open", "--strict")
    before = arthexis.control()
    assert arthexis("config", "set", "log.level", "error").status == 0
    done = arthexis("restart", "--json")
    assert done.status == 0, done.err
    assert done.json["restarted"] is True
    after = arthexis.control()
    assert (after["pid"], after["token"] != before["token"]) == (process.pid, True)
    assert arthexis("status", "--json").json["open"] is True
    assert arthexis("restart", "--port", "0").status == 0
    assert arthexis("status", "--json").json["open"] is False
    assert arthexis("stop").status == 0
    assert process.wait(5) == 0


def test_a_plain_restart_ends_safe_mode_and_keeps_the_other_options(arthexis: Any) -> None:
    process = arthexis.start("--open")
    assert arthexis("restart", "--safe-mode").status == 0
    held = {plugin["name"]: plugin for plugin in arthexis("plugins", "list", "--json").json}["ocpp16.heartbeat"]
    assert (held["state"], held["reason"], held["cure"]) == ("found", "safe mode", "Run: arthexis restart")
    assert "End it with: arthexis restart" in arthexis("status").out
    assert arthexis("restart").status == 0
    status = arthexis("status", "--json").json
    assert (status["recovery"], status["open"]) == ([], True)
    assert arthexis("stop").status == 0
    assert process.wait(5) == 0


def test_config_explain_tells_each_setting_of_a_section(arthexis: Any) -> None:
    told = arthexis("config", "explain", "http", "--json").json
    assert (told["section"], told["settings"][0]) == ("http", arthexis("config", "explain", "http.host", "--json").json)
    assert "http.port" in arthexis("config", "explain", "http").out


def test_a_command_of_a_plugin_that_is_off_says_how_to_turn_it_on(arthexis: Any) -> None:
    on = "arthexis-notify:notify"
    refused = arthexis("notify", "status", "--json")
    assert refused.error["problem"] == "there is no command notify: it is installed and not turned on"
    assert refused.error["cure"] == f"Run: arthexis plugins enable {on}"
    arthexis.start("--open")
    assert arthexis("plugins", "enable", on).status == 0
    assert "arthexis-wifi-ap:wifi_ap" in arthexis("wifi", "status", "--json").error["cure"]
    too_early = arthexis("notify", "status", "--json")
    assert too_early.error["problem"] == "the running node does not have this"
    assert "arthexis restart" in too_early.error["cure"]


def test_restart_stops_nothing_if_the_node_could_not_be_put_together_again(arthexis: Any) -> None:
    process = arthexis.start("--open")
    arthexis.write("[http]\nport = 'x'\n")
    refused = arthexis("restart", "--json")
    assert (refused.status, refused.error["code"]) == (3, "config")
    assert process.poll() is None
    assert arthexis("status", "--json").json["running"] is True


def test_a_second_node_on_the_folder_is_refused(arthexis: Any) -> None:
    arthexis.start("--open")
    ended = sound(arthexis("start", "--port", "0", "--json".replace("--json", "--open")))
    assert ended.status == 7
    assert "another node runs on this data folder" in ended.err


def test_a_port_in_use_is_said_with_the_cure(arthexis: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = sound(arthexis("start", "--port", str(taken.getsockname()[1])))
    assert ended.status == 6
    assert "cannot listen on 127.0.0.1" in ended.err
    assert "--port" in ended.err


def test_open_mode_is_refused_beyond_loopback_and_behind_a_proxy(arthexis: Any) -> None:
    ended = sound(arthexis("start", "--open", "--host", "0.0.0.0", "--port", "0"))
    assert ended.status == 7
    assert "open mode is for this machine only" in ended.err
    arthexis.write("[http]\ntrusted_proxies = ['127.0.0.1']\n")
    assert sound(arthexis("start", "--open", "--port", "0")).status == 7


@pytest.mark.parametrize("home", ["/proc/1/arthexis", "/dev/null/arthexis"])
@pytest.mark.parametrize("words", [("status",), ("start", "--port", "0"), ("stop",), ("stations", "list")])
def test_a_folder_that_cannot_be_used_is_no_traceback(arthexis: Any, home: str, words: tuple[str, ...]) -> None:
    ended = sound(arthexis(*words, env={"ARTHEXIS_HOME": home}))
    assert ended.status in {0, 3, 6}
    assert ended.status == 0 or home.rpartition("/")[0] in ended.err


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"url": 5}', b"[]"])
def test_a_corrupted_control_file_of_a_running_node_is_said(arthexis: Any, content: bytes) -> None:
    process = arthexis.start("--open")
    (arthexis.home / "control.json").write_bytes(content)
    ended = sound(arthexis("status", "--json"))
    assert (ended.status, ended.error["code"]) == (6, "unavailable")
    assert ended.error["place"] == str(arthexis.home / "control.json")
    process.terminate()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_node_that_hangs_is_said_with_its_process(arthexis: Any) -> None:
    process = arthexis.start("--open")
    process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        ended = sound(arthexis("status", "--json"))
        assert (ended.status, ended.error["code"]) == (6, "unavailable")
        assert f"end process {process.pid}" in ended.error["cure"]
        assert time.monotonic() - began < 15
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_pipe_that_closes_is_no_traceback(on_stored: Any) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "arthexis", "config", "schema"],
        env=on_stored.env,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_database_that_cannot_be_opened_is_said(arthexis: Any) -> None:
    arthexis.write("[database]\nurl = 'sqlite:////nowhere/at/all.db'\n")
    ended = sound(arthexis("status", "--json"))
    assert (ended.status, ended.error["code"]) == (6, "unavailable")
    arthexis.write("[database]\nurl = 'oracle://scott:tiger@h/d'\n")
    ended = sound(arthexis("start", "--json".replace("--json", "--open")))
    assert ended.status == 3
    assert "arthexis.toml:2: database.url" in ended.err
    assert "tiger" not in ended.err


def test_help_is_quick_because_it_imports_little(arthexis: Any) -> None:
    for words in (["--help"], ["stations", "--help"], ["start", "--help"], ["--version"]):
        code = (
            "import sys, json\nsys.argv = ['arthexis', *json.loads(sys.argv[1])]\nfrom arthexis.cli.main import main\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "heavy = ('sqlalchemy', 'aiohttp', 'alembic', 'arthexis_ocpp16', 'stevedore')\n"
            "print([m for m in heavy if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(words)],
            env=arthexis.env,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "[]", words


def test_exit_statuses_and_codes_stay_what_they_are() -> None:
    from arthexis import errors

    kinds = ("ArthexisError", "ConfigError", "PluginError", "DomainError", "NotFound", "Unavailable", "Refused")
    assert [(getattr(errors, kind).code, getattr(errors, kind).exit_status) for kind in kinds] == [
        ("error", 1),
        ("config", 3),
        ("plugin", 4),
        ("refused", 5),
        ("not-found", 5),
        ("unavailable", 6),
        ("forbidden", 7),
    ]


def test_enabling_and_disabling_leave_a_tidy_file(arthexis: Any) -> None:
    arthexis.write("# mine\n")
    for _ in range(2):
        assert arthexis("plugins", "disable", "ocpp16.heartbeat", "--json").json["disable"] == [
            "arthexis-ocpp16:ocpp16.heartbeat"
        ]
    assert arthexis.file.read_text().startswith("# mine\n")
    states = {row["name"]: row["state"] for row in arthexis("plugins", "list", "--json").json}
    assert states["ocpp16.heartbeat"] == "off"
    assert arthexis("plugins", "enable", "ocpp16.heartbeat", "--json").json == {
        "enable": [],
        "disable": [],
        "file": str(arthexis.file),
        "effective": "at the next start",
    }


def test_every_command_has_help(arthexis: Any) -> None:
    from arthexis.cli.main import COMMANDS, main

    for name in COMMANDS:
        told = CliRunner().invoke(main, [name, "--help"])
        assert told.exit_code == 0, name
        assert "Usage: " in told.output
