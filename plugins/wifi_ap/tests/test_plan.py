"""Plans and problems from snapshots of machines that nobody has at hand: each problem by its code, with its cure."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest
from arthexis_wifi_ap import radio, snapshot
from arthexis_wifi_ap.planning import UUID, Plan, plan
from arthexis_wifi_ap.settings import Settings
from arthexis_wifi_ap.snapshot import NM, ROOT, Device, Snapshot

from arthexis import Secret

WIFI = Device(path="/w", name="wlan0", radio=True, can_ap=True)
CABLE = Device(
    path="/e", name="eth0", wired=True, active=True, connection="office", addresses=("192.168.1.7/24",),
    gateway="192.168.1.1",
)  # fmt: skip
PI = Snapshot(devices=(CABLE, WIFI), uplink="eth0", country="DE")
GOOD = {"passphrase": Secret("correct horse battery")}


def planned(now: Snapshot = PI, **settings: Any) -> Plan:
    return plan(now, Settings(**{**GOOD, **settings}))


def changed(device: Device, **members: Any) -> Snapshot:
    others = tuple(d for d in PI.devices if d.name != device.name)
    return msgspec.structs.replace(PI, devices=(*others, msgspec.structs.replace(device, **members)))


def with_(**members: Any) -> Snapshot:
    return msgspec.structs.replace(PI, **members)


def test_a_raspberry_pi_with_a_cable_has_no_problem() -> None:
    found = planned()
    assert found.problems == []
    assert (found.interface, found.uplink) == ("wlan0", "eth0")
    assert any("access point: 'Arthexis', WPA2, 2.4 GHz" in change for change in found.changes)


ON_WIFI = msgspec.structs.replace(WIFI, active=True, connection="home", addresses=("192.168.1.8/24",))
CASES: dict[str, tuple[Snapshot, dict[str, Any], str]] = {
    "no-radio": (with_(devices=(CABLE,)), {}, "Plug a Wi-Fi adapter in"),
    "no-device": (PI, {"interface": "wlan7"}, "Set plugins.wifi_ap.interface"),
    "unmanaged": (changed(WIFI, managed=False), {}, "managed yes"),
    "no-network": (changed(WIFI, radio=False), {"interface": "wlan0"}, "Name another interface"),
    "no-country": (with_(country="00"), {}, "do_wifi_country"),
    "radio-off": (with_(radio_on=False), {}, "rfkill unblock wifi"),
    "radio-blocked": (with_(radio_on=False, radio_switch_on=False), {}, "hard blocked"),
    "public-address": (PI, {"address": "203.0.113.1/24"}, "10.77.7.1/24"),
    "no-ap": (changed(WIFI, can_ap=False), {}, "Use another adapter"),
    "no-5-ghz": (PI, {"band": "5"}, 'band = "2.4"'),
    "ssid-too-long": (PI, {"ssid": "ñ" * 17}, "accented letter counts as two"),
    "no-ssid": (PI, {"ssid": " "}, "Set plugins.wifi_ap.ssid"),
    "bad-passphrase": (PI, {"passphrase": Secret("short77")}, "another plugins.wifi_ap.passphrase"),
    "weak-passphrase": (PI, {"passphrase": Secret("Password123")}, "four or more words"),
    "no-passphrase": (PI, {"profile": "router", "passphrase": Secret("")}, "Set plugins.wifi_ap.passphrase"),
    "no-uplink": (with_(uplink=""), {}, "Connect it to the internet first"),
    "no-uplink-device": (PI, {"uplink": "usb0"}, "plugins.wifi_ap.uplink"),
    "uplink-same": (with_(devices=(ON_WIFI,), uplink="wlan0"), {}, "Raspberry Pi by its Ethernet port"),
    "uplink-elsewhere": (PI, {"uplink": "wlan0", "interface": "eth0"}, "Connect wlan0"),
    "network-taken": (PI, {"address": "192.168.1.1/24"}, "a network that is free"),
    "no-dnsmasq": (with_(dnsmasq=False), {}, "apt install dnsmasq-base"),
    "no-gatekeeper": (with_(gatekeeper="No such file"), {}, "arthexis wifi setup --to setup.sh"),
}


@pytest.mark.parametrize("code", CASES)
def test_each_problem_has_its_own_message_and_cure(code: str) -> None:
    now, settings, cure = CASES[code]
    found = {problem.code: problem for problem in planned(now, **settings).problems}
    assert code in found
    assert cure in found[code].cure
    told = [case.problem for case in found.values()]
    assert len(set(told)) == len(told)


def test_no_two_problems_say_the_same() -> None:
    told = {}
    for code, (now, settings, _) in CASES.items():
        told[code] = next(p.problem for p in planned(now, **settings).problems if p.code == code)
    assert len(set(told.values())) == len(CASES)


@pytest.mark.parametrize(
    "passphrase", ["12345678", "87654321", "aaaaaaaa", "abababab", "Arthexis2026", "PASSWORD!!", "abcdefgh", "é" * 9]
)
def test_a_passphrase_that_anybody_would_try_is_refused(passphrase: str) -> None:
    codes = {problem.code for problem in planned(passphrase=Secret(passphrase)).problems}
    assert codes & {"weak-passphrase", "bad-passphrase"}
    assert passphrase not in str(planned(passphrase=Secret(passphrase)))


def test_a_name_of_32_bytes_is_the_longest() -> None:
    assert planned(ssid="x" * 32).problems == []
    assert [problem.code for problem in planned(ssid="x" * 33).problems] == ["ssid-too-long"]


def test_an_open_network_is_allowed_for_guests_and_says_what_that_means() -> None:
    found = planned(passphrase=Secret(""))
    assert found.problems == []
    assert any("The network is open" in notice for notice in found.notices)


def test_without_an_uplink_there_can_be_a_network_if_that_is_meant() -> None:
    assert planned(with_(uplink=""), uplink="none").problems == []


def test_a_radio_that_is_not_the_uplink_and_can_be_an_access_point_is_chosen() -> None:
    second = Device(path="/x", name="wlan1", radio=True, can_ap=True)
    plain = Device(path="/y", name="wlan2", radio=True)
    now = with_(devices=(CABLE, ON_WIFI, plain, second), uplink="wlan0")
    assert planned(now).interface == "wlan1"


def test_what_a_device_does_now_is_told_before_it_ends() -> None:
    assert "wlan0 leaves home" in planned(with_(devices=(CABLE, ON_WIFI))).changes


def test_a_snapshot_is_read_from_what_network_manager_tells() -> None:
    objects = {
        ROOT: {NM: {"PrimaryConnection": "/a/1", "WirelessEnabled": False, "WirelessHardwareEnabled": True}},
        "/a/1": {f"{NM}.Connection.Active": {"Devices": ["/d/1"], "Id": "office", "Uuid": "u"}},
        "/d/1": {
            f"{NM}.Device": {
                "Interface": "eth0",
                "DeviceType": 1,
                "State": 100,
                "Managed": True,
                "ActiveConnection": "/a/1",
                "Ip4Config": "/i/1",
            }
        },
        "/i/1": {
            f"{NM}.IP4Config": {"AddressData": [{"address": "192.168.1.7", "prefix": 24}], "Gateway": "192.168.1.1"}
        },
        "/d/2": {
            f"{NM}.Device": {"Interface": "wlan0", "DeviceType": 2, "State": 20, "Managed": True},
            f"{NM}.Device.Wireless": {"WirelessCapabilities": 0x40 | 0x200},
        },
        "/d/3": {f"{NM}.Device": {"Interface": "lo", "DeviceType": 32, "State": 10}},
    }
    found = snapshot.read(objects, UUID)
    assert found.uplink == "eth0"
    assert found.radio_on is False
    eth0, wlan0 = found.device("eth0"), found.device("wlan0")
    assert eth0 is not None
    assert wlan0 is not None
    assert (eth0.connection, eth0.addresses, eth0.active) == ("office", ("192.168.1.7/24",), True)
    assert (wlan0.radio, wlan0.can_ap, wlan0.can_5_ghz, wlan0.available) == (True, True, False, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "10.42.7.0/24"},
        {"address": "10.42.7.1/31"},
        {"address": "somewhere"},
        {"terms": {"fr": "Bonjour"}},
        {"terms": {}},
        {"portal_name": "portal.example"},
        {"portal_port": 80},
        {"lease_minutes": 0},
    ],
)
def test_settings_that_could_never_work_are_refused_when_they_are_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Settings)


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
def test_the_radio_s_country_is_asked_of_the_kernel() -> None:
    assert radio.country() == "" or len(radio.country()) == 2
