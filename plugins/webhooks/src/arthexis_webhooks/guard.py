"""Where webhooks may go: to public addresses, and to the networks that the settings allow.

Names are looked up by the connection itself, so that a name cannot mean one address when it is checked and another
when it is used.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from arthexis import DomainError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NAT64 = ipaddress.ip_network("64:ff9b::/96")
CURE = "Use a public address, or add its network to plugins.webhooks.allowed_networks"


class Refused(OSError):
    """The address is one that nobody outside should make us talk to."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from their texts (``192.168.1.0/24``, ``::1``); raises ``ValueError``."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        teredo = address.teredo
        return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
    return address


def allows(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether a webhook may be delivered to this address."""
    real = meant(address)
    if any(real in network or address in network for network in allowed):
        return True
    return real.is_global and not real.is_multicast and not real.is_reserved


def check(url: str, allowed: Iterable[Network]) -> None:
    """Refuse a URL to which nothing will ever be delivered; raises ``DomainError``."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise DomainError(
            f"{url[:80]!r} is no URL", place="webhooks url", cure="Write it like https://example.org/hook"
        )
    if parts.username is not None or parts.password is not None:
        raise DomainError("a URL with a password is not kept", place="webhooks url", cure="Check our signature instead")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if not allows(address, allowed):
        raise DomainError(f"{host} is a private address", place="webhooks url", cure=CURE)


class Guarded(AbstractResolver):
    """Looks names up, and refuses those that stand for a private address."""

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        """Let public addresses through, and these networks."""
        self._allowed = allowed
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name, all of them allowed; raises ``Refused``."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            if not allows(ipaddress.ip_address(each["host"].partition("%")[0]), self._allowed):
                raise Refused(f"{host} stands for {each['host']}, a private address")
        return found

    async def close(self) -> None:
        """Close what looks names up."""
        await self._resolver.close()

    def __repr__(self, *_: Any) -> str:
        return f"Guarded({', '.join(map(str, self._allowed))})"
