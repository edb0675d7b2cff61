"""Who may ask the API for what: a control token, an API token, or everybody while the node is open on loopback."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from arthexis.charging import tokens
from arthexis.charging.tokens import Grant
from arthexis.contributions import ACCESS
from arthexis.errors import Refused, Unauthorized
from arthexis.host import Host
from arthexis.system import is_loopback

T = TypeVar("T")
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP")
CONTROL = Grant("administrator", "command line")
OPEN = Grant("administrator", "open mode")
NOBODY = Grant("", "")


def foreign(request: web.Request) -> str | None:
    """Why an open node does not serve this request, or None: not local, or not meant for a local name."""
    if not is_loopback(request.remote or ""):
        return "it does not come from this machine"
    if any(name in request.headers for name in FORWARDED):
        return "it comes through a proxy"
    host = request.headers.get(hdrs.HOST, "")
    if not is_loopback(_name(f"//{host}")):
        return "its Host header names another machine"
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not _own(origin, host, station=hdrs.UPGRADE in request.headers):
        return "it was sent by a page of another site"
    return None


def _own(origin: str, host: str, *, station: bool) -> bool:
    """Whether a page may send this: one of ours; a station may also be a page that some other local server serves."""
    return origin.lower() == f"http://{host}".lower() or (station and is_loopback(_name(origin)))


def _name(url: str) -> str:
    """The host name of a URL; empty where it has none or is malformed."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class Door:
    """Looks at the token of each request."""

    def __init__(self, host: Host, control_token: str) -> None:
        """Let in by this node's tokens, and by the control token of its own commands."""
        self._host = host
        self._control_token = control_token.encode()
        self.closed = False
        self.at_close: set[Callable[[], None]] = set()

    def close(self) -> None:
        """The node stops: tell every answer that goes on by itself to end."""
        self.closed = True
        for tell in list(self.at_close):
            tell()

    async def unless_closed(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What ``work`` returns, or None where the node stops before it is done."""
        closing = asyncio.Event()
        self.at_close.add(closing.set)
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(closing.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            self.at_close.discard(closing.set)
            working.cancel()
            stopping.cancel()

    async def grant(self, request: web.Request) -> Grant | None:
        """What a request is granted, or None for nobody's. A wrong token counts for nothing, open node or not."""
        header = request.headers.get(hdrs.AUTHORIZATION)
        if header is None:
            return OPEN if self._host.open else None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        if hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._control_token):
            return CONTROL
        at = self._host.clock.now()
        return await self._host.database.read(lambda db: tokens.check(db, token, at))

    async def admit(self, request: web.Request, needed: str) -> Grant:
        """What a request is granted, if that covers ``needed``; raises ``Unauthorized`` or ``Refused``."""
        granted = await self.grant(request)
        if granted is None:
            raise Unauthorized(
                "a valid API token is needed", place="Authorization", cure="Make one with `arthexis tokens add NAME`"
            )
        if not allows(granted.access, needed):
            raise Refused(
                f"this needs the access level {needed}, and the token has {granted.access}",
                place="Authorization",
                cure=f"Use a token of the level {needed}",
            )
        return granted


DOOR: Final = web.AppKey("door", Door)


def allows(level: str, needed: str) -> bool:
    """Whether an access level covers what is needed."""
    return ACCESS.index(level) >= ACCESS.index(needed)
