"""NetworkManager over D-Bus: the few calls that an access point needs, each failure with a cure.

``dbus_fast`` is imported when a bus is opened, so that this module can be imported where there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from arthexis import Unavailable
from arthexis_wifi_ap.planning import CONNECTION, UUID
from arthexis_wifi_ap.settings import Settings
from arthexis_wifi_ap.snapshot import NM, NOWHERE, ROOT, Device, Objects

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

BUS: Final = "org.freedesktop.DBus"
SETTINGS: Final = f"{ROOT}/Settings"
PATIENCE_S: Final = 25.0
CONNECT_S: Final = 5.0
ACTIVATION_S: Final = 45.0
POLL_S: Final = 0.2
ACTIVATING, ACTIVATED = 1, 2
TO_DISK, BLOCK_AUTOCONNECT = 0x1, 0x20
FORGET_NEW, LEAVE_NEW = 0x02, 0x04
INSTALL: Final = "Install and start it: sudo apt install network-manager; sudo systemctl enable --now NetworkManager"
NOBODY: Final = {f"{BUS}.Error.{name}" for name in ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected")}
GONE: Final = {
    f"{BUS}.Error.UnknownMethod",
    f"{BUS}.Error.UnknownObject",
    f"{NM}.Settings.InvalidConnection",
    f"{NM}.UnknownConnection",
    f"{NM}.ConnectionNotActive",
    f"{NM}.InvalidArguments",
}
DENIED: Final = (f"{NM}.PermissionDenied", f"{NM}.Settings.PermissionDenied", f"{BUS}.Error.AccessDenied")

Typed = dict[str, dict[str, tuple[str, Any]]]


class Failed(Unavailable):
    """NetworkManager refused; ``name`` is the D-Bus error's."""

    def __init__(self, name: str, said: str) -> None:
        """Say what it said, and what helps against it."""
        cure = "See `journalctl -u NetworkManager`"
        if name in DENIED:
            cure = "Let this node's user ask it: arthexis wifi setup --to setup.sh, then sudo sh setup.sh"
        super().__init__(f"NetworkManager refuses: {said or name}", place="plugin wifi_ap", cure=cure)
        self.name = name


class Own(Struct, frozen=True):
    """Our connection: its path, where it is, of which profile, and its name on the air (empty: a cable)."""

    path: str
    interface: str
    profile: str
    ssid: str


class NetworkManager:
    """NetworkManager on the system bus; every method may raise ``Unavailable``."""

    def __init__(self) -> None:
        """Open the bus with the first call, and again where it was lost."""
        self._bus: MessageBus | None = None

    async def _opened(self) -> MessageBus:
        if self._bus is None or not self._bus.connected:
            self._bus = await opened()
        return self._bus

    def close(self) -> None:
        """Leave the bus."""
        if self._bus is not None and self._bus.connected:
            self._bus.disconnect()

    async def _call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        bus = await self._opened()
        from dbus_fast import Message, MessageType

        message = Message(
            destination=NM, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await bus.call(message)
        except TimeoutError:
            raise Unavailable("NetworkManager does not answer", place="plugin wifi_ap", cure=INSTALL) from None
        except (OSError, EOFError) as error:
            raise Unavailable(f"the system bus is gone: {error}", place="plugin wifi_ap", cure=INSTALL) from None
        if answer.message_type is MessageType.METHOD_RETURN:
            return answer.body[0] if answer.body else None
        name, said = str(answer.error_name), str(answer.body[0]) if answer.body else ""
        if name in NOBODY:
            raise Unavailable("NetworkManager is not running", place="plugin wifi_ap", cure=INSTALL)
        raise Failed(name, said)

    async def objects(self) -> Objects:
        """Everything that it knows, by path and interface, as plain values."""
        found = await self._call("/org/freedesktop", f"{BUS}.ObjectManager", "GetManagedObjects")
        return {path: {name: plain(members) for name, members in each.items()} for path, each in found.items()}

    async def connection(self) -> str | None:
        """The path of our connection; None where there is none."""
        try:
            return str(await self._call(SETTINGS, f"{NM}.Settings", "GetConnectionByUuid", "s", UUID))
        except Failed as failed:
            if failed.name in GONE:
                return None
            raise

    async def own(self) -> Own | None:
        """Our connection as it was applied (the settings may say something else by now); None where there is none."""
        path = await self.connection()
        if path is None:
            return None
        try:
            found = plain(await self._call(path, f"{NM}.Settings.Connection", "GetSettings"))
        except Failed as failed:
            if failed.name in GONE:
                return None
            raise
        told = found.get("connection", {})
        ssid = found.get("802-11-wireless", {}).get("ssid", b"")
        profile = "router" if told.get("autoconnect", True) else "public"
        return Own(path, str(told.get("interface-name", "")), profile, bytes(ssid).decode("utf-8", "replace"))

    async def put(self, profile: Typed) -> str:
        """Add our connection, or replace it; its path."""
        path = await self.connection()
        if path is None:
            flags = TO_DISK | BLOCK_AUTOCONNECT
            return str(
                await self._call(
                    SETTINGS, f"{NM}.Settings", "AddConnection2", "a{sa{sv}}ua{sv}", wrapped(profile), flags, {}
                )
            )
        await self._call(path, f"{NM}.Settings.Connection", "Update", "a{sa{sv}}", wrapped(profile))
        return path

    async def activate(self, connection: str, device: Device) -> None:
        """Have a device use a connection, and wait until it does; raises ``Unavailable`` where it does not."""
        active = await self._call(ROOT, NM, "ActivateConnection", "ooo", connection, device.path, NOWHERE)
        try:
            async with asyncio.timeout(ACTIVATION_S):
                while (state := await self._state(active)) == ACTIVATING:
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            state = ACTIVATING
        if state != ACTIVATED:
            raise Unavailable(
                f"{device.name} did not become active", place="plugin wifi_ap",
                cure="`journalctl -u NetworkManager` says why; often the channel is not allowed in the country",
            )  # fmt: skip

    async def _state(self, active: str) -> int:
        try:
            found = await self._call(active, f"{BUS}.Properties", "Get", "ss", f"{NM}.Connection.Active", "State")
        except Failed as failed:
            if failed.name in GONE:
                return 0
            raise
        return int(found.value)

    async def delete(self, path: str) -> None:
        """Forget a connection, and leave the network that it made."""
        await self._quietly(path, f"{NM}.Settings.Connection", "Delete")

    async def checkpoint(self, timeout_s: int) -> str:
        """Have everything put back by itself after so many seconds, whatever becomes of this node; its path."""
        return str(await self._call(ROOT, NM, "CheckpointCreate", "aouu", [], timeout_s, FORGET_NEW | LEAVE_NEW))

    async def extend(self, checkpoint: str, timeout_s: int) -> None:
        """Have it put back so many seconds from now."""
        await self._call(ROOT, NM, "CheckpointAdjustRollbackTimeout", "ou", checkpoint, timeout_s)

    async def keep(self, checkpoint: str) -> bool:
        """Let what was changed stay; False where it was put back already."""
        return await self._quietly(ROOT, NM, "CheckpointDestroy", "o", checkpoint)

    async def roll_back(self, checkpoint: str) -> bool:
        """Put everything back now; False where that was done already."""
        return await self._quietly(ROOT, NM, "CheckpointRollback", "o", checkpoint)

    async def _quietly(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> bool:
        try:
            await self._call(path, interface, member, signature, *body)
        except Failed as failed:
            if failed.name not in GONE:
                raise
            return False
        return True


async def opened() -> MessageBus:
    """The system bus; raises ``Unavailable`` where there is none."""
    try:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus
        from dbus_fast.errors import AuthError, InvalidAddressError
    except ImportError:
        raise Unavailable(
            "access points are made by NetworkManager, which only Linux has", place="plugin wifi_ap",
            cure="arthexis plugins disable arthexis-wifi-ap:wifi_ap",
        ) from None  # fmt: skip
    try:
        async with asyncio.timeout(CONNECT_S):
            return await MessageBus(bus_type=BusType.SYSTEM).connect()
    except TimeoutError:
        raise Unavailable("the system bus does not answer", place="plugin wifi_ap", cure=INSTALL) from None
    except (OSError, EOFError, AuthError, InvalidAddressError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unavailable(f"there is no system bus: {said}", place="plugin wifi_ap", cure=INSTALL) from None


def plain(value: Any) -> Any:
    """A value of D-Bus without its signatures."""
    from dbus_fast import Variant

    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def wrapped(profile: Typed) -> dict[str, dict[str, Any]]:
    """A connection as D-Bus has it."""
    from dbus_fast import Variant

    return {name: {key: Variant(*typed) for key, typed in group.items()} for name, group in profile.items()}


def profile(wanted: Settings, device: Device) -> Typed:
    """Our connection as NetworkManager has it, each value with its D-Bus signature.

    The public one is never activated by NetworkManager itself: its guests must find the gate closed, after a reboot
    too, so the node brings it up after the gatekeeper has closed it.
    """
    own = {"address": ("s", str(wanted.home.ip)), "prefix": ("u", wanted.home.network.prefixlen)}
    found: Typed = {
        "connection": {
            "id": ("s", CONNECTION),
            "uuid": ("s", UUID),
            "type": ("s", "802-11-wireless" if device.radio else "802-3-ethernet"),
            "interface-name": ("s", device.name),
            "autoconnect": ("b", wanted.profile == "router"),
            "autoconnect-priority": ("i", 100),
        },
        "ipv4": {"method": ("s", "shared"), "address-data": ("aa{sv}", [_variants(own)])},
        "ipv6": {"method": ("s", "disabled")},
    }
    return {**found, **(_wifi(wanted) if device.radio else {"802-3-ethernet": {}})}


def _variants(members: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    from dbus_fast import Variant

    return {key: Variant(*typed) for key, typed in members.items()}


def _wifi(wanted: Settings) -> Typed:
    isolated = wanted.profile == "public" and wanted.isolate
    wireless: dict[str, tuple[str, Any]] = {
        "ssid": ("ay", wanted.ssid.encode()),
        "mode": ("s", "ap"),
        "band": ("s", "a" if wanted.band == "5" else "bg"),
        "ap-isolation": ("i", int(isolated)),
        "hidden": ("b", wanted.hidden),
        **({"channel": ("u", wanted.channel)} if wanted.channel else {}),
    }
    if not wanted.passphrase:
        return {"802-11-wireless": wireless}
    safe = {key: ("as", [value]) for key, value in (("proto", "rsn"), ("pairwise", "ccmp"), ("group", "ccmp"))}
    return {
        "802-11-wireless": wireless,
        "802-11-wireless-security": {
            "key-mgmt": ("s", "wpa-psk"),
            "psk": ("s", wanted.passphrase.reveal()),
            **safe,
        },
    }
