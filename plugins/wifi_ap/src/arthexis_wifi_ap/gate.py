"""What the node asks of the gatekeeper, which runs as root: one line over its socket, one line back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from arthexis import Unavailable
from arthexis_wifi_ap.settings import Settings

PATIENCE_S: Final = 15.0
CLOSED: Final = "closed"
NO_GUEST: Final = "no-guest"
CURE: Final = "Install or restart it: arthexis wifi setup --to setup.sh, then sudo sh setup.sh"
AGAIN: Final = "Install the one of this version: arthexis wifi setup --to setup.sh, then sudo sh setup.sh"


class Shut(Unavailable):
    """There is no table: no gate was closed, or it was taken away."""


class NotAGuest(Unavailable):
    """The kernel knows no neighbour of this address."""


KINDS: Final[dict[str, type[Unavailable]]] = {CLOSED: Shut, NO_GUEST: NotAGuest}


class Gate:
    """The gatekeeper behind a socket; every method may raise ``Unavailable``."""

    def __init__(self, wanted: Settings) -> None:
        """Ask the one that the settings name, about their network."""
        self._wanted = wanted

    async def _ask(self, word: str, **members: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._exchanged({"do": word, **members})
        except TimeoutError:
            raise Unavailable("the gatekeeper does not answer", place=self._wanted.gatekeeper, cure=CURE) from None
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Unavailable(f"no gatekeeper: {said}", place=self._wanted.gatekeeper, cure=CURE) from None
        if answer.get("ok"):
            return answer
        said = str(answer.get("error", "no answer"))
        if "code" not in answer:
            raise Unavailable(f"the gatekeeper is an older one ({said})", place=self._wanted.gatekeeper, cure=AGAIN)
        raise KINDS.get(str(answer["code"]), Unavailable)(said, place="gatekeeper", cure=CURE)

    async def _exchanged(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self._wanted.gatekeeper)
        try:
            writer.write(msgspec.json.encode(asked) + b"\n")
            return msgspec.json.decode(await reader.read(), type=dict[str, Any])
        finally:
            writer.close()
            await writer.wait_closed()

    async def close(self, interface: str) -> bool:
        """Keep guests of this interface out, those who were admitted not; whether it counts each one's connections."""
        wanted = self._wanted
        told = await self._ask(
            "open",
            interface=interface,
            address=str(wanted.home.ip),
            port=wanted.portal_port,
            tls_port=wanted.portal_tls_port if wanted.portal_name else 0,
            name=wanted.portal_name,
            isolated=wanted.isolate,
            reach_private=wanted.reach_private,
        )
        return bool(told.get("limited"))

    async def take_away(self) -> bool:
        """Leave no table and no line for DHCP behind; whether there was a table."""
        there = await self.is_there()
        await self._ask("close")
        return there

    async def is_there(self) -> bool:
        """Whether the table is there."""
        try:
            await self._ask("leases")
        except Shut:
            return False
        return True

    async def who(self, interface: str, address: str) -> tuple[str, int]:
        """A guest's MAC address, and the seconds for which it is let through yet; raises ``NotAGuest``."""
        found = await self._ask("who", interface=interface, client=address)
        return str(found["mac"]), int(found["seconds"])

    async def admit(self, interface: str, address: str, seconds: int) -> str:
        """Let a guest through; its MAC address. Raises ``NotAGuest``."""
        return str((await self._ask("admit", interface=interface, client=address, seconds=seconds))["mac"])

    async def revoke(self, mac: str) -> bool:
        """Let a MAC address through no longer; whether it was."""
        return bool((await self._ask("revoke", mac=mac))["was_admitted"])

    async def leases(self) -> dict[str, int]:
        """The seconds that each MAC address is let through yet; empty where there is no gate."""
        if not await self.is_there():
            return {}
        return {str(each["mac"]): int(each["seconds"]) for each in (await self._ask("leases"))["leases"]}

    async def trouble(self) -> str:
        """Why the gatekeeper does not answer; empty where it does."""
        try:
            await self.is_there()
        except Unavailable as wrong:
            return wrong.problem
        return ""
