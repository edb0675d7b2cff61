"""The display of a node: sessions, messages and notifications, over real sockets, on the virtual bus."""

from __future__ import annotations

import asyncio
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from arthexis_lcd import board, command
from click.testing import CliRunner

from arthexis import Invalid, Notification, Notifier, Unavailable
from arthexis.testing import FrozenClock, Node, Wire, node, wire

PLUGINS = ("arthexis-ocpp16:*", "arthexis-lcd:*")
VIRTUAL = {"plugins": {"lcd": {"bus": "virtual", "name": "garage"}}}
pytestmark = [pytest.mark.plugins(*PLUGINS), pytest.mark.node(config=VIRTUAL)]
START = {"connectorId": 2, "idTag": "TAG", "meterStart": 1000, "timestamp": "2026-11-24T12:00:00Z"}


async def state(host: Node) -> dict[str, Any]:
    async with ClientSession() as http, http.get(f"{host.url}/api/v1/lcd") as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


async def lines(host: Node) -> list[str]:
    return [line.rstrip() for line in (await state(host))["lines"]]


async def until(host: Node, holds: Callable[[list[str]], Any], seconds: float = 5.0) -> list[str]:
    """Wait until the display is so; what it shows then."""
    ends = asyncio.get_running_loop().time() + seconds
    while not holds(shown := await lines(host)):
        assert asyncio.get_running_loop().time() < ends, f"the display still shows {shown}"
        await asyncio.sleep(0.03)
    return shown


async def say(host: Node, text: str, **more: Any) -> tuple[int, Any]:
    async with (
        ClientSession() as http,
        http.post(f"{host.url}/api/v1/lcd/messages", json={"text": text, **more}) as answer,
    ):
        return answer.status, await answer.json()


async def metered(station: Wire, transaction: int, value: str, unit: str = "Wh") -> None:
    sample = {"value": value, "unit": unit, "measurand": "Energy.Active.Import.Register"}
    reading = {"timestamp": "2026-11-24T12:05:00Z", "sampledValue": [sample]}
    await station.result("MeterValues", {"connectorId": 2, "transactionId": transaction, "meterValue": [reading]})


async def test_an_idle_display_shows_name_time_sessions_and_stations(host: Node, clock: FrozenClock) -> None:
    await until(host, lambda shown: shown == ["garage     12:00", "0 open, 0 online"])
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        await until(host, lambda shown: shown[1] == "0 open, 1 online")
        clock.advance(61)
        await until(host, lambda shown: shown[0] == "garage     12:01")
    assert (await state(host))["lane"] == "clock"


async def test_a_session_is_shown_while_it_runs_and_what_it_came_to(
    host: Node, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "READ_EVERY_S", 0.1)
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        number = (await station.result("StartTransaction", START))["transactionId"]
        await until(host, lambda shown: shown == ["CP-1 #2", "0.00 kWh 0 min"])
        await metered(station, number, "4.56", "kWh")
        clock.advance(300)
        await until(host, lambda shown: shown == ["CP-1 #2", "3.56 kWh 5 min"])
        stop = {"transactionId": number, "meterStop": 6789, "timestamp": "2026-11-24T12:05:00Z"}
        await station.result("StopTransaction", stop)
        await until(host, lambda shown: shown == ["CP-1 #2 ended", "5.79 kWh 5 min"])
        clock.advance(16)
        await until(host, lambda shown: shown[1] == "0 open, 1 online")


async def test_meters_that_make_no_sense_are_not_shown(
    host: Node, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "READ_EVERY_S", 0.1)
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        number = (await station.result("StartTransaction", START))["transactionId"]
        await metered(station, number, "3")
        await until(host, lambda shown: shown == ["CP-1 #2", "0 min"])


async def test_sessions_that_run_at_the_start_are_shown(tmp_path: Path) -> None:
    async with node(tmp_path, plugins=PLUGINS, config=VIRTUAL) as running, wire(running.station_url("CP-1")) as station:
        await station.boot()
        await station.result("StartTransaction", START)
    async with node(tmp_path, plugins=PLUGINS, config=VIRTUAL) as running:
        await until(running, lambda shown: shown[0] == "CP-1 #2")


async def test_a_message_is_shown_and_expires_and_an_alarm_comes_before_it(host: Node, clock: FrozenClock) -> None:
    status, said = await say(host, "Nabíjení běží už hodinu", for_s=30)
    assert (status, said["for_s"], said["priority"]) == (202, 30, "event")
    await until(host, lambda shown: shown == ["Nabíjení běží už", "hodinu"])
    await say(host, "Emergency stop", title="CP-1", priority="alarm", for_s=10)
    await until(host, lambda shown: shown == ["CP-1", "Emergency stop"])
    clock.advance(11)
    await until(host, lambda shown: shown == ["Nabíjení běží už", "hodinu"])
    clock.advance(20)
    await until(host, lambda shown: shown[0].startswith("garage"))


async def test_what_is_said_while_an_alarm_stands_says_that_it_waits_and_has_its_turn(
    host: Node, clock: FrozenClock
) -> None:
    _, alarm = await say(host, "Emergency stop", title="CP-1", priority="alarm", for_s=300)
    assert alarm["waits_behind"] is None
    await until(host, lambda shown: shown == ["CP-1", "Emergency stop"])
    _, said = await say(host, "*FE02 waits for release", title="Unknown card", for_s=10)
    assert said["waits_behind"] == "alarm"
    assert command.told(said) == (
        "Waits for its turn behind an alarm as event, for 10 s at most: *FE02 waits for release"
    )
    clock.advance(3.1)
    await until(host, lambda shown: shown[0] == "Unknown card")


@pytest.mark.parametrize("text", ["", " "])
def test_nothing_is_not_said(text: str) -> None:
    result = CliRunner().invoke(command.say, [text])
    assert isinstance(result.exception, Invalid)
    assert result.exception.problem == "there is nothing to show"


async def test_what_has_the_same_key_is_replaced_and_what_is_the_same_is_shown_once(host: Node) -> None:
    await say(host, "one", key="door", for_s=60)
    await say(host, "two", key="door", for_s=60)
    await say(host, "three", for_s=60)
    await say(host, "three", for_s=90)
    told = [(message["text"], round(message["for_s"])) for message in (await state(host))["messages"]]
    assert told == [("two", 60), ("three", 90)]


async def test_what_is_said_is_bounded(host: Node) -> None:
    for number in range(60):
        await say(host, f"number {number}", for_s=600)
    kept = [message["text"] for message in (await state(host))["messages"]]
    assert len(kept) == board.MOST_MESSAGES
    assert kept[-1] == "number 59"


@pytest.mark.parametrize(
    "wish",
    [
        {"text": ""},
        {"text": " \n"},
        {"text": "x" * 501},
        {"text": "x", "for_s": 0},
        {"text": "x", "priority": "loud"},
        {},
    ],
)
async def test_what_cannot_be_said_is_refused(host: Node, wish: dict[str, Any]) -> None:
    async with ClientSession() as http, http.post(f"{host.url}/api/v1/lcd/messages", json=wish) as answer:
        assert answer.status in {400, 422}, await answer.text()


def notifier(host: Node) -> tuple[Any, Notifier]:
    return next((p, n) for p, n in host.host.composition.of_kind(Notifier) if n.name == "lcd")


async def test_a_notification_is_shown_in_its_lane_for_its_time(host: Node, clock: FrozenClock) -> None:
    plugin, lcd = notifier(host)
    ctx = host.host.context(plugin)
    told = Notification("Ground failure", title="CP-1 #2", priority="alarm", lifetime_s=20, at=clock.now())
    await ctx.call(plugin, lcd.handler, told)
    await until(host, lambda shown: shown == ["CP-1 #2", "Ground failure"])
    assert (await state(host))["lane"] == "alarm"
    clock.advance(21)
    await until(host, lambda shown: shown[0].startswith("garage"))


async def test_what_to_type_where_is_left_out_of_what_an_event_led_to(host: Node, clock: FrozenClock) -> None:
    plugin, lcd = notifier(host)
    text = "Plugin wifi_ap is unavailable: version 1.6 is not there. Install it: sudo apt install network-manager"
    for kind in ("plugin.changed", ""):
        told = Notification(text, kind=kind, lifetime_s=60, at=clock.now())
        await host.host.context(plugin).call(plugin, lcd.handler, told)
    shown = [message["text"] for message in (await state(host))["messages"]]
    assert shown == ["Plugin wifi_ap is unavailable: version 1.6 is not there", text]


@pytest.mark.plugins("arthexis-notify:notify")
async def test_a_fault_is_shown_as_the_house_s_rules_have_it_and_that_it_is_over(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        fault = {"connectorId": 2, "errorCode": "GroundFailure", "status": "Faulted"}
        await station.result("StatusNotification", fault)
        await until(host, lambda shown: shown[0] == "CP-1 has a fault")
        await until_said(host, "CP-1, connector 2: GroundFailure")
        assert (await state(host))["lane"] == "alarm"
        await station.result("StatusNotification", {**fault, "errorCode": "NoError", "status": "Available"})
        await until_said(host, "CP-1, connector 2 is Available again")


async def until_said(host: Node, text: str) -> None:
    """Wait until this, and no older word of the same matter, is among what was said."""
    async with asyncio.timeout(5):
        while [message["text"] for message in (await state(host))["messages"]] != [text]:
            await asyncio.sleep(0.03)


async def test_a_notification_that_is_over_is_not_shown(host: Node, clock: FrozenClock) -> None:
    plugin, lcd = notifier(host)
    late = Notification("late", lifetime_s=20, at=clock.now() - timedelta(seconds=30))
    await host.host.context(plugin).call(plugin, lcd.handler, late)
    assert (await state(host))["messages"] == []


async def test_the_picture_holds_the_text_and_its_dots(host: Node) -> None:
    await say(host, "É<&>", for_s=60)
    await until(host, lambda shown: shown[0] == "É<&>")
    async with ClientSession() as http, http.get(f"{host.url}/api/v1/lcd/picture") as answer:
        assert answer.content_type == "image/svg+xml"
        drawn = ET.fromstring(await answer.text())
    assert (drawn.find("{*}title").text or "").splitlines()[0] == "É<&>"  # type: ignore[union-attr]
    dots = [len(re.findall("M", path.get("d", ""))) for path in drawn.findall("{*}path")]
    assert sum(dots) == 16 * 2 * 5 * 8
    assert 40 < dots[1] < 60, "four characters are lit"


@asynccontextmanager
async def on(tmp_path: Path, **settings: Any) -> AsyncIterator[Node]:
    async with node(tmp_path, plugins=PLUGINS, config={"plugins": {"lcd": settings}}) as running:
        yield running


async def test_a_missing_bus_is_named_with_its_cure_and_the_node_charges(tmp_path: Path) -> None:
    async with on(tmp_path, bus=97) as running:
        plugin = running.plugin("lcd")
        assert (plugin.state, plugin.reason) == ("unavailable", "there is no bus /dev/i2c-97")
        assert "sudo raspi-config nonint do_i2c 0" in plugin.cure
        async with wire(running.station_url("CP-1")) as station:
            await station.boot()
            assert (await station.result("StartTransaction", START))["transactionId"]
        status, problem = await say(running, "Hello")
        assert (status, problem["code"], problem["detail"]) == (503, "unavailable", "there is no bus /dev/i2c-97")


async def test_a_file_that_is_no_bus_is_named(tmp_path: Path) -> None:
    path = tmp_path / "i2c-1"
    path.write_bytes(b"")
    async with on(tmp_path / "node", bus=str(path)) as running:
        assert running.plugin("lcd").reason == f"{path} is no I2C bus"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bus": "i2c"}, "bus is a number"),
        ({"bus": -1}, "0 or more"),
        ({"address": 0x80}, "address"),
        ({"columns": 8}, "columns"),
        ({"zone": "Mars/Olympus"}, "no time zone"),
        ({"colour": "blue"}, "colour"),
    ],
)
async def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    async with on(tmp_path, **settings) as running:
        plugin = running.plugin("lcd")
        assert plugin.state == "failed"
        assert said in plugin.reason
        running.excuse("lcd")


async def test_four_rows_and_a_clock_of_another_place(tmp_path: Path, clock: FrozenClock) -> None:
    config = {"plugins": {"lcd": {"bus": "virtual", "columns": 20, "rows": 4, "name": "x", "zone": "Europe/Prague"}}}
    async with node(tmp_path, plugins=PLUGINS, config=config, clock=clock) as running:
        shown = await until(running, lambda shown: shown[0].endswith("13:00"))
        assert len(shown) == 4
        await say(running, "A charging station in the garage is out of order")
        await until(running, lambda shown: shown == ["A charging station", "in the garage is out", "of order", ""])


async def test_the_thread_ends_with_the_node(tmp_path: Path) -> None:
    async with on(tmp_path, bus="virtual"):
        assert "arthexis-lcd" in {thread.name for thread in threading.enumerate()}
    assert "arthexis-lcd" not in {thread.name for thread in threading.enumerate()}


async def test_a_start_that_is_given_up_lets_the_bus_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(board.Board, "_read_if_possible", never)
    config = {"node": {"plugin_timeout_s": 0.5}, "plugins": {"lcd": {"bus": "virtual"}}}
    async with node(tmp_path, plugins=PLUGINS, config=config) as running:
        assert "no start within 0.5 s" in running.plugin("lcd").reason
        running.excuse("lcd")
        async with asyncio.timeout(5):
            while "arthexis-lcd" in {thread.name for thread in threading.enumerate()}:
                await asyncio.sleep(0.02)


async def test_a_bus_that_hangs_is_not_opened_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, tries = threading.Event(), []

    def connect(_: Any) -> Any:
        tries.append(threading.current_thread())
        hangs.wait(30)
        raise Unavailable("nothing answers")

    monkeypatch.setattr(board.Board, "_connect", connect)
    monkeypatch.setattr(board, "FIRST_LOOK_S", 0.1)
    monkeypatch.setattr(board, "FAREWELL_S", 0.1)
    async with on(tmp_path, bus="virtual") as running:
        ctx = running.host.context(running.plugin("lcd"))
        for _ in range(3):
            with pytest.raises(Unavailable, match="the bus hangs"):
                await board.Board(ctx).open()
        assert len(tries) == 1
        hangs.set()
        with pytest.raises(Unavailable, match="nothing answers"):
            await board.Board(ctx).open()
    for thread in tries:
        thread.join(5)
