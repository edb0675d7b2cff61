"""Where a station fetches or brings its file: the scheme it speaks, the best that this node offers, and the URL."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from arthexis import Connection, Context, DomainError, StationConfiguration
from arthexis_files.settings import Settings

KEY: Final = "SupportedFileTransferProtocols"
_plain = re.compile(r"[A-Za-z0-9_-]{1,60}").fullmatch


def offered(settings: Settings, url: str) -> list[str]:
    """The schemes that this node serves, the best first; ``url`` is where it is reached over HTTP."""
    have = {urlsplit(url).scheme} | {"ftp": {"ftp"}, "ftps": {"ftps"}, "both": {"ftp", "ftps"}}.get(settings.ftp, set())
    return [scheme for scheme in dict.fromkeys(settings.schemes) if scheme in have]


def spoken(ctx: Context, db: Connection, station_id: int) -> list[str] | None:
    """The schemes that a station says to speak, in lower case; None where it never said."""
    known = ctx.host.service(StationConfiguration)
    told = known.value(db, station_id, KEY) if known is not None else None
    words = [word.strip().lower() for word in re.split(r"[,;\s]+", told or "") if word.strip()]
    return words or None


def scheme_for(ctx: Context, db: Connection, station_id: int, wished: str | None) -> str:
    """The scheme for a station: the best of ours that it speaks; HTTP where it never said. Raises ``DomainError``."""
    ours = offered(ctx.config, ctx.host.reachable_url("/"))
    theirs = spoken(ctx, db, station_id)
    if wished is not None:
        found = [scheme for scheme in ours if scheme == wished]
    elif theirs is None:
        found = [scheme for scheme in ours if scheme.startswith("http")] or ours
    else:
        found = [scheme for scheme in ours if scheme in theirs]
    if found:
        return found[0]
    spoken_words = wished or ", ".join(theirs or [])
    raise DomainError(
        f"the station fetches by {spoken_words}, and this node serves {', '.join(ours) or 'nothing'}",
        place="plugins.files",
        cure="Switch on plugins.files.ftp" if "ftp" in spoken_words else "Set http.public_url",
    )


def login_of(station: str, station_id: int) -> str:
    """The user's name of a station: its identity, where every client can say it."""
    return station if _plain(station) else f"station-{station_id}"


def location(ctx: Context, scheme: str, login: str, token: str, name: str, ftp_port: int) -> str:
    """The URL for a station; ``name`` is empty for a folder to upload to."""
    if scheme.startswith("http"):
        return ctx.host.reachable_url(f"/files/{token}/{quote(name)}")
    host = ctx.config.ftp_public_host or urlsplit(ctx.host.reachable_url("/")).hostname or "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{login}:{token}@{host}:{ftp_port}/{quote(name)}"
