"""Guests: how they are recognised, what they consent to, and who was let through until when."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from arthexis import Connection, Context, DomainError, Invalid
from arthexis_wifi_ap import tables
from arthexis_wifi_ap.gate import Gate
from arthexis_wifi_ap.settings import Settings

KEY_FILE: Final = "wifi_ap.key"
KEY_BYTES: Final = 32
DEVICE_LETTERS: Final = 32
TOKEN_MINUTES: Final = 60
MOST_OF_DEVICE: Final = 20
NEIGHBOURS: Final = Path("/proc/net/arp")
COMPLETE: Final = 0x2
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}").fullmatch


class Barred(DomainError):
    """An operator ended this device's access."""


class Busy(DomainError):
    """Too many consents within a minute."""


class Stale(Invalid):
    """The form is too old, or not this device's."""


def mac_address(text: str) -> str:
    """A MAC address in lower case with colons; raises ``Invalid``."""
    mac = text.strip().lower().replace("-", ":")
    if not MAC(mac):
        raise Invalid("no MAC address", place="mac", cure="Write it like aa:bb:cc:00:11:22", member="mac")
    return mac


def neighbours(interface: str) -> dict[str, str]:
    """The addresses of those who were seen on an interface, by MAC address."""
    try:
        lines = [line.split() for line in NEIGHBOURS.read_text("ascii").splitlines()[1:]]
    except OSError:
        return {}
    mine = (parts for parts in lines if len(parts) == 6 and parts[5] == interface and int(parts[2], 16) & COMPLETE)
    return {parts[3]: parts[0] for parts in mine}


def key_of(home: Path) -> bytes:
    """The key of this node's guests, made when it is first asked for; only the folder's owner can read it."""
    path = home / KEY_FILE
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()


class Guests:
    """The guests of a node: consents in its database, leases in the gatekeeper's table."""

    def __init__(self, ctx: Context, gate: Gate) -> None:
        """Belong to this node."""
        self._ctx = ctx
        self._wanted: Settings = ctx.config
        self._gate = gate
        self._key = key_of(ctx.host.home)
        self.shown = {language: _shown(language, text) for language, text in self._wanted.terms.items()}

    def device(self, mac: str) -> str:
        """What is kept of a MAC address."""
        return self._mac("device", mac)[:DEVICE_LETTERS]

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._key, "|".join(parts).encode(), hashlib.sha256).hexdigest()

    def token(self, mac: str, digest: str) -> str:
        """What a form carries, so that only the page that this device was shown can consent, to that text."""
        minute = str(int(self._ctx.clock.now().timestamp()) // 60)
        return f"{minute}.{digest}.{self._mac('form', minute, digest, mac)}"

    def agreed(self, mac: str, token: str) -> dict[str, str]:
        """The text that a form's token is about; raises ``Stale``."""
        minute, _, rest = token.partition(".")
        digest, _, proof = rest.partition(".")
        shown = next((each for each in self.shown.values() if each["digest"] == digest), None)
        genuine = hmac.compare_digest(proof.encode(), self._mac("form", minute, digest, mac).encode())
        now = int(self._ctx.clock.now().timestamp()) // 60
        if not genuine or shown is None or not 0 <= now - int(minute) <= TOKEN_MINUTES:
            raise Stale("this page is too old", place="portal", cure="Load it again")
        return shown

    async def consent(self, interface: str, address: str, token: str) -> datetime:
        """Keep a guest's consent and let it through; until when. Raises ``Barred``, ``Busy``, ``Stale``."""
        mac, _ = await self._gate.who(interface, address)
        shown = self.agreed(mac, token)
        at = self._ctx.clock.now()
        seconds = max(1, round(self._wanted.lease_minutes * 60))
        until = at + timedelta(seconds=seconds)
        await self._ctx.journal.write(lambda db: self._keep(db, self.device(mac), shown, at, until))
        admitted = await self._gate.admit(interface, address, seconds)
        await self._still_welcome(admitted)
        if admitted != mac:
            await self._gate.revoke(admitted)
            raise Stale("the device changed its address meanwhile", place="portal", cure="Load the page again")
        return until

    def _keep(self, db: Connection, device: str, shown: dict[str, str], at: datetime, until: datetime) -> None:
        if tables.is_barred(db, device, at):
            raise _barred()
        if tables.extend(db, device, shown["digest"], at, until):
            return
        many = tables.lately(db, at) >= self._wanted.consents_a_minute
        if many or tables.lately_of(db, device, at) >= MOST_OF_DEVICE:
            raise Busy("too many people at this moment", place="portal", cure="Try again in a minute")
        tables.keep(db, device, shown, at, until)

    async def _still_welcome(self, mac: str) -> None:
        """Let a device in no further that an operator revoked while it was being let in; raises ``Barred``."""
        at, device = self._ctx.clock.now(), self.device(mac)
        if await self._ctx.host.database.read(lambda db: tables.is_barred(db, device, at)):
            await self._gate.revoke(mac)
            raise _barred()

    async def leave(self, interface: str, address: str, token: str) -> None:
        """End a guest's own access; raises ``Stale``."""
        mac, _ = await self._gate.who(interface, address)
        self.agreed(mac, token)
        at, device = self._ctx.clock.now(), self.device(mac)
        await self._ctx.journal.write(lambda db: tables.end(db, device, tables.LEFT, at))
        await self._gate.revoke(mac)

    async def revoke(self, mac: str) -> bool:
        """End a device's access at once, and keep it out until the time of its consent would have been over.

        Whether it was let through or is kept out now: a device without a consent that runs is not kept out. This is
        written before the gate is told, so that a consent which is under way finds it, or is undone by it.
        """
        at, device = self._ctx.clock.now(), self.device(mac)

        def write(db: Connection) -> bool:
            tables.end(db, device, tables.REVOKED, at)
            return tables.is_barred(db, device, at)

        barred = await self._ctx.journal.write(write)
        return await self._gate.revoke(mac) or barred


def _barred() -> Barred:
    return Barred("an operator ended this device's access", place="portal", cure="Ask the operator")


def _shown(language: str, text: str) -> dict[str, str]:
    digest = hashlib.sha256(f"{language}\n{text}".encode()).hexdigest()
    return {"digest": digest, "language": language, "text": text}


async def tidy(ctx: Context, _args: Mapping[str, Any]) -> None:
    """Forget consents whose time is over for longer than they are kept."""
    settings: Settings = ctx.config
    before = ctx.clock.now() - timedelta(days=settings.consent_days)
    await ctx.journal.write(lambda db: tables.forget(db, before))
