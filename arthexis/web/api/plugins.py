"""Plugins over HTTP: what is installed, how it is doing, and what it contributes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Struct

from arthexis import control
from arthexis.contributions import ApiRequest, Route
from arthexis.web.api.pages import Page, shaped, whole
from arthexis.web.api.scalars import text


class OfPlugin(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which plugin."""

    plugin: Annotated[str, text("Its name, or distribution:name", 200, examples=["ocpp16.reset"])]


class Provenance(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a distribution came from, and whether its files are as they were installed.

    ``sha256`` is over its installed files, the same for the same wheel everywhere; null where they are not recorded.
    """

    location: str
    installer: str
    source: str
    integrity: Literal["as installed", "changed", "editable", "unrecorded"]
    sha256: str | None
    changed: list[str]


class PluginState(Struct, kw_only=True):
    """A plugin that is installed: its state, and the reason and the cure where something is wrong.

    ``chosen_by`` says who named it (a role, node.enable); ``pin`` the only version that may run; ``needs_host`` the
    host versions it is made for; ``retired`` what of it a later host will not understand any more.
    """

    name: str
    distribution: str
    version: str
    state: str
    stage: str | None
    reason: str
    cure: str
    required: bool
    errors: int
    chosen_by: str
    pin: str
    needs_host: str
    retired: list[str]
    provenance: Provenance | None


class HookAilment(Struct, kw_only=True):
    """What went wrong in one hook since the node started; ``well`` if it has worked since its last fault."""

    hook: str
    faults: int
    well: bool
    last: str
    last_at: datetime | None
    suspended_until: datetime | None


class PluginFault(Struct, kw_only=True):
    """One fault of a plugin: where is ``file:line`` of what raised, empty where nothing is known."""

    at: datetime
    hook: str
    error: str
    where: str


class PluginInFull(PluginState, kw_only=True):
    """A plugin and what it contributes, by kind; the hooks it implements, and what went wrong in them."""

    offers: dict[str, list[str]]
    implements: list[str]
    ailments: list[HookAilment]
    recent: list[PluginFault]


async def list_(request: ApiRequest) -> Page[PluginState]:
    """Every plugin."""
    found: list[dict[str, Any]] = await control.plugins_list(request.host)
    return whole(PluginState, found)


async def show(request: ApiRequest) -> PluginInFull:
    """One plugin."""
    return shaped(PluginInFull, await control.plugins_info(request.host, request.params.plugin))


async def resume(request: ApiRequest) -> PluginState:
    """Let a plugin begin anew."""
    return shaped(PluginState, await control.plugins_resume(request.host, request.params.plugin))


ROUTES: Final = (
    Route("GET", "/plugins", list_, "viewer", "List every plugin that is installed", answer=Page[PluginState]),
    Route(
        "GET",
        "/plugins/{plugin}",
        show,
        "viewer",
        "Show a plugin and what it contributes",
        params=OfPlugin,
        answer=PluginInFull,
    ),
    Route(
        "POST",
        "/plugins/{plugin}/resume",
        resume,
        "operator",
        "Let a degraded or suspended plugin begin anew",
        "Whatever was suspended is called again at once.",
        params=OfPlugin,
        answer=PluginState,
        conflicts=True,
    ),
)
