"""The access point of a node: planned, applied with a way back, watched, and taken away without a trace."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from typing import Any, Final, Literal

from msgspec import Struct

from arthexis import ArthexisError, Context, DomainError, Unavailable
from arthexis_wifi_ap import planning, radio, snapshot
from arthexis_wifi_ap.gate import Gate
from arthexis_wifi_ap.guests import Guests, neighbours
from arthexis_wifi_ap.network_manager import NetworkManager, Own, profile
from arthexis_wifi_ap.planning import Plan
from arthexis_wifi_ap.portal import Portal
from arthexis_wifi_ap.settings import Settings
from arthexis_wifi_ap.snapshot import Device, Snapshot

CHANGED: Final = "wifi.changed"
WATCH_S: Final = 1.0
REST_S: Final = 5.0
GLITCHES: Final = 3
GRACE_S: Final = 5
APPLYING_S: Final = 120
UNLIMITED: Final = (
    "the gate does not count guests' connections, so one guest can hold the node's file descriptors by the portal with "
    "TLS: the kernel lacks nft_connlimit, or the gatekeeper is an older one (arthexis wifi setup)"
)
SBIN: Final = "/usr/sbin:/usr/bin:/sbin:/bin"

State = Literal["absent", "down", "up", "unconfirmed"]


class Change(Struct, kw_only=True):
    """A change that nobody confirmed yet, and what must stay as it was while it is tried."""

    checkpoint: str
    deadline: float
    uplink: str
    admin: str
    lost: int = 0


class Status(Struct, kw_only=True):
    """How the access point is. ``confirm_within_s``: then it is put back; ``said``: what happened last."""

    state: State
    profile: str = ""
    interface: str = ""
    ssid: str = ""
    address: str = ""
    uplink: str = ""
    portal: str = ""
    guests: int = 0
    admitted: int = 0
    confirm_within_s: int | None = None
    said: str = ""


class Client(Struct, kw_only=True):
    """A device in the network; ``seconds`` is for how long it is let through yet, where there is a portal."""

    mac: str
    address: str
    admitted: bool
    seconds: int


class AccessPoint:
    """Everything that this plugin holds open on one node."""

    def __init__(self, ctx: Context) -> None:
        """Belong to this node; ``open`` must follow."""
        self._ctx = ctx
        self._wanted: Settings = ctx.config
        self._nm = NetworkManager()
        self._gate = Gate(ctx.config)
        self.guests = Guests(ctx, self._gate)
        self._portal = Portal(ctx, self._gate, self.guests)
        self._change: Change | None = None
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._said = ""

    async def open(self) -> None:
        """See that NetworkManager is there; raises ``Unavailable``. What was applied before is for ``watch``."""
        await self._nm.objects()

    async def close(self) -> None:
        """Leave the network as it is, but serve no portal; an unconfirmed change is put back by NetworkManager."""
        await self._portal.close()
        self._nm.close()

    # ------------------------------------------------------------------ looking

    async def _snapshot(self) -> Snapshot:
        return snapshot.read(
            await self._nm.objects(),
            planning.UUID,
            here=await self._nm.connection() is not None,
            country=await asyncio.to_thread(radio.country),
            dnsmasq=shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:{SBIN}") is not None,
            gatekeeper=await self._gate.trouble() if self._wanted.profile == "public" else "",
        )

    async def plan(self) -> Plan:
        """What ``apply`` would change; nothing is touched."""
        return planning.plan(await self._snapshot(), self._wanted)

    async def status(self) -> Status:
        """How it is now; ``said`` tells too why the gatekeeper cannot say who its guests are."""
        own, now = await self._nm.own(), await self._snapshot()
        if own is None:
            return Status(state="absent", said=self._said)
        device = now.device(own.interface)
        up = device is not None and device.active and device.uuid == planning.UUID
        found, wrong = await self._clients_if_known()
        return Status(
            state="unconfirmed" if self._change else "up" if up else "down",
            profile=own.profile,
            interface=own.interface,
            ssid=own.ssid,
            address=", ".join(device.addresses) if device is not None and up else "",
            uplink=now.uplink,
            portal=self._wanted.portal if self._portal.interface else "",
            guests=len(found),
            admitted=sum(client.admitted for client in found),
            confirm_within_s=self._seconds_left(),
            said="; ".join(dict.fromkeys(said for said in (self._said, wrong) if said)),
        )

    async def _clients_if_known(self) -> tuple[list[Client], str]:
        try:
            return await self.clients(), ""
        except Unavailable as missing:
            return [], str(missing)

    def _seconds_left(self) -> int | None:
        return max(0, round(self._change.deadline - self._now())) if self._change else None

    async def clients(self) -> list[Client]:
        """The devices in the network, those who are let through the longest first."""
        own = await self._nm.own()
        if own is None:
            return []
        seen = neighbours(own.interface)
        leases = await self._gate.leases() if own.profile == "public" else {}
        found = [
            Client(mac=mac, address=seen.get(mac, ""), admitted=mac in leases or not self._portal.interface,
                   seconds=leases.get(mac, 0))
            for mac in {*seen, *leases}
        ]  # fmt: skip
        return sorted(found, key=lambda client: (-client.seconds, client.mac))

    # ------------------------------------------------------------------ changing

    async def apply(self, confirm_within_s: int, admin: str) -> Status:
        """Do what the plan says, to be put back unless it is confirmed in time; raises ``DomainError``.

        ``admin`` is this machine's address by which whoever asks has come; empty where that is this machine itself.
        """
        async with self._lock:
            if self._change is not None:
                raise DomainError(
                    "a change waits for its confirmation", place="wifi", cure="arthexis wifi confirm, or wait"
                )
            now = await self._snapshot()
            device = self._applicable(now)
            came_by = admin if admin and planning.holder(now, admin) else ""
            change = Change(
                checkpoint=await self._nm.checkpoint(APPLYING_S), deadline=0.0, uplink=now.uplink, admin=came_by
            )
            await self._tried(change, device, confirm_within_s)
            change.deadline = self._now() + confirm_within_s
            self._change = change
            self._wake.set()
            await self._tell("applied", f"applied on {device.name}; it is put back unless it is confirmed")
        return await self.status()

    async def _tried(self, change: Change, device: Device, confirm_within_s: int) -> None:
        """Make the change; whatever goes wrong, it is put back."""
        kept = False
        try:
            await self._raise(device, await self._prepared(device))
            await self._nm.extend(change.checkpoint, confirm_within_s + GRACE_S)
            lost = self._lost(await self._snapshot(), change)
            if lost:
                raise Unavailable(lost, place="wifi", cure="Nothing was changed in the end")
            kept = True
        finally:
            if not kept:
                await self._put_back(change.checkpoint)

    def _applicable(self, now: Snapshot) -> Device:
        found = planning.plan(now, self._wanted)
        device = planning.chosen(now, self._wanted)
        if found.problems or device is None:
            first, more = found.problems[0], len(found.problems) - 1
            others = f" (and {more} more: arthexis wifi plan)" if more else ""
            raise DomainError(first.problem, place="wifi", cure=first.cure + others)
        return device

    async def _prepared(self, device: Device) -> str:
        """Close the gate before anybody can come, and put the connection; its path."""
        if self._wanted.profile == "public":
            await self._shut(device.name)
        return await self._nm.put(profile(self._wanted, device))

    async def _shut(self, interface: str) -> None:
        """Close the gate, and open the portal."""
        if not await self._gate.close(interface):
            self._ctx.log.warning("%s", UNLIMITED)
        await self._portal.open(interface)

    async def _raise(self, device: Device, connection: str) -> None:
        await self._nm.activate(connection, device)
        if self._wanted.profile == "router":
            await self._ungate()

    async def confirm(self) -> Status:
        """Let the change stay; raises ``DomainError`` where none waits."""
        async with self._lock:
            change = self._change
            if change is None:
                raise DomainError("no change waits for a confirmation", place="wifi", cure="arthexis wifi status")
            self._change = None
            if not await self._nm.keep(change.checkpoint):
                await self._settle()
                raise DomainError("it was put back already", place="wifi", cure="arthexis wifi apply")
            await self._tell("confirmed", "confirmed")
        return await self.status()

    async def remove(self) -> Status:
        """Leave nothing: no connection, no gate, no line for DHCP, no portal."""
        async with self._lock:
            change, self._change = self._change, None
            if change is not None:
                await self._nm.keep(change.checkpoint)
            own = await self._nm.own()
            if own is not None:
                await self._nm.delete(own.path)
            await self._portal.close()
            await self._taken_away(own)
            await self._tell("removed", "removed")
        return await self.status()

    async def _taken_away(self, own: Own | None) -> None:
        try:
            await self._gate.take_away()
        except Unavailable as wrong:
            if own is not None and own.profile == "public":
                raise Unavailable(
                    f"the connection is gone, its gate is not: {wrong.problem}", place="wifi",
                    cure="Start the gatekeeper and remove again, or: sudo nft delete table inet arthexis_wifi",
                ) from None  # fmt: skip

    # ------------------------------------------------------------------ watching

    async def watch(self) -> None:
        """For ever: put back what cut the uplink, cut the admin off or was not confirmed; keep up what was applied."""
        while True:
            try:
                async with self._lock:
                    await self._look()
            except ArthexisError as wrong:
                self._ctx.lacks(Unavailable(wrong.problem, place=wrong.place, cure=wrong.cure))
                self._say(str(wrong))
            else:
                self._ctx.has_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S if self._change else REST_S):
                    await self._wake.wait()
                    await asyncio.sleep(WATCH_S)
            self._wake.clear()

    async def _look(self) -> None:
        change = self._change
        if change is None:
            await self._settle()
            return
        lost = self._lost(await self._snapshot(), change)
        change.lost = change.lost + 1 if lost else 0
        if self._now() >= change.deadline:
            lost, change.lost = "nobody confirmed it in time", GLITCHES
        if change.lost >= GLITCHES:
            self._change = None
            await self._put_back(change.checkpoint)
            await self._tell("rolled back", f"put back: {lost}")

    def _lost(self, now: Snapshot, change: Change) -> str:
        """What the change has cost: the uplink, or the way by which the admin came; empty where nothing."""
        if change.uplink and now.uplink != change.uplink:
            return f"the uplink {change.uplink} was lost"
        if change.admin and not planning.holder(now, change.admin):
            return f"the address {change.admin}, by which the admin came, was lost"
        return ""

    async def _put_back(self, checkpoint: str) -> None:
        with suppress(Unavailable):
            await self._nm.roll_back(checkpoint)
        with suppress(Unavailable):
            await self._settle()  # the watch does it again; what is told is why it was put back

    async def _settle(self) -> None:
        """Make gate and portal fit what NetworkManager has; bring the public network up where it is down."""
        own = await self._nm.own()
        if own is None or own.profile != "public":
            await self._portal.close()
            await self._ungate()
            return
        if not self._portal.interface or not await self._gate.is_there():
            await self._shut(own.interface)
        now = snapshot.read(await self._nm.objects(), planning.UUID)
        device = now.device(own.interface)
        if device is not None and device.available and device.uuid != planning.UUID:
            await self._nm.activate(own.path, device)

    async def _ungate(self) -> None:
        """Take a gate away that nobody needs; where there is no gatekeeper, there is none."""
        with suppress(Unavailable):
            if await self._gate.is_there():
                await self._gate.take_away()

    # ------------------------------------------------------------------ telling

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _say(self, said: str) -> None:
        if said != self._said:
            self._ctx.log.warning("%s", said)
        self._said = said

    async def _tell(self, state: str, said: str) -> None:
        self._ctx.log.info("%s", said)
        self._said = said
        told: dict[str, Any] = {"state": state, "said": said}
        await self._ctx.journal.write(lambda db: db.event(CHANGED, None, told))
