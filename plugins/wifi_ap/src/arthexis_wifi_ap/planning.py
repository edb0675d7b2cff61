"""Plans: what ``arthexis wifi apply`` would change, and what keeps it from that, from a snapshot and the settings.

Nothing here talks to anybody, so that every problem and its cure can be tried without a radio.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from msgspec import Struct

from arthexis_wifi_ap import radio
from arthexis_wifi_ap.settings import Settings
from arthexis_wifi_ap.snapshot import Device, Snapshot

CONNECTION: Final = "arthexis-wifi"
UUID: Final = "8f6f5b0e-6a0c-5d0f-9f5e-61727468786f"
MOST_SSID: Final = 32
LEAST_PASSPHRASE, MOST_PASSPHRASE = 8, 63
LEAST_LETTERS: Final = 5
PRIVATE: Final = tuple(
    ipaddress.IPv4Network(each)
    for each in ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
)
COMMON: Final = frozenset(
    (
        *("password", "passw0rd", "password1", "password123", "12345678", "123456789", "1234567890", "qwertyuiop"),
        *("iloveyou", "sunshine", "princess", "football", "baseball", "welcome", "internet", "raspberry", "arthexis"),
        *("charging", "changeme", "letmein", "superman", "trustno1"),
    )
)


class Problem(Struct, frozen=True):
    """What keeps a plan from being applied, and the cure; ``code`` stays the same for ever."""

    code: str
    problem: str
    cure: str


class Plan(Struct, frozen=True, kw_only=True):
    """What would change, in words; ``problems`` must be mended first, ``notices`` should be read."""

    profile: str
    interface: str
    uplink: str
    changes: list[str] = []
    notices: list[str] = []
    problems: list[Problem] = []


def plan(now: Snapshot, wanted: Settings) -> Plan:
    """What applying these settings to this machine would change."""
    device, uplink = chosen(now, wanted), uplink_of(now, wanted)
    problems = [found for check in CHECKS for found in check(now, wanted, device)]
    return Plan(
        profile=wanted.profile,
        interface=device.name if device else wanted.interface,
        uplink=uplink,
        changes=list(_changes(now, wanted, device)) if device else [],
        notices=list(_notices(now, wanted, device)),
        problems=problems,
    )


def chosen(now: Snapshot, wanted: Settings) -> Device | None:
    """The device that is named, else the first radio that can be an access point, one that is not the uplink first."""
    if wanted.interface:
        return now.device(wanted.interface)
    radios = sorted((d for d in now.devices if d.radio), key=lambda d: (not d.can_ap, d.name == now.uplink, d.name))
    return next(iter(radios), None)


def uplink_of(now: Snapshot, wanted: Settings) -> str:
    """The uplink's name; empty where there is none."""
    return {"": now.uplink, "none": ""}.get(wanted.uplink, wanted.uplink)


# ---------------------------------------------------------------------- what keeps it from being applied


def _device_problems(now: Snapshot, wanted: Settings, device: Device | None) -> Iterator[Problem]:
    if device is None and wanted.interface:
        there = ", ".join(d.name for d in now.devices if d.radio or d.wired) or "none"
        yield Problem(
            "no-device", f"there is no interface {wanted.interface} (there are: {there})",
            "Set plugins.wifi_ap.interface to one of them, or plug it in",
        )  # fmt: skip
    elif device is None:
        yield Problem(
            "no-radio", "this machine has no Wi-Fi device",
            "Plug a Wi-Fi adapter in, or name an Ethernet interface as plugins.wifi_ap.interface",
        )  # fmt: skip
    elif not device.managed:
        yield Problem(
            "unmanaged", f"NetworkManager leaves {device.name} alone",
            f"sudo nmcli device set {device.name} managed yes; on Ubuntu set `renderer: NetworkManager` in netplan",
        )  # fmt: skip
    elif not (device.radio or device.wired):
        yield Problem("no-network", f"{device.name} is neither Wi-Fi nor Ethernet", "Name another interface")


def _radio_problems(now: Snapshot, wanted: Settings, device: Device | None) -> Iterator[Problem]:
    if device is None or not device.radio:
        return
    if now.country == radio.UNSET:
        yield Problem(
            "no-country", "the country of the radio is not set, so the law's limits for it are unknown",
            "sudo raspi-config nonint do_wifi_country DE (your country), or: sudo iw reg set DE",
        )  # fmt: skip
    if not now.radio_switch_on:
        yield Problem(
            "radio-blocked", "the radio is switched off by a hardware switch or the firmware",
            "Switch it on; `rfkill list` says which one is hard blocked",
        )  # fmt: skip
    elif not now.radio_on:
        yield Problem("radio-off", "the radio is switched off", "sudo rfkill unblock wifi; sudo nmcli radio wifi on")
    if not device.can_ap:
        yield Problem(
            "no-ap", f"{device.name} cannot be an access point: its driver does not offer that",
            "Use another adapter; `iw list` must name AP among the supported interface modes",
        )  # fmt: skip
    if wanted.band == "5" and not device.can_5_ghz:
        yield Problem("no-5-ghz", f"{device.name} has no 5 GHz", 'Set plugins.wifi_ap.band = "2.4"')


def _name_problems(_: Snapshot, wanted: Settings, device: Device | None) -> Iterator[Problem]:
    if device is not None and not device.radio:
        return
    size = len(wanted.ssid.encode())
    if size > MOST_SSID:
        yield Problem(
            "ssid-too-long", f"the name of the network has {size} bytes, and Wi-Fi allows {MOST_SSID}",
            "Shorten plugins.wifi_ap.ssid; an accented letter counts as two bytes",
        )  # fmt: skip
    if not wanted.ssid.strip() or not wanted.ssid.isprintable():
        yield Problem("no-ssid", "the name of the network is empty or not printable", "Set plugins.wifi_ap.ssid")
    yield from _passphrase_problems(wanted)


def _passphrase_problems(wanted: Settings) -> Iterator[Problem]:
    text = wanted.passphrase.reveal() if wanted.passphrase else ""
    if not text:
        if wanted.profile == "router":
            yield Problem(
                "no-passphrase", "a router's network is trusted, so it cannot be open to everybody",
                "Set plugins.wifi_ap.passphrase",
            )  # fmt: skip
        return
    if not LEAST_PASSPHRASE <= len(text) <= MOST_PASSPHRASE or not (text.isascii() and text.isprintable()):
        yield Problem(
            "bad-passphrase", f"a WPA2 passphrase has {LEAST_PASSPHRASE} to {MOST_PASSPHRASE} letters of ASCII",
            "Set another plugins.wifi_ap.passphrase",
        )  # fmt: skip
    elif _weak(text, wanted.ssid):
        yield Problem(
            "weak-passphrase", "the passphrase is weak: common, of few different letters, or the network's own name",
            "Set plugins.wifi_ap.passphrase to four or more words that nobody would guess",
        )  # fmt: skip


def _weak(text: str, ssid: str) -> bool:
    folded = text.casefold()
    bare = folded.strip("0123456789!?.-_ ")
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return (
        folded in COMMON
        or bare in COMMON
        or bare == ssid.casefold().strip("0123456789!?.-_ ")
        or len(set(folded)) < LEAST_LETTERS
        or steps in ({1}, {-1})
    )


def _uplink_problems(now: Snapshot, wanted: Settings, device: Device | None) -> Iterator[Problem]:
    if wanted.uplink == "none":
        return
    uplink = uplink_of(now, wanted)
    if not uplink:
        yield Problem(
            "no-uplink", "there is nothing to share: this machine has no default route",
            'Connect it to the internet first, best by cable, or set plugins.wifi_ap.uplink = "none"',
        )  # fmt: skip
    elif now.device(uplink) is None:
        yield Problem("no-uplink-device", f"there is no interface {uplink}", "Set plugins.wifi_ap.uplink to one")
    elif device is not None and device.name == uplink:
        kind = "radio" if device.radio else "cable"
        yield Problem(
            "uplink-same", f"{uplink} is also the uplink: this machine would lose the internet, and you perhaps it",
            f"Bring the internet by another {kind}: for a Raspberry Pi by its Ethernet port, or add a USB adapter",
        )  # fmt: skip
    elif wanted.uplink and now.uplink and uplink != now.uplink:
        yield Problem(
            "uplink-elsewhere", f"the default route goes to {now.uplink}, not to {uplink}",
            f"Connect {uplink}, or set plugins.wifi_ap.uplink to {now.uplink}",
        )  # fmt: skip


def _address_problems(now: Snapshot, wanted: Settings, device: Device | None) -> Iterator[Problem]:
    network = wanted.home.network
    if wanted.profile == "public" and not any(network.subnet_of(each) for each in PRIVATE):
        yield Problem(
            "public-address", f"{network} is no private network, and the gatekeeper takes no other for guests",
            "Set plugins.wifi_ap.address to one like 10.77.7.1/24",
        )  # fmt: skip
    for other in now.devices:
        if device is None or other.name != device.name:
            clash = next((each for each in other.networks if each.overlaps(network)), None)
            if clash is not None:
                yield Problem(
                    "network-taken", f"{network} overlaps {clash}, which {other.name} is in",
                    "Set plugins.wifi_ap.address to a network that is free, like 10.77.7.1/24",
                )  # fmt: skip


def _tool_problems(now: Snapshot, wanted: Settings, _: Device | None) -> Iterator[Problem]:
    if not now.dnsmasq:
        yield Problem(
            "no-dnsmasq", "dnsmasq is not installed, which gives guests their addresses",
            "sudo apt install dnsmasq-base",
        )  # fmt: skip
    if wanted.profile == "public" and now.gatekeeper:
        yield Problem(
            "no-gatekeeper", f"the part that runs as root does not answer: {now.gatekeeper}",
            "Install it: arthexis wifi setup --to setup.sh, then sudo sh setup.sh",
        )  # fmt: skip


CHECKS: Final[tuple[Callable[[Snapshot, Settings, Device | None], Iterator[Problem]], ...]] = (
    _device_problems,
    _radio_problems,
    _name_problems,
    _uplink_problems,
    _address_problems,
    _tool_problems,
)


# ---------------------------------------------------------------------- what would change


def _changes(now: Snapshot, wanted: Settings, device: Device) -> Iterator[str]:
    if device.connection and device.uuid != UUID:
        yield f"{device.name} leaves {device.connection}"
    verb = "Replace" if now.here else "Add"
    yield f"{verb} the connection {CONNECTION} on {device.name}, with the address {wanted.address}, DHCP and DNS"
    if device.radio:
        how = "WPA2" if wanted.passphrase else "open"
        channel = f"channel {wanted.channel}" if wanted.channel else "a channel of its choice"
        yield f"{device.name} becomes an access point: {wanted.ssid!r}, {how}, {wanted.band} GHz, {channel}"
    uplink = uplink_of(now, wanted)
    if uplink:
        yield f"What comes from {device.name} goes out by {uplink} under its address (NAT)"
    if wanted.profile == "public":
        yield from _portal_changes(wanted, device)


def _portal_changes(wanted: Settings, device: Device) -> Iterator[str]:
    yield f"Guests on {device.name} reach DHCP, DNS and the portal {wanted.portal} of this node, and nothing else of it"
    yield f"After their consent they reach the internet for {wanted.lease_minutes:g} minutes"
    if wanted.isolate:
        yield "Guests cannot reach each other"
    if not wanted.reach_private:
        yield "Guests cannot reach private addresses behind the uplink"


def _notices(now: Snapshot, wanted: Settings, device: Device | None) -> Iterator[str]:
    if device is not None and device.radio and not now.country:
        yield "Nobody says which country the radio is set to; check `iw reg get`"
    if wanted.profile == "public" and device is not None and device.radio and not wanted.passphrase:
        yield "The network is open: what guests send is readable to everybody near, unless they encrypt it themselves"
    if wanted.profile == "public" and not wanted.portal_name:
        yield "The portal has no certificate: devices find it by their own probes, and ignore DHCP option 114"
    uplink = now.device(uplink_of(now, wanted))
    if uplink is not None and uplink.radio and device is not None and device.radio:
        yield f"The uplink {uplink.name} is Wi-Fi too; a cable is faster and does not fail with the radio"


def holder(now: Snapshot, address: str) -> str:
    """The device that holds an address of this machine; empty where none does."""
    wanted = ipaddress.ip_address(address)
    return next((d.name for d in now.devices if any(ipaddress.IPv4Interface(a).ip == wanted for a in d.addresses)), "")
