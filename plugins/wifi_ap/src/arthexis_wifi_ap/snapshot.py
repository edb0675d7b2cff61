"""What a machine's network is like at one moment, as NetworkManager tells it, in a form that plans are made from."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

NM: Final = "org.freedesktop.NetworkManager"
ROOT: Final = "/org/freedesktop/NetworkManager"
WIRED: Final = frozenset({1, 20})
RADIO: Final = 2
UNMANAGED, UNAVAILABLE, ACTIVATED = 10, 20, 100
CAN_AP, CAN_5_GHZ = 0x40, 0x400
NOWHERE: Final = "/"

Objects = Mapping[str, Mapping[str, Mapping[str, Any]]]


class Device(Struct, frozen=True, kw_only=True):
    """A network device: ``connection`` is the name of what is active on it, ``uuid`` that connection's."""

    path: str = ""
    name: str
    wired: bool = False
    radio: bool = False
    managed: bool = True
    available: bool = True
    active: bool = False
    can_ap: bool = False
    can_5_ghz: bool = False
    connection: str = ""
    uuid: str = ""
    addresses: tuple[str, ...] = ()
    gateway: str = ""

    @property
    def networks(self) -> list[ipaddress.IPv4Network]:
        """The networks that its addresses are in."""
        return [ipaddress.IPv4Interface(address).network for address in self.addresses]


class Snapshot(Struct, frozen=True, kw_only=True):
    """A machine's network. ``country`` is the radio's by law: "00" where none is set, empty where nobody knows.

    ``uplink`` is the device of the default route; ``here`` says that our connection exists, ``tools`` which commands
    that NetworkManager needs are installed, ``gatekeeper`` why the part that runs as root does not answer, if so.
    """

    devices: tuple[Device, ...] = ()
    uplink: str = ""
    radio_on: bool = True
    radio_switch_on: bool = True
    country: str = ""
    here: bool = False
    dnsmasq: bool = True
    gatekeeper: str = ""
    version: str = ""

    def device(self, name: str) -> Device | None:
        """The device of this name."""
        return next((device for device in self.devices if device.name == name), None)


def read(objects: Objects, uuid: str, **more: Any) -> Snapshot:
    """A snapshot from the answer of ``GetManagedObjects``, values unpacked; ``uuid`` is our connection's."""
    root = objects.get(ROOT, {}).get(NM, {})
    devices = tuple(
        _device(path, interfaces, objects) for path, interfaces in objects.items() if f"{NM}.Device" in interfaces
    )
    primary = _primary(objects, root.get("PrimaryConnection", NOWHERE))
    return Snapshot(
        devices=tuple(sorted(devices, key=lambda device: device.name)),
        uplink=next((device.name for device in devices if device.path in primary), ""),
        radio_on=bool(root.get("WirelessEnabled", True)),
        radio_switch_on=bool(root.get("WirelessHardwareEnabled", True)),
        version=str(root.get("Version", "")),
        **more,
    )


def _primary(objects: Objects, path: str) -> list[str]:
    return list(objects.get(path, {}).get(f"{NM}.Connection.Active", {}).get("Devices", []))


def _device(path: str, interfaces: Mapping[str, Mapping[str, Any]], objects: Objects) -> Device:
    told, radio = interfaces[f"{NM}.Device"], interfaces.get(f"{NM}.Device.Wireless", {})
    active = objects.get(told.get("ActiveConnection", NOWHERE), {}).get(f"{NM}.Connection.Active", {})
    ip4 = objects.get(told.get("Ip4Config", NOWHERE), {}).get(f"{NM}.IP4Config", {})
    state, able = int(told.get("State", 0)), int(radio.get("WirelessCapabilities", 0))
    return Device(
        path=path,
        name=str(told.get("Interface", "")),
        wired=told.get("DeviceType") in WIRED,
        radio=told.get("DeviceType") == RADIO,
        managed=bool(told.get("Managed", state > UNMANAGED)),
        available=state > UNAVAILABLE,
        active=state == ACTIVATED,
        can_ap=bool(able & CAN_AP),
        can_5_ghz=bool(able & CAN_5_GHZ),
        connection=str(active.get("Id", "")),
        uuid=str(active.get("Uuid", "")),
        addresses=tuple(f"{each['address']}/{each['prefix']}" for each in ip4.get("AddressData", [])),
        gateway=str(ip4.get("Gateway", "")),
    )
