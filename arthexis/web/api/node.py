"""The node over HTTP: how it is doing."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from arthexis import control
from arthexis.contributions import ApiRequest, Route
from arthexis.web.api.pages import shaped


class Status(Struct, kw_only=True):
    """How the node is doing. ``recovery`` holds the reasons for which it serves no stations."""

    version: str
    role: str | None
    open: bool
    recovery: list[str]
    stations_connected: int
    plugins: dict[str, int]
    unreadable_frames: int
    writes_waiting: int
    commits: int


async def show(request: ApiRequest) -> Status:
    """The node's status."""
    from arthexis import __version__

    return shaped(Status, {**await control.node_status(request.host), "version": __version__})


ROUTES: Final = (Route("GET", "/node", show, "viewer", "Show how the node is doing", answer=Status),)
