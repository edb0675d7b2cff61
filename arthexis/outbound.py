"""What a plugin sends to where somebody told it to: to public addresses only, and to networks that are allowed.

Names are looked up by the connection itself, so that a name cannot mean one address when it is checked and another
when it is used; an address that is written in a URL is checked by the client too, as the client itself reads it
(``①②⑦.0.0.1`` is 127.0.0.1). Redirects are not followed, proxies of the environment not used, and little of an answer
is read.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import (
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL  # what aiohttp reads every URL with, and brings

from arthexis.errors import DomainError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NAT64 = ipaddress.ip_network("64:ff9b::/96")
MOST_READ: Final = 2_048
MOST_SAID: Final = 100


class Refused(OSError):
    """The address is one that nobody outside should make us talk to."""


@dataclass(frozen=True, slots=True)
class Try:
    """How one POST went: the HTTP status, if there was one, and what was wrong, if anything."""

    status: int | None
    error: str | None


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
    """Whether something may be sent to this address."""
    real = meant(address)
    if any(real in network or address in network for network in allowed):
        return True
    return real.is_global and not real.is_multicast and not real.is_reserved


def check(url: str, allowed: Iterable[Network], *, place: str, setting: str) -> None:
    """Refuse a URL to which nothing will ever be sent; raises ``DomainError`` with ``place``.

    ``setting`` is the one that names the allowed networks, for the cure.
    """
    try:
        parts = URL(url)
    except ValueError:
        parts = URL()
    if parts.scheme not in {"http", "https"} or not parts.raw_host or not url.isprintable() or " " in url:
        raise DomainError(f"{url[:80]!r} is no URL", place=place, cure="Write it like https://example.org/hook")
    if parts.raw_user is not None or parts.raw_password is not None:
        raise DomainError("a URL with a password is not kept", place=place, cure="Check our signature instead")
    try:
        _public(parts, allowed)
    except Refused as refused:
        cure = f"Use a public address, or add its network to {setting}"
        raise DomainError(str(refused), place=place, cure=cure) from None


def _public(url: URL, allowed: Iterable[Network]) -> None:
    """Raise ``Refused`` where the host is a private address; a name is none, ``Guarded`` looks it up."""
    host = url.raw_host or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if not allows(address, allowed):
        raise Refused(f"{host} is a private address")


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


def session(allowed: tuple[Network, ...], *, timeout_s: float, at_once: int = 8) -> ClientSession:
    """A client that connects only where it may; close it, or use it with ``async with``.

    What it is asked to send elsewhere raises a ``ClientError`` or an ``OSError`` (``post`` tells of it).
    """

    async def guard(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        _public(request.url, allowed)
        return await handler(request)

    connector = TCPConnector(resolver=Guarded(allowed), limit=at_once, use_dns_cache=False)
    limit = ClientTimeout(total=timeout_s)
    return ClientSession(
        connector=connector, timeout=limit, trust_env=False, auto_decompress=False, middlewares=(guard,)
    )


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """``v1=`` and the HMAC-SHA256, in hex, of the timestamp, a point, and the body, with the secret as its key."""
    signed = f"{timestamp}.".encode() + body
    return f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


async def post(client: ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> Try:
    """Send a body to a URL, with a client of ``session``; how that went, whatever happened."""
    try:
        async with client.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            said = (await answer.content.read(MOST_READ)).decode("utf-8", "replace")
            if 200 <= answer.status < 300:
                return Try(answer.status, None)
            what = "a redirect, which is not followed" if 300 <= answer.status < 400 else _harmless(said)
            return Try(answer.status, f"answered {answer.status}: {what}")
    except TimeoutError:
        return Try(None, f"no answer within {client.timeout.total:g} s")
    except (ClientError, OSError, ValueError) as error:
        cause = getattr(error, "os_error", None) or error.__cause__
        return Try(None, str(cause) if isinstance(cause, Refused) else f"{type(error).__name__}: {error}")


def _harmless(said: str) -> str:
    """What a receiver said, so that it can be stored and shown: its beginning, in one line."""
    return "".join(letter if letter.isprintable() else " " for letter in said[:MOST_SAID]).strip()
