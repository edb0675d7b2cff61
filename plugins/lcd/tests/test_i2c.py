"""A node on a bus that the kernel seems to have: smbus2's own ioctls, a display read byte by byte, real commands."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arthexis.testing import wire
from tests.node_process import NodeProcess, node_process

CONFIG = "[node]\nrole = 'bare'\nenable = ['arthexis-ocpp16:*', 'arthexis-lcd:*']\n[plugins.lcd]\nname = 'garage'\n"
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0}
IDLE = "0 open, 0 online"


@pytest.fixture
def running(bus: Any, tmp_path: Path) -> Iterator[NodeProcess]:
    """A node with the display of the bus, once it shows its first page."""
    with node_process(tmp_path, "--open", config=CONFIG) as node:
        bus.until(lambda shown: shown[1] == IDLE)
        yield node


def plugin(node: NodeProcess) -> dict[str, Any]:
    return next(row for row in node.ask("plugins", "list") if row["name"] == "lcd")


def until_state(node: NodeProcess, state: str, seconds: float = 15.0) -> dict[str, Any]:
    """Wait until the display is well, or is not; the plugin as the commands list it then."""
    ends = time.monotonic() + seconds
    while (problem(node) is None) is not (state == "active"):
        assert time.monotonic() < ends, problem(node)
        time.sleep(0.1)
    time.sleep(0.2)  # the state follows within a tenth of a second
    found = plugin(node)
    assert found["state"] == state
    return found


def problem(node: NodeProcess) -> str | None:
    """What is wrong with the display, as the API has it."""
    url = f"http://127.0.0.1:{node.port}/api/v1/lcd"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["problem"]
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)["detail"]


def python(code: str, *words: str) -> str:
    """What a program of the plugin prints that sees the bus."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


DRAW = """
import sys
from arthexis_lcd import i2c
from arthexis_lcd.display import Display
line = i2c.reach(1, None)
display = Display(line, int(sys.argv[1]), int(sys.argv[2]))
display.begin()
display.draw(sys.argv[3:])
print(hex(line.address))
"""
REACH = """
import os, sys
from arthexis import Unavailable
from arthexis_lcd import i2c
import smbus2
if len(sys.argv) > 2:
    os.seteuid(int(sys.argv[2]))
try:
    i2c.reach(int(sys.argv[1]) if sys.argv[1].isdecimal() else sys.argv[1], None)
except Unavailable as trouble:
    print(trouble.problem, "|", trouble.cure)
"""


def test_the_driver_speaks_smbus2_s_ioctls_one_message_for_each_transfer(bus: Any) -> None:
    assert python(DRAW, "16", "2", "Énergie ñandú ü°", "žádný problém") == "0x27"
    seen = bus("see")
    assert [line.rstrip() for line in seen["lines"]] == ["Énergie ñandú ü°", "žádný problém"]
    assert seen["complaints"] == []
    assert "smbus" not in seen["ioctls"]
    assert seen["ioctls"]["rdwr"] == seen["transfers"] + 1, "and one to look whether it is there"


def test_an_adapter_that_only_knows_smbus_gets_the_bytes_one_by_one(bus: Any) -> None:
    bus("smbus-only")
    assert python(DRAW, "16", "2", "Énergie", "kůň") == "0x27"
    seen = bus("see")
    assert [line.rstrip() for line in seen["lines"]] == ["Énergie", "kůň"]
    assert seen["complaints"] == []
    assert seen["ioctls"]["smbus"] >= seen["bytes"]
    assert "rdwr" not in seen["ioctls"]


def test_a_display_of_four_rows(bus: Any) -> None:
    bus("size 20 4")
    rows = ["first row", "second row", "third row, žluťoučká", "fourth"]
    python(DRAW, "20", "4", *rows)
    assert bus.lines == rows


def test_the_other_usual_address_is_found(bus: Any) -> None:
    bus("address 3f")
    assert python(DRAW, "16", "2", "Hello") == "0x3f"
    assert bus.lines[0] == "Hello"


def test_an_address_where_nothing_is_sold_is_found_by_probing_only(bus: Any, tmp_path: Path) -> None:
    bus("address 20")
    told = python(REACH, "1")
    assert told.startswith("no display answers on /dev/i2c-1 at 0x27 or 0x3f |")
    assert "arthexis lcd probe" in told
    node = NodeProcess(tmp_path, config=CONFIG)
    assert node.ask("lcd", "probe") == [{"bus": "/dev/i2c-1", "addresses": ["0x20"], "problem": None, "cure": None}]


def test_a_bus_that_is_missing_is_named_with_those_there_are(bus: Any) -> None:
    told = python(REACH, "7")
    assert told.startswith("there is no bus /dev/i2c-7 | There is /dev/i2c-1: set plugins.lcd.bus, or enable I2C: ")
    assert "sudo raspi-config nonint do_i2c 0" in told


@pytest.mark.parametrize(
    ("error", "said", "cure"),
    [("ETIMEDOUT", "the bus is held low", "SDA and SCL"), ("EIO", "no display answers", "four wires")],
)
def test_a_bus_that_fails_is_told_from_one_where_nothing_is(bus: Any, error: str, said: str, cure: str) -> None:
    bus(f"fail-with {error}")
    told = python(REACH, "1")
    assert told.startswith(said)
    assert cure in told


WITHOUT_I2C = """
import asyncio, sys
from arthexis import Event, Host, Unavailable
sys.modules["fcntl"] = sys.modules["smbus2"] = None
from arthexis_lcd import board, command, i2c, plugin, virtual
sys.platform = "win32"
try:
    i2c.reach(1, None)
except Unavailable as trouble:
    print(trouble)
"""


def test_a_system_without_i2c_imports_everything_and_is_told_of_the_virtual_display() -> None:
    told = python(WITHOUT_I2C)
    assert "needs an I2C bus as Linux has it, and this is win32" in told
    assert 'Set plugins.lcd.bus to "virtual"' in told


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user for once")
def test_a_user_who_may_not_open_the_bus_is_told_of_the_group(tmp_path: Path) -> None:
    device = tmp_path / "i2c-1"
    device.touch(0o600)
    told = python(REACH, str(device), "65534")
    assert told.startswith(f"this user may not open {device} | Run: sudo usermod -aG i2c $USER")


def test_a_node_without_a_bus_says_so_and_takes_it_when_it_is_there(bus: Any, tmp_path: Path) -> None:
    bus("unplug")
    with node_process(tmp_path, "--open", config=CONFIG) as node:
        found = plugin(node)
        assert (found["state"], found["reason"]) == (
            "unavailable",
            "no display answers on /dev/i2c-1 at 0x27 or 0x3f",
        )
        assert "wires" in found["cure"]
        failed = node.command("lcd", "show", check=False)
        assert failed.returncode == 6
        assert "no display answers" in failed.stderr
        bus("plug")
        bus.until(lambda shown: shown[1] == IDLE, seconds=15)
        assert until_state(node, "active")["reason"] == ""


async def test_a_session_messages_and_goodbye_are_read_on_the_display(running: NodeProcess, bus: Any) -> None:
    async with wire(f"{running.url}/CP-1") as station:
        await station.boot()
        await asyncio.to_thread(bus.until, lambda shown: shown[1] == "0 open, 1 online")
        # Now: the minutes of an older session would take a digit's place.
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        number = (await station.result("StartTransaction", {**START, "timestamp": now}))["transactionId"]
        await asyncio.to_thread(bus.until, lambda shown: shown[0] == "CP-1 #1")
        sample = {"timestamp": now, "sampledValue": [{"value": "2500"}]}
        await station.result("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]})
        await asyncio.to_thread(bus.until, lambda shown: shown[1].startswith("2.50 kWh"))
        said = await asyncio.to_thread(running.ask, "lcd", "say", "Dveře otevřeny", "--for", "4s")
        assert (said["priority"], round(said["for_s"])) == ("event", 4)
        await asyncio.to_thread(bus.until, lambda shown: shown == ["Dveře otevřeny", ""])
        alarm = ("lcd", "say", "Emergency stop", "--for", "2s", "--priority", "alarm", "--title", "CP-1")
        await asyncio.to_thread(running.command, *alarm)
        await asyncio.to_thread(bus.until, lambda shown: shown == ["CP-1", "Emergency stop"])
        await asyncio.to_thread(bus.until, lambda shown: shown[0] == "CP-1 #1")
    assert running.stop() == 0
    assert bus.lines == ["    Goodbye", ""]
    assert bus("see")["complaints"] == []
    assert spoken(bytes.fromhex(bus("stream"))).rstrip().endswith("Goodbye")


def spoken(stream: bytes) -> str:
    """What was written as text, in the order of the bytes: pairs of nibbles that E took while RS was high."""
    taken = [(at >> 4, at & 1) for at, after in itertools.pairwise(stream) if at & 4 and not after & 4]
    start = next(n for n in range(len(taken)) if [value for value, _ in taken[n : n + 4]] == [3, 3, 3, 2]) + 4
    pairs = zip(taken[start::2], taken[start + 1 :: 2], strict=False)
    return "".join(chr(high << 4 | low) for (high, rs), (low, _) in pairs if rs)


def test_the_terminal_shows_what_stands_on_the_display(running: NodeProcess, bus: Any) -> None:
    running.command("lcd", "say", "Přenos běží", "--for", "1m")
    bus.until(lambda shown: shown[0] == "Přenos běží")
    drawn = running.command("lcd", "show").stdout.splitlines()
    width = len(drawn[0])
    assert width == 18
    assert [len(line) for line in drawn] == [width] * 4
    assert [line[1:-1].rstrip() for line in drawn[1:3]] == bus.lines
    assert running.ask("lcd", "show")["lane"] == "event"
    assert running.ask("lcd", "probe")[0]["addresses"] == ["0x27"]
    assert running.command("lcd", "say", "x", "--for", "soon", check=False).returncode == 2


def test_following_the_display_prints_it_when_it_changes_and_ends_at_ctrl_c(running: NodeProcess, bus: Any) -> None:
    command = [sys.executable, "-m", "arthexis", "lcd", "show", "--follow"]
    with subprocess.Popen(command, env=running.environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        first = [following.stdout.readline() for _ in range(4)]
        assert IDLE in first[2]
        running.command("lcd", "say", "Přenos běží", "--for", "1m")
        assert "Přenos běží" in "".join(following.stdout.readline() for _ in range(4))
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 0


def test_what_is_unplugged_is_said_and_drawn_anew_when_it_is_back(running: NodeProcess, bus: Any) -> None:
    bus("unplug")
    found = until_state(running, "unavailable")
    assert found["reason"].startswith(("the display does not answer any more", "no display answers"))
    assert "This is what would stand there" in running.command("lcd", "show").stdout
    bus("plug")
    bus.until(lambda shown: shown[1] == IDLE)
    until_state(running, "active")
    assert bus("see")["complaints"] == []


def test_a_refusal_in_the_middle_of_a_transfer_is_made_good(running: NodeProcess, bus: Any) -> None:
    bus("refuse-after 30")
    running.command("lcd", "say", "0123456789abcdef", "--title", "Énergie", "--for", "1m")
    bus.until(lambda shown: shown == ["Énergie", "0123456789abcdef"])
    until_state(running, "active")


def test_a_bus_that_hangs_stops_neither_the_node_nor_its_end(running: NodeProcess, bus: Any) -> None:
    bus("hang on")
    running.command("lcd", "say", "never shown", "--for", "1m")
    found = until_state(running, "unavailable")
    assert found["reason"] == "the bus hangs: a call into it does not come back"
    assert json.loads(running.command("status", "--json").stdout)["role"] == "bare"
    begun = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - begun < 8


def test_without_a_node_saying_something_says_how_to_start_one(tmp_path: Path) -> None:
    done = NodeProcess(tmp_path, config=CONFIG).command("lcd", "say", "Hello", check=False)
    assert done.returncode == 6
    assert "no node is running" in done.stderr
    assert "arthexis start" in done.stderr
