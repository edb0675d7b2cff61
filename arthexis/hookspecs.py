"""Every hook a plugin may implement, in three families and ``lifespan``.

``register_*`` are plain functions, called once while composing; they yield contributions.
``decide_*`` are coroutine functions, asked in order until one does not answer None; the host decides last.
``on_*`` are coroutine functions, told to everybody after the commit; what they raise is counted, never sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from arthexis.charging.decisions import Admission, Authorization, ConnectionRequest, Registration
    from arthexis.charging.station import Station
    from arthexis.contributions import (
        Action,
        Command,
        Config,
        DataTransfer,
        Diagnosis,
        Job,
        Notifier,
        Operation,
        Protocol,
        Route,
        Service,
        Subscriber,
        Tables,
    )
    from arthexis.db.events import Event
    from arthexis.lifespans import Context
    from arthexis.plugins.states import Plugin

hookspec = pluggy.HookspecMarker("arthexis")
hookimpl = pluggy.HookimplMarker("arthexis")


class Retired(DeprecationWarning):
    """A hook, or an argument of one, that works for one minor release more and is then gone.

    ``@hookspec(warn_on_impl=Retired("on_this", "0.2", "0.3", "on_that"))`` retires a hook,
    ``@hookspec(warn_on_impl_args={"old": Retired("old of on_this", "0.2", "0.3", "new")})`` an argument. Plugins that
    still use it run on: their authors get this warning, their operators a notice.
    """

    def __init__(self, what: str, since: str, gone_in: str, instead: str) -> None:
        """Say what is retired since which version, gone in which, and what takes its place."""
        super().__init__(f"{what} is retired since arthexis-host {since} and gone in {gone_in}: use {instead}")
        self.what = what
        self.since = since
        self.gone_in = gone_in
        self.instead = instead


GONE: dict[str, Retired] = {}
"""Hooks that are gone, by name, so that a plugin which still has one is told what took its place."""


@hookspec
def register_config() -> Iterable[Config]:  # type: ignore[empty-body]
    """Declare the settings of this plugin; they are checked before anything of it starts.

    >>> class Settings(msgspec.Struct, forbid_unknown_fields=True):
    ...     interval_s: int = 300
    >>> @hookimpl
    ... def register_config():
    ...     yield Config(Settings)
    """


@hookspec
def register_protocols() -> Iterable[Protocol]:  # type: ignore[empty-body]
    """Add an OCPP-J version: its subprotocol, messages and error names.

    >>> @hookimpl
    ... def register_protocols():
    ...     codes = {fault: "GenericError" for fault in Fault}
    ...     yield Protocol("ocpp9.9", (Message("Ping", Ping, PingAnswer),), codes)
    """


@hookspec
def register_actions() -> Iterable[Action]:  # type: ignore[empty-body]
    """Answer an action that stations call.

    >>> async def heartbeat(station, call):
    ...     return call.answer(current_time=call.clock.now_text())
    >>> @hookimpl
    ... def register_actions():
    ...     yield Action("Heartbeat", heartbeat, early=True)
    """


@hookspec
def register_operations() -> Iterable[Operation]:  # type: ignore[empty-body]
    """Tell stations something: a CALL of ours that the API and ``arthexis send`` then offer.

    >>> @hookimpl
    ... def register_operations():
    ...     yield Operation("Reset", "Restart the station", help={"type": "Soft ends sessions first"}, dangerous=True)
    """


@hookspec
def register_data_transfers() -> Iterable[DataTransfer]:  # type: ignore[empty-body]
    """Answer DataTransfer messages of a vendor.

    >>> async def price(station, data):
    ...     return {"pricePerKwh": 0.31}
    >>> @hookimpl
    ... def register_data_transfers():
    ...     yield DataTransfer("com.acme", "GetPrice", price)
    """


@hookspec
def register_services() -> Iterable[Service]:  # type: ignore[empty-body]
    """Offer an implementation of one of the interfaces of ``arthexis.services``.

    >>> class Told:
    ...     def value(self, db, station_id, key):
    ...         return None
    >>> @hookimpl
    ... def register_services():
    ...     yield Service(StationConfiguration, Told())
    """


@hookspec
def register_tables() -> Iterable[Tables]:  # type: ignore[empty-body]
    """Bring own tables, named after the plugin, with their alembic revisions.

    >>> @hookimpl
    ... def register_tables():
    ...     yield Tables(metadata, "arthexis_acme:migrations")
    """


@hookspec
def register_commands() -> Iterable[Command]:  # type: ignore[empty-body]
    """Add a command to ``arthexis``.

    >>> @hookimpl
    ... def register_commands():
    ...     yield Command("acme", "arthexis_acme.commands:acme", "Talk to Acme wallboxes")
    """


@hookspec
def register_routes() -> Iterable[Route]:  # type: ignore[empty-body]
    """Add an HTTP route below ``/api/v1``; what it takes and gives stands in the API document.

    A ``public`` one is for those who have no API token: it is served at its own path and stands in no document.

    >>> async def prices(request):
    ...     return {"per_kwh": 0.31}
    >>> @hookimpl
    ... def register_routes():
    ...     yield Route("GET", "/acme/prices", prices, access="viewer")
    """


@hookspec
def register_subscribers() -> Iterable[Subscriber]:  # type: ignore[empty-body]
    """Read events durably: at least once, in order per station, from where this subscriber stopped.

    >>> async def bill(event):
    ...     await send_invoice(event.data["transaction_id"])
    >>> @hookimpl
    ... def register_subscribers():
    ...     yield Subscriber("acme.billing", frozenset({"transaction.stopped"}), bill)
    """


@hookspec
def register_jobs() -> Iterable[Job]:  # type: ignore[empty-body]
    """Have work done later, regularly, and again where it fails.

    >>> async def tidy(ctx, args):
    ...     ctx.log.info("tidied %s", args)
    >>> @hookimpl
    ... def register_jobs():
    ...     yield Job("acme.tidy", tidy, every_s=3600)
    """


@hookspec
def register_diagnoses() -> Iterable[Diagnosis]:  # type: ignore[empty-body]
    """Tell ``arthexis why`` what this plugin knows of a station.

    >>> def look(db, station):
    ...     yield Finding("has an Acme modem of 2019", wrong=True, command="arthexis send CP-1 Reset --type Hard")
    >>> @hookimpl
    ... def register_diagnoses():
    ...     yield Diagnosis("acme.modem", look)
    """


@hookspec
def register_notifiers() -> Iterable[Notifier]:  # type: ignore[empty-body]
    """Bring a way to reach people: a display, a sound, a messenger. Rules of ``arthexis-notify`` name it.

    >>> async def lamp(notification):
    ...     print("red" if notification.priority == "alarm" else "green", notification.text)
    >>> @hookimpl
    ... def register_notifiers():
    ...     yield Notifier("lamp", lamp, "The lamp above the desk")
    """


@hookspec
async def decide_connection(request: ConnectionRequest) -> Admission | None:
    """Admit or refuse a socket after its credentials were checked; a failure refuses.

    >>> @hookimpl
    ... async def decide_connection(request):
    ...     return Admission(False, "maintenance") if request.station_id == "CP-9" else None
    """


@hookspec
async def decide_boot(station: Station, boot: Any) -> Registration | None:
    """Say whether a station that boots is Accepted, Pending or Rejected.

    >>> @hookimpl
    ... async def decide_boot(station, boot):
    ...     return Registration("Rejected", interval_s=3600) if boot.charge_point_vendor == "Acme" else None
    """


@hookspec
async def decide_authorization(station: Station, id_tag: str, starting: bool) -> Authorization | None:
    """Say whether a tag may charge; a failure answers Invalid.

    ``starting`` is true for a StartTransaction and false for an Authorize.

    >>> @hookimpl
    ... async def decide_authorization(station, id_tag, starting):
    ...     return Authorization("Accepted") if id_tag == "GUEST" else None
    """


@hookspec
async def decide_connector(station: Station, id_tag: str, free: Sequence[int]) -> int | None:
    """Choose the connector of a reservation that names none; ``free`` are those it may be, the best match first.

    >>> @hookimpl
    ... async def decide_connector(station, id_tag, free):
    ...     return free[-1]
    """


@hookspec
async def on_reservation_changed(event: Event) -> None:
    """A reservation reached another state.

    >>> @hookimpl
    ... async def on_reservation_changed(event):
    ...     print(event.data["reservation_id"], event.data["state"])
    """


@hookspec
async def on_tag_scanned(event: Event) -> None:
    """A card was held against a reader of this node.

    >>> @hookimpl
    ... async def on_tag_scanned(event):
    ...     print(event.data["reader"], event.data["id_tag"], event.data["status"])
    """


@hookspec
async def on_connected(station: Station) -> None:
    """A station's socket is open and owns its identity.

    >>> @hookimpl
    ... async def on_connected(station):
    ...     print(station.id, "is online")
    """


@hookspec
async def on_disconnected(station: Station, reason: str) -> None:
    """A station's socket is gone and no newer one has taken its place.

    >>> @hookimpl
    ... async def on_disconnected(station, reason):
    ...     print(station.id, "went away:", reason)
    """


@hookspec
async def on_booted(event: Event) -> None:
    """A BootNotification was stored.

    >>> @hookimpl
    ... async def on_booted(event):
    ...     print(event.station, event.data["model"])
    """


@hookspec
async def on_status_changed(event: Event) -> None:
    """A connector (0: the station itself) reported a status.

    >>> @hookimpl
    ... async def on_status_changed(event):
    ...     print(event.station, event.data["connector"], event.data["status"])
    """


@hookspec
async def on_transaction_started(event: Event) -> None:
    """A transaction was opened.

    >>> @hookimpl
    ... async def on_transaction_started(event):
    ...     print(event.data["transaction_id"], event.data["id_tag"])
    """


@hookspec
async def on_transaction_metered(event: Event) -> None:
    """Meter values were stored, for a transaction or for a connector alone.

    >>> @hookimpl
    ... async def on_transaction_metered(event):
    ...     print(event.data["transaction_id"])
    """


@hookspec
async def on_transaction_stopped(event: Event) -> None:
    """A transaction was closed; ``energy_wh`` is None when its registers make no sense.

    >>> @hookimpl
    ... async def on_transaction_stopped(event):
    ...     print(event.data["energy_wh"], event.data["reason"])
    """


@hookspec
async def on_operation_finished(event: Event) -> None:
    """An operation ended: ``state`` is the station's own word, or error, timed out, station gone and so on.

    >>> @hookimpl
    ... async def on_operation_finished(event):
    ...     print(event.station, event.data["action"], event.data["state"])
    """


@hookspec
async def on_message(event: Event) -> None:
    """A CALL of a station was answered: action, message id, repairs and whether it was an error.

    >>> @hookimpl
    ... async def on_message(event):
    ...     print(event.station, event.data["action"], event.data["repairs"])
    """


@hookspec
async def on_plugin_changed(plugin: Plugin) -> None:
    """A plugin reached another state.

    >>> @hookimpl
    ... async def on_plugin_changed(plugin):
    ...     print(plugin.name, plugin.state, plugin.reason)
    """


@hookspec
def lifespan(ctx: Context) -> AbstractAsyncContextManager[None]:  # type: ignore[empty-body]
    """Open what the plugin needs before ``yield`` and close it after; raise ``Unavailable`` to be retried.

    >>> @hookimpl
    ... @asynccontextmanager
    ... async def lifespan(ctx):
    ...     async with open_reader(ctx.config.port):
    ...         yield
    """
