"""The access point over HTTP: plan, apply, confirm, look, revoke, remove."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from arthexis import Answer, ApiRequest, Connection, Invalid, Route, Unavailable
from arthexis_wifi_ap import tables
from arthexis_wifi_ap.access_point import AccessPoint, Client, Status
from arthexis_wifi_ap.guests import mac_address
from arthexis_wifi_ap.planning import Plan

PATH: Final = "/wifi"
NO_NUL: Final = r"^[^\x00]*$"


class Held:
    """Where the handlers find the access point of their node, while its plugin is active."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.access_point: AccessPoint | None = None


def of(request: ApiRequest) -> AccessPoint:
    """The node's access point; raises ``Unavailable`` with the reason while the plugin is not active."""
    held = request.host.service(Held)
    if held is None or held.access_point is None:
        plugin = next(iter(request.host.composition.named("arthexis-wifi-ap:wifi_ap")), None)
        reason, cure = (plugin.reason, plugin.cure) if plugin is not None else ("", "")
        raise Unavailable(reason or "it is not active", place="plugin wifi_ap", cure=cure)
    return held.access_point


class Apply(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to apply. ``admin`` is the node's address by which whoever asks has come, where the node cannot see it."""

    confirm_within_s: Annotated[int, Meta(ge=5, le=600, description="Then it is put back, unless confirmed")] = 60
    admin: Annotated[str, Meta(max_length=45, pattern=NO_NUL, description="An IPv4 address of this machine")] = ""


class OfClient(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which device."""

    mac: Annotated[str, Meta(min_length=17, max_length=17, pattern=NO_NUL, description="Its MAC address")]


class Which(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which consents."""

    mac: Annotated[str, Meta(max_length=17, pattern=NO_NUL, description="Only of this MAC address")] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most")] = 100
    cursor: Annotated[str, Meta(pattern="^[0-9a-f]{1,15}$", description="`next` of the answer before")] | None = None


class Consent(Struct, kw_only=True):
    """A consent: ``device`` is an HMAC of the MAC address, ``digest`` names the text that was agreed to."""

    device: str
    at: datetime
    until: datetime
    ended_at: datetime | None
    ended_by: str | None
    language: str
    digest: str
    text: str


class ConsentPage(Struct, kw_only=True):
    """Part of the list of consents."""

    items: list[Consent]
    next: str | None


class ClientList(Struct, kw_only=True):
    """The devices in the network."""

    items: list[Client]


async def plan(request: ApiRequest) -> Plan:
    """What applying would change, and what keeps it from that."""
    return await of(request).plan()


async def apply(request: ApiRequest) -> Status:
    """Apply the plan, to be confirmed."""
    asked: Apply = request.body
    return await of(request).apply(asked.confirm_within_s, _admin(request, asked.admin))


def _admin(request: ApiRequest, given: str) -> str:
    transport = request.http.transport
    seen = transport.get_extra_info("sockname") if transport is not None else None
    text = given or str(seen[0] if isinstance(seen, tuple) else "")
    try:
        address = ipaddress.ip_address(text.removeprefix("::ffff:")) if text else None
    except ValueError:
        raise Invalid("no IP address", place="admin", cure="Leave it out", member="admin") from None
    usable = address is not None and address.version == 4 and not address.is_loopback
    return str(address) if usable else ""


async def confirm(request: ApiRequest) -> Status:
    """Keep what was applied."""
    return await of(request).confirm()


async def status(request: ApiRequest) -> Status:
    """How the access point is."""
    return await of(request).status()


async def remove(request: ApiRequest) -> Status:
    """Take everything away."""
    return await of(request).remove()


async def clients(request: ApiRequest) -> ClientList:
    """The devices in the network."""
    return ClientList(items=await of(request).clients())


async def revoke(request: ApiRequest) -> Answer:
    """End a device's access at once."""
    mac = mac_address(request.params.mac)
    if not await of(request).guests.revoke(mac):
        return Answer({"mac": mac, "revoked": False})
    return Answer({"mac": mac, "revoked": True})


async def consents(request: ApiRequest) -> ConsentPage:
    """Who consented, the latest first."""
    asked: Which = request.params
    guests = of(request).guests
    device = guests.device(mac_address(asked.mac)) if asked.mac else None
    before = int(asked.cursor, 16) if asked.cursor else None

    def read(db: Connection) -> list[dict[str, Any]]:
        return tables.latest(db, device=device, before=before, limit=asked.limit + 1)

    rows = await request.host.database.read(read)
    items = [Consent(**{name: row[name] for name in Consent.__struct_fields__}) for row in rows[: asked.limit]]
    return ConsentPage(items=items, next=f"{rows[asked.limit - 1]['id']:x}" if len(rows) > asked.limit else None)


_W: Final = "wifi"
ROUTES: Final = (
    Route("GET", f"{PATH}/plan", plan, "viewer", "Show what applying would change", answer=Plan, topic=_W),
    Route(
        "POST",
        f"{PATH}/apply",
        apply,
        "administrator",
        "Apply the plan",
        "It is put back if the uplink or the administrator's way is lost, or if it is not confirmed in time.",
        body=Apply,
        answer=Status,
        conflicts=True,
        topic=_W,
    ),
    Route(
        "POST",
        f"{PATH}/confirm",
        confirm,
        "administrator",
        "Keep what was applied",
        answer=Status,
        conflicts=True,
        topic=_W,
    ),
    Route("GET", PATH, status, "viewer", "Show how the access point is", answer=Status, topic=_W),
    Route(
        "DELETE", PATH, remove, "administrator", "Take the access point away", answer=Status, conflicts=True, topic=_W
    ),
    Route("GET", f"{PATH}/clients", clients, "operator", "List the devices in it", answer=ClientList, topic=_W),
    Route(
        "DELETE",
        f"{PATH}/clients/{{mac}}",
        revoke,
        "operator",
        "End a device's access at once",
        "With a consent whose time runs, left or not, it stays out until that is over; without one it may consent.",
        params=OfClient,
        answer=dict[str, Any],
        topic=_W,
    ),
    Route(
        "GET",
        f"{PATH}/consents",
        consents,
        "administrator",
        "List consents, the latest first",
        params=Which,
        answer=ConsentPage,
        topic=_W,
    ),
)
