"""The plugin in a node: on machines without NetworkManager it waits and says so; it prints what root must install."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from arthexis_wifi_ap import guests, installing, network_manager, tables
from arthexis_wifi_ap.command import wifi
from click.testing import CliRunner

from arthexis import Invalid
from arthexis.plugins.states import State
from arthexis.testing import FrozenClock, Node, node

PLUGIN = "arthexis-wifi-ap:wifi_ap"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="NetworkManager is Linux's")


async def plan_of(host: Node) -> tuple[int, dict[str, Any]]:
    async with ClientSession() as session, session.get(f"{host.url}/api/v1/wifi/plan") as answer:
        return answer.status, dict(await answer.json())


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A D-Bus of its own, as the system bus, with nobody on it."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("dbus-daemon is not installed (apt install dbus)")
    path = tmp_path / "bus"
    (tmp_path / "bus.conf").write_text(BUS.format(path=path), "utf-8")
    command = [daemon, "--nofork", f"--config-file={tmp_path / 'bus.conf'}", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", process.stdout.readline().strip())
        yield str(path)
        process.terminate()


@linux
async def test_without_a_system_bus_the_plugin_waits_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    async with node(tmp_path / "node", plugins=[PLUGIN]) as host:
        plugin = host.plugin("wifi_ap")
        assert plugin.state is State.UNAVAILABLE
        assert "no system bus" in plugin.reason
        assert "apt install network-manager" in plugin.cure
        status, told = await plan_of(host)
        assert (status, told["code"]) == (503, "unavailable")
        assert "no system bus" in told["detail"]


@linux
async def test_with_a_bus_and_no_network_manager_it_says_that(tmp_path: Path, bus: str) -> None:
    async with node(tmp_path / "node", plugins=[PLUGIN]) as host:
        assert host.plugin("wifi_ap").reason == "NetworkManager is not running"
        assert "systemctl enable --now NetworkManager" in host.plugin("wifi_ap").cure


@linux
async def test_a_bus_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_manager, "CONNECT_S", 0.3)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/silent")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent")
        silent.listen()
        async with node(tmp_path / "node", plugins=[PLUGIN]) as host:
            assert host.plugin("wifi_ap").reason == "the system bus does not answer"


async def test_where_there_is_no_dbus_library_it_says_that_only_linux_has_access_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("dbus_fast")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dbus_fast", None)
    async with node(tmp_path / "node", plugins=[PLUGIN]) as host:
        assert host.plugin("wifi_ap").state is State.UNAVAILABLE
        assert "only Linux" in host.plugin("wifi_ap").reason


def test_the_plugin_is_imported_without_any_dbus_library() -> None:
    code = (
        "import sys; sys.modules['dbus_fast'] = None; sys.modules['fcntl'] = None\n"
        "import arthexis_wifi_ap.plugin, arthexis_wifi_ap.command, arthexis_wifi_ap.access_point"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest_asyncio.fixture
async def double(bus: str) -> AsyncIterator[Any]:
    """A NetworkManager of two devices that speaks real D-Bus: a cable with the uplink, and a radio of the test."""
    if sys.platform != "linux":
        pytest.skip("NetworkManager is Linux's")
    from dbus_fast import BusType, Message, MessageType, Variant
    from dbus_fast.aio import MessageBus

    name, root = network_manager.NM, network_manager.ROOT

    class Double:
        radio_on = True
        capabilities = 0x40

        def objects(self) -> dict[str, Any]:
            cable = {"Interface": Variant("s", "eth0"), "DeviceType": Variant("u", 1), "State": Variant("u", 100)}
            radio = {"Interface": Variant("s", "wlan0"), "DeviceType": Variant("u", 2), "State": Variant("u", 30)}
            able = {"WirelessCapabilities": Variant("u", self.capabilities)}
            main = {"WirelessEnabled": Variant("b", self.radio_on), "PrimaryConnection": Variant("o", "/a/1")}
            return {
                root: {name: main},
                "/a/1": {f"{name}.Connection.Active": {"Devices": Variant("ao", ["/d/1"])}},
                "/d/1": {f"{name}.Device": {**cable, "Managed": Variant("b", True)}},
                "/d/2": {
                    f"{name}.Device": {**radio, "Managed": Variant("b", True)},
                    f"{name}.Device.Wireless": able,
                },
            }

        def answer(self, message: Message) -> Message | None:
            if message.message_type is not MessageType.METHOD_CALL or message.destination != name:
                return None
            if message.member == "GetManagedObjects":
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [self.objects()])
            return Message.new_error(message, f"{name}.Settings.InvalidConnection", "there is none")

    found = Double()
    server = await MessageBus(bus_type=BusType.SYSTEM).connect()
    server.add_message_handler(found.answer)
    await server.request_name(name)
    yield found
    server.disconnect()
    await server.wait_for_disconnect()


async def test_a_plan_over_dbus_names_what_the_radio_lacks(tmp_path: Path, double: Any) -> None:
    async with node(tmp_path / "node", plugins=[PLUGIN]) as host:
        status, told = await plan_of(host)
        assert status == 200
        assert (told["interface"], told["uplink"]) == ("wlan0", "eth0")
        assert {each["code"] for each in told["problems"]} <= {"no-gatekeeper", "no-dnsmasq"}
        double.radio_on, double.capabilities = False, 0
        _, told = await plan_of(host)
        assert {"radio-off", "no-ap"} <= {each["code"] for each in told["problems"]}
        double.radio_on, double.capabilities = True, 0x40
        async with ClientSession() as session:
            refused = await session.post(f"{host.url}/api/v1/wifi/apply", json={})
            assert refused.status == 409
            assert "arthexis wifi setup" in (await refused.json())["cure"]
            wrong = await session.post(f"{host.url}/api/v1/wifi/apply", json={"admin": "not an address"})
            assert wrong.status == 400


async def test_consents_are_forgotten_when_their_days_are_over(tmp_path: Path, double: Any, clock: FrozenClock) -> None:
    settings = {"plugins": {"wifi_ap": {"consent_days": 2.0}}}
    async with node(tmp_path / "node", plugins=[PLUGIN], config=settings, clock=clock) as host:
        shown = {"digest": "d", "language": "en", "text": "t"}
        at = clock.now()
        write = host.host.journal.write
        await write(lambda db: tables.keep(db, "old", shown, at, at + timedelta(hours=1)))
        clock.advance(2 * 86_400)
        later = clock.now()
        await write(lambda db: tables.keep(db, "new", shown, later, later + timedelta(hours=1)))
        ctx = host.host.context(host.plugin("wifi_ap"))
        clock.advance(3_700)
        await guests.tidy(ctx, {})
        kept = await host.host.database.read(tables.latest)
        assert [row["device"] for row in kept] == ["new"]


async def test_consents_of_one_minute_are_bounded(tmp_path: Path, double: Any) -> None:
    async with node(tmp_path / "node", plugins=[PLUGIN]) as host:
        shown = {"digest": "d", "language": "en", "text": "t"}
        at = host.host.clock.now()

        def many(db: Any) -> int:
            for number in range(7):
                tables.keep(db, f"device {number}", shown, at, at + timedelta(hours=1))
            return tables.lately(db, at)

        assert await host.host.journal.write(many) == 7
        assert await host.host.database.read(lambda db: tables.lately(db, at + timedelta(minutes=1))) == 0


def test_what_is_no_mac_address_is_said_in_words_before_anything_is_asked() -> None:
    result = CliRunner().invoke(wifi, ["revoke", "zz"])
    assert isinstance(result.exception, Invalid)
    assert (result.exception.problem, result.exception.cure) == ("no MAC address", "Write it like aa:bb:cc:00:11:22")


def test_what_root_must_install_is_a_script_without_errors(tmp_path: Path) -> None:
    script = tmp_path / "setup.sh"
    told = CliRunner().invoke(wifi, ["setup", "--to", str(script)])
    assert f"sudo sh {script}" in told.output
    text = script.read_text("utf-8")
    assert CliRunner().invoke(wifi, ["setup"]).output == text
    subprocess.run(["sh", "-n", str(script)], check=True)
    assert "@USER@" not in text
    assert 'subject.user === "arthexis"' in text
    assert "--user arthexis" in text
    assert "import arthexis" not in text, "root runs nothing that the node's user can change"
    undo = installing.undoing()
    assert all(place in undo for place, _ in installing.PLACES.values())


@pytest.mark.parametrize("user", ["", "a b", "root; id", "$(id)", "-x", "Ünder"])
def test_a_script_for_root_takes_no_name_that_is_more_than_a_name(user: str) -> None:
    with pytest.raises(Invalid):
        installing.script(user)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="the script is for root")
def test_the_script_puts_the_gatekeeper_where_only_root_can_change_it(tmp_path: Path) -> None:
    text = installing.script("nobody").replace(" /usr/local", f" {tmp_path}/usr/local")
    for place in ("/etc", "/usr/local"):
        text = text.replace(f">{place}", f">{tmp_path}{place}").replace(f" {place}", f" {tmp_path}{place}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\n", "utf-8")
    (tmp_path / "bin/systemctl").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    text = text.replace(f"{tmp_path}{tmp_path}", str(tmp_path))
    subprocess.run(["sh", "-s"], input=text, text=True, check=True, env={"PATH": path})
    installed = tmp_path / "usr/local/libexec/arthexis-wifi-gatekeeper"
    assert installed.stat().st_mode & 0o777 == 0o755
    helped = subprocess.run([str(installed), "--help"], capture_output=True, text=True, check=True)
    assert "gate of the Arthexis access point" in helped.stdout
    assert "subject.user" in (tmp_path / "etc/polkit-1/rules.d/50-arthexis-wifi.rules").read_text("utf-8")


async def test_starting_and_stopping_ten_times_leaves_nothing(tmp_path: Path, double: Any) -> None:
    async with node(tmp_path / "node", plugins=[PLUGIN]):
        pass
    before = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    for _ in range(9):
        async with node(tmp_path / "node", plugins=[PLUGIN]):
            pass
    assert (len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))) == before
