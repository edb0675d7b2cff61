"""The plugin in a node: on machines without NetworkManager it waits and says so; it prints what root must install."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from arthexis_wifi_ap import access_point, guests, installing, network_manager, portal, tables
from arthexis_wifi_ap.access_point import AccessPoint
from arthexis_wifi_ap.command import wifi
from arthexis_wifi_ap.gate import Gate, NotAGuest, Shut
from arthexis_wifi_ap.settings import Settings
from click.testing import CliRunner

from arthexis import DomainError, Invalid, Unavailable
from arthexis.plugins.states import State
from arthexis.testing import FrozenClock, Node, node
from tests.needs import lacks

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
        lacks("dbus-daemon is not installed (apt install dbus)")
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
        ours = False
        half_formed = False

        def __init__(self) -> None:
            self.asked: list[str] = []

        def objects(self) -> dict[str, Any]:
            cable = {"Interface": Variant("s", "eth0"), "DeviceType": Variant("u", 1), "State": Variant("u", 100)}
            radio = {"Interface": Variant("s", "wlan0"), "DeviceType": Variant("u", 2), "State": Variant("u", 30)}
            spare = {"Interface": Variant("s", "eth1"), "DeviceType": Variant("u", 1), "State": Variant("u", 30)}
            spare |= {"Ip4Config": Variant("o", "/i/3")}
            address = {"address": Variant("s", "10.9.9.1")}
            if not self.half_formed:
                address["prefix"] = Variant("u", 24)
            able = {"WirelessCapabilities": Variant("u", self.capabilities)}
            main = {"WirelessEnabled": Variant("b", self.radio_on), "PrimaryConnection": Variant("o", "/a/1")}
            return {
                root: {name: main},
                "/a/1": {f"{name}.Connection.Active": {"Devices": Variant("ao", ["/d/1"])}},
                "/d/1": {f"{name}.Device": {**cable, "Managed": Variant("b", True)}},
                "/d/3": {f"{name}.Device": {**spare, "Managed": Variant("b", True)}},
                "/i/3": {f"{name}.IP4Config": {"AddressData": Variant("aa{sv}", [address])}},
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
            self.asked.append(message.member)
            return self.changed(message)

        def changed(self, message: Message) -> Message:
            """Ours is there after AddConnection2, and gone after a rollback or Delete."""
            connection = {"autoconnect": Variant("b", False), "interface-name": Variant("s", "eth1")}
            told: dict[str, tuple[str, list[Any]]] = {
                "CheckpointCreate": ("o", ["/c/1"]),
                "AddConnection2": ("oa{sv}", ["/s/1", {}]),
                "ActivateConnection": ("o", ["/a/2"]),
                "Get": ("v", [Variant("u", 2)]),
                "CheckpointAdjustRollbackTimeout": ("", []),
                "CheckpointDestroy": ("", []),
                "CheckpointRollback": ("a{su}", [{}]),
                "Delete": ("", []),
                **({"GetConnectionByUuid": ("o", ["/s/1"])} if self.ours else {}),
                **({"GetSettings": ("a{sa{sv}}", [{"connection": connection}])} if self.ours else {}),
            }
            if message.member not in told:
                return Message.new_error(message, f"{name}.Settings.InvalidConnection", "there is none")
            if message.member in {"AddConnection2", "CheckpointRollback", "Delete"}:
                self.ours = message.member == "AddConnection2"
            return Message.new_method_return(message, *told[message.member])

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


CABLE = {"profile": "router", "interface": "eth1", "uplink": "none"}


async def answer_of(host: Node, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    async with ClientSession() as session, session.request(method, f"{host.url}/api/v1{path}", json=body) as answer:
        return answer.status, dict(await answer.json())


@pytest.fixture
def dnsmasq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is installed, which is all that a plan asks of it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/dnsmasq").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


async def test_whatever_goes_wrong_while_it_applies_is_put_back(tmp_path: Path, double: Any, dnsmasq: None) -> None:
    settings = {"plugins": {"wifi_ap": {**CABLE, "gatekeeper": str(tmp_path / "none")}}}
    async with node(tmp_path / "node", plugins=[PLUGIN], config=settings) as host:
        answered = double.changed
        double.changed = lambda message: (
            setattr(double, "half_formed", message.member == "ActivateConnection" or double.half_formed)
            or answered(message)
        )
        status, told = await answer_of(host, "POST", "/wifi/apply", {})
        assert "ActivateConnection" in double.asked, told
        assert status >= 500, "an address without its prefix was not foreseen"
        assert [(name, type(error)) for name, error in host.faults()] == [("wifi_ap", KeyError)]
        assert "CheckpointRollback" in double.asked
        assert not double.ours


async def test_how_it_is_can_be_asked_while_the_gatekeeper_is_away(tmp_path: Path, double: Any) -> None:
    double.ours = True
    settings = {"plugins": {"wifi_ap": {"interface": "eth1", "gatekeeper": str(tmp_path / "none")}}}
    async with node(tmp_path / "node", plugins=[PLUGIN], config=settings) as host:
        status, told = await answer_of(host, "GET", "/wifi")
        assert (status, told["state"], told["guests"]) == (200, "down", 0)
        assert "no gatekeeper" in told["said"]
        assert (await answer_of(host, "GET", "/wifi/clients"))[0] == 503


async def test_what_refuses_while_it_watches_is_told_and_it_goes_on(
    tmp_path: Path, double: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = asyncio.Semaphore(0)

    async def look(_: AccessPoint) -> None:
        looks.release()
        raise DomainError("not in this state", place="wifi", cure="Wait")

    monkeypatch.setattr(AccessPoint, "_look", look)
    monkeypatch.setattr(access_point, "REST_S", 0.05)
    async with node(tmp_path / "node", plugins=[PLUGIN]) as host:
        async with asyncio.timeout(5):
            for _ in range(3):
                await looks.acquire()
        assert host.plugin("wifi_ap").state is State.UNAVAILABLE
        assert host.plugin("wifi_ap").reason == "not in this state"


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


class Gatekeeper:
    """The gatekeeper's socket with one guest behind it, of a test: the kernel's part is tried in test_gatekeeper."""

    mac = "02:00:00:00:00:07"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.leases: dict[str, int] = {}
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        if asked["do"] == "admit":
            self.leases[self.mac] = asked["seconds"]
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                await meanwhile()
        was = asked["do"] == "revoke" and self.leases.pop(asked["mac"], 0) > 0
        told = {"ok": True, "mac": self.mac, "seconds": self.leases.get(self.mac, 0), "was_admitted": was}
        writer.write(json.dumps(told).encode())
        writer.close()
        await writer.wait_closed()


@pytest_asyncio.fixture
async def gatekeeper(tmp_path: Path) -> AsyncIterator[Gatekeeper]:
    """A gatekeeper that listens."""
    found = Gatekeeper(tmp_path / "gate.sock")
    async with await asyncio.start_unix_server(found.answer, str(found.path)):
        yield found


@asynccontextmanager
async def cafe_of(tmp_path: Path, gatekeeper: Gatekeeper, **more: Any) -> AsyncIterator[tuple[Node, guests.Guests]]:
    settings = {"plugins": {"wifi_ap": {"gatekeeper": str(gatekeeper.path), **more}}}
    async with node(tmp_path / "node", plugins=[PLUGIN], config=settings) as host:
        ctx = host.host.context(host.plugin("wifi_ap"))
        yield host, guests.Guests(ctx, Gate(ctx.config))


def token_of(found: guests.Guests, mac: str = Gatekeeper.mac, language: str = "en") -> str:
    return found.token(mac, found.shown[language]["digest"])


async def test_an_operator_s_word_bars_a_guest_who_has_left(
    tmp_path: Path, double: Any, gatekeeper: Gatekeeper
) -> None:
    async with cafe_of(tmp_path, gatekeeper) as (_, found):
        await found.consent("lan0", "10.42.7.9", token_of(found))
        await found.leave("lan0", "10.42.7.9", token_of(found))
        assert await found.revoke(gatekeeper.mac) is True
        with pytest.raises(guests.Barred):
            await found.consent("lan0", "10.42.7.9", token_of(found))
        assert gatekeeper.leases == {}
        assert await found.revoke("02:00:00:00:00:08") is False, "who has no consent that runs is not kept out"


async def test_a_guest_who_is_revoked_while_it_is_let_in_is_out(
    tmp_path: Path, double: Any, gatekeeper: Gatekeeper
) -> None:
    async with cafe_of(tmp_path, gatekeeper) as (_, found):

        async def late() -> None:
            await found.revoke(gatekeeper.mac)
            gatekeeper.leases[gatekeeper.mac] = 60

        gatekeeper.meanwhile = late
        with pytest.raises(guests.Barred):
            await found.consent("lan0", "10.42.7.9", token_of(found))
        assert gatekeeper.leases == {}


async def test_a_guest_who_is_in_already_goes_on_with_its_consent_and_keeps_nobody_waiting(
    tmp_path: Path, double: Any, gatekeeper: Gatekeeper
) -> None:
    async with cafe_of(tmp_path, gatekeeper, consents_a_minute=2) as (host, found):
        first = await found.consent("lan0", "10.42.7.9", token_of(found))
        for _ in range(4):
            last = await found.consent("lan0", "10.42.7.9", token_of(found))
        (kept,) = await host.host.database.read(tables.latest)
        assert kept["until"] == last >= first
        gatekeeper.mac = "02:00:00:00:00:08"
        await found.consent("lan0", "10.42.7.10", token_of(found, gatekeeper.mac))


@linux
@pytest.mark.parametrize(("code", "kind"), [("closed", Shut), ("no-guest", NotAGuest), ("refused", Unavailable)])
async def test_what_the_gatekeeper_refuses_is_told_by_its_code_whatever_it_says(
    tmp_path: Path, code: str, kind: type[Unavailable]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(json.dumps({"ok": False, "error": "no such neighbour, closed", **told}).encode())
        writer.close()

    told: dict[str, str] = {"code": code}
    path = str(tmp_path / "gate.sock")
    async with await asyncio.start_unix_server(answer, path):
        gate = Gate(Settings(gatekeeper=path))
        with pytest.raises(kind) as refused:
            await gate.who("lan0", "10.42.7.9")
        assert type(refused.value) is kind
        told.clear()
        assert "an older one" in await gate.trouble()
        with pytest.raises(Unavailable) as older:
            await gate.who("lan0", "10.42.7.9")
        assert "arthexis wifi setup" in older.value.cure


async def test_a_guest_who_comes_and_goes_keeps_nobody_waiting_but_itself(
    tmp_path: Path, double: Any, gatekeeper: Gatekeeper
) -> None:
    async with cafe_of(tmp_path, gatekeeper, consents_a_minute=2) as (_, found):
        for _ in range(guests.MOST_OF_DEVICE):
            await found.consent("lan0", "10.42.7.9", token_of(found))
            await found.leave("lan0", "10.42.7.9", token_of(found))
        with pytest.raises(guests.Busy):
            await found.consent("lan0", "10.42.7.9", token_of(found))
        gatekeeper.mac = "02:00:00:00:00:08"
        await found.consent("lan0", "10.42.7.10", token_of(found, gatekeeper.mac))


@pytest_asyncio.fixture
async def door(
    tmp_path: Path, double: Any, gatekeeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[int, int]]:
    """The ports of a portal on this machine, without TLS and with it; its patience is short."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    monkeypatch.setattr(portal, "HANDSHAKE_S", 0.5)
    monkeypatch.setattr(portal, "LONGEST_S", 1.0)
    key, chain, ports = tmp_path / "key.pem", tmp_path / "chain.pem", (free_port(), free_port())
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    named = ("-subj", "/CN=wifi.example.org", "-keyout", str(key), "-out", str(chain))
    subprocess.run([*made, *named], check=True, capture_output=True)
    more = {"portal_name": "wifi.example.org", "portal_certificate": str(chain), "portal_key": str(key)}
    more |= {"address": "127.0.0.1/8", "portal_port": ports[0], "portal_tls_port": ports[1]}
    async with cafe_of(tmp_path, gatekeeper, **more) as (host, found):
        ctx = host.host.context(host.plugin("wifi_ap"))
        opened = portal.Portal(ctx, Gate(ctx.config), found)
        await opened.open("lo")
        yield ports
        await opened.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@linux
async def test_who_says_nothing_to_the_portal_with_tls_is_soon_put_out(door: tuple[int, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door[1])
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def endlessly(loop: asyncio.AbstractEventLoop, guest: socket.socket, asked: bytes) -> None:
    while True:
        await loop.sock_sendall(guest, asked)


@linux
async def test_who_asks_for_ever_and_reads_nothing_is_put_out(door: tuple[int, int]) -> None:
    asked = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{door[0]}\r\n\r\n".encode() * 200
    loop = asyncio.get_running_loop()
    with socket.socket() as guest:
        guest.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        guest.setblocking(False)
        await loop.sock_connect(guest, ("127.0.0.1", door[0]))
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                await endlessly(loop, guest, asked)


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
    assert "every connection of the system" in text, "who reads it is told how far the permissions reach"
    assert "nothing else" not in text
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
