"""Who may ask the API for what: a control token, an API token, or everybody while the node is open on loopback."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from arthexis.charging import tokens
from arthexis.contributions import ACCESS
from arthexis.host import Host
from arthexis.system import is_loopback

FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP")


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


async def level(host: Host, control_token: str, request: web.Request) -> str | None:
    """The access level of a request, or None for nobody's."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer" and token:
        if hmac.compare_digest(token.encode("utf-8", "surrogateescape"), control_token.encode()):
            return "administrator"
        at = host.clock.now()
        return await host.database.read(lambda db: tokens.check(db, token, at))
    return "administrator" if host.open else None


def allows(level: str | None, needed: str) -> bool:
    """Whether an access level covers what is needed."""
    return level is not None and ACCESS.index(level) >= ACCESS.index(needed)
