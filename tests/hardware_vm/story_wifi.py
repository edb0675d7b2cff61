"""A WPA2 access point of real 802.11 (mac80211_hwsim): a client that associates, consents and is cut off again."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CONFTEST = Path(__file__).parent.parent.parent / "plugins/wifi_ap/tests/conftest.py"
PASSPHRASE = "correct horse battery"
SSID = "Arthexis Café"
NEEDED = {
    "iw": "iw",
    "wpa_supplicant": "wpasupplicant",
    "NetworkManager": "network-manager",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "dbus-daemon": "dbus",
    "busybox": "busybox-static",
    "curl": "curl",
}
MODULES = (
    *("mac80211_hwsim radios=2", "nf_tables", "nft_chain_nat", "nft_masq", "nft_redir", "nft_reject_inet", "nft_ct"),
    *("veth", "bridge", "ccm", "ctr", "cmac"),
)
CONFIG = f"""
[http]
host = "0.0.0.0"
port = 8899
[node]
role = "bare"
plugin_timeout_s = 60.0
enable = ["arthexis-wifi-ap:wifi_ap"]
[plugins.wifi_ap]
ssid = "{SSID}"
passphrase = "{PASSPHRASE}"
channel = 6
gatekeeper = "/run/gatekeeper.sock"
lease_minutes = 0.75
"""


def _loaded() -> ModuleType:
    """The machine of the plugin's own tests, which this one extends."""
    spec = importlib.util.spec_from_file_location("machine_of_wifi_ap", CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


private = _loaded()


class Radio(private.World):  # type: ignore[misc,name-defined]
    """This machine itself, which nobody else uses: radio phy0 is ours, phy1 is the guest's."""

    patience = 8.0

    def enter(self) -> None:
        """Nothing: QEMU is the wall around it."""

    def inside(self, *command: str, where: str = "") -> list[str]:
        """The words that run a command here."""
        return [*(("ip", "netns", "exec", where) if where else ()), *command]

    def prepare(self) -> None:
        """Two radios, one of them the guest's, and what NetworkManager needs for Wi-Fi."""
        for module in MODULES:
            self.run("modprobe", *module.split())
        udev = shutil.which("udevd", path="/lib/systemd:/usr/lib/systemd") or "/lib/systemd/systemd-udevd"
        self.run(udev, "--daemon")
        self.run("udevadm", "trigger")
        self.run("udevadm", "settle")
        self.run("ip", "link", "del", "guest0", where="guest")
        self.run("iw", "phy", "phy1", "set", "netns", "name", "guest")
        self.run("ip", "link", "set", "wlan1", "name", "guest0", where="guest")
        self.run("ip", "link", "set", "guest0", "up", where="guest")
        self.run("wpa_supplicant", "-u", "-s", "-B")

    def associate(self, passphrase: str, log: str) -> subprocess.Popen[bytes]:
        """Have the guest look for the network with this passphrase."""
        network = f'network={{\n ssid="{SSID}"\n psk="{passphrase}"\n}}\n'
        Path(f"/run/{log}.conf").write_text(network, "utf-8")
        words = ("wpa_supplicant", "-i", "guest0", "-D", "nl80211", "-c", f"/run/{log}.conf")
        return self.spawn("ip", "netns", "exec", "guest", *words, log=f"{log}.log")

    def link(self) -> str:
        """What the guest's radio is connected to."""
        return str(self.run("iw", "dev", "guest0", "link", where="guest").stdout)

    def end(self) -> None:
        """End what it started."""
        for process in self._others:
            process.terminate()
        for process in self._others:
            process.wait(60)


@pytest.fixture
def radio() -> Iterator[Any]:
    gone = [package for command, package in NEEDED.items() if shutil.which(command) is None]
    assert not gone, f"apt-get install {' '.join(gone)} wireless-regdb"
    made = Radio()
    yield made
    made.end()


def codes(machine: Any) -> set[str]:
    return {problem["code"] for problem in machine.api("GET", "/wifi/plan")["problems"]}


def test_guests_of_a_real_access_point(radio: Any, tmp_path: Path) -> None:
    machine = private.Machine(radio, tmp_path / "node")
    machine.start(CONFIG)
    _what_is_wrong_is_named(machine)
    found = machine.api("POST", "/wifi/apply", {"confirm_within_s": 300})
    print("applied:", found)
    assert found.get("state") == "unconfirmed", radio.read("/run/nm.log")[-3000:]
    assert machine.api("POST", "/wifi/confirm")["state"] == "up"
    print(radio.run("iw", "dev", "wlan0", "info").stdout)
    assert "type AP" in radio.run("iw", "dev", "wlan0", "info").stdout
    _a_wrong_passphrase_is_refused(radio)
    _a_guest_comes_consents_and_is_cut_off(machine)
    _nothing_is_left(machine)
    machine.signal(signal.SIGTERM)


def _what_is_wrong_is_named(machine: Any) -> None:
    world = machine.world
    assert codes(machine) == {"no-country"}
    print("the kernel's country is 00: no-country")
    world.run("iw", "reg", "set", "DE")
    world.until(lambda: codes(machine) == set())
    world.run("nmcli", "radio", "wifi", "off")
    world.until(lambda: codes(machine) == {"radio-off"})
    print("nmcli radio wifi off: radio-off")
    world.run("nmcli", "radio", "wifi", "on")
    world.until(lambda: codes(machine) == set())
    print("plan:", json.dumps(machine.api("GET", "/wifi/plan"), indent=1, ensure_ascii=False))


def _a_wrong_passphrase_is_refused(radio: Any) -> None:
    process = radio.associate("quite another one", "wrong")
    radio.until(lambda: "WRONG_KEY" in radio.read("/run/wrong.log"), 30.0)
    print("another passphrase: WRONG_KEY")
    assert "Connected" not in radio.link()
    process.terminate()
    process.wait(30)


def _a_guest_comes_consents_and_is_cut_off(machine: Any) -> None:
    world = machine.world
    world.associate(PASSPHRASE, "guest")
    world.until(lambda: "Connected" in world.link())
    print(world.link())
    address, router, _, option = world.lease()
    print("DHCP:", address, router, bytes.fromhex(option).decode())
    assert bytes.fromhex(option).decode() == f"{private.PORTAL}captive-portal"
    far = f"http://{private.FAR}/"
    assert world.get(far, "guest", "-i").startswith("HTTP/1.1 302")
    print("before consent: sent to the portal")
    assert machine.consent().endswith("303")
    world.until(lambda: private.HELLO in world.get(far, "guest"), 2.0)
    print("after consent:", world.get(far, "guest").strip())
    print("clients:", machine.api("GET", "/wifi/clients"))
    world.until(lambda: world.get(far, "guest", "-i").startswith("HTTP/1.1 302"), 20.0)
    print("after its time: sent to the portal again")
    assert machine.consent().endswith("303")
    machine.api("DELETE", f"/wifi/clients/{world.mac()}")
    assert private.HELLO not in world.get(far, "guest")
    print("revoked: cut off at once")


def _nothing_is_left(machine: Any) -> None:
    world = machine.world
    assert machine.api("DELETE", "/wifi")["state"] == "absent"
    world.until(lambda: world.run("nft", "list", "tables").stdout == "")
    world.until(lambda: "type AP" not in world.run("iw", "dev", "wlan0", "info").stdout)
    assert "arthexis" not in world.run("nmcli", "-t", "connection").stdout
    assert world.run("ls", "-A", "/etc/NetworkManager/dnsmasq-shared.d").stdout == ""
    print("removed: no connection, no table, no line for DHCP, no access point")
