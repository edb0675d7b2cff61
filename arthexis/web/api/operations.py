"""Operations over HTTP: what stations are told, what became of it, and what they can be told at all."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from arthexis.charging import operations, stations
from arthexis.contributions import Answer, ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.operations import Wish
from arthexis.web.access import DOOR
from arthexis.web.api.pages import Page, page, shaped, whole
from arthexis.web.api.payloads import one_for_each_action
from arthexis.web.api.scalars import Identity, Moment, Name, Paged, Uid, text

Action = Annotated[str, text("The action, as OCPP calls it", 50, examples=["Reset"])]
Payload = Annotated[dict[str, Any], Meta(description="The request as plain OCPP JSON")]
Wait = Annotated[
    float, Meta(ge=0, le=600, description="Seconds to wait for its end; `http.longest_wait_s` cuts it short")
]
QueueUntil = Annotated[
    Moment, Meta(description="Wait until then for a station that is offline; left out: it must be there")
]
ExpiresAt = Annotated[Moment, Meta(description="Not sent after then")]
Priority = Annotated[int, Meta(ge=-1000, le=1000, description="Higher goes first")]


class Operation(Struct, kw_only=True):
    """What a station is told. ``final`` says whether ``state`` is how it ended, ``answer`` is the station's, verbatim.

    ``state`` is ``queued``, ``sent``, then the answer's own status (``answered`` where it has none), ``error``,
    ``timed out``, ``station gone``, ``cancelled``, ``expired``, or ``sent, unknown`` after a crash. ``follow_up`` says
    what came of it afterwards.
    """

    id: str
    station: str
    action: str
    payload: dict[str, Any]
    state: str
    final: bool
    answer: Any
    error_code: str | None
    error_text: str | None
    repairs: list[str]
    follow_up: str | None
    follow_up_at: datetime | None
    follow_up_until: datetime | None
    batch: str | None
    priority: int
    requested_by: str
    created_at: datetime
    send_after: datetime | None
    queue_until: datetime | None
    expires_at: datetime | None
    sent_at: datetime | None
    finished_at: datetime | None


class NewOperation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Tell a station something."""

    action: Action
    payload: Payload = {}
    wait: Wait = 0.0
    queue_until: QueueUntil | None = None
    expires_at: ExpiresAt | None = None
    priority: Priority = 0


class NewOperations(Struct, kw_only=True, forbid_unknown_fields=True):
    """Tell many stations the same."""

    stations: Annotated[list[Identity], Meta(min_length=1, max_length=1000, description="Each is told once")]
    action: Action
    payload: Payload = {}
    queue_until: QueueUntil | None = None
    expires_at: ExpiresAt | None = None
    per_second: Annotated[float, Meta(ge=0.001, le=1000, description="So many stations a second")] | None = None
    confirm: Annotated[int, Meta(ge=0, le=1000, description="How many stations you mean; dangerous actions ask")] = 0


class BatchResult(Struct, kw_only=True):
    """What became of the wish for one station: its operation, or why there is none."""

    station: str
    operation: str | None
    error: str | None = None
    cure: str | None = None


class Batch(Struct, kw_only=True):
    """Operations for many stations; ``GET /operations?batch=`` lists how they end."""

    batch: str
    results: list[BatchResult]


class ActionTold(Struct, kw_only=True):
    """Something that stations can be told: the JSON Schema of its payload, and how it may be sent."""

    action: str
    summary: str
    plugin: str
    queues: bool
    dangerous: bool
    schema: dict[str, Any]


class OfStation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which station."""

    station: Identity


class OfOperation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which operation."""

    operation: Uid


class ShowOperation(OfOperation, kw_only=True):
    """Which operation, and for how long to wait for its end."""

    wait: Wait = 0.0


class OfAction(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which action."""

    action: Action


class ListOperations(Paged, kw_only=True):
    """Which operations."""

    station: Identity | None = None
    action: Action | None = None
    state: Name | None = None
    batch: Uid | None = None


async def _ended(request: ApiRequest, uid: str, wait: float) -> dict[str, Any]:
    """The operation's record when it has ended, or as it is after so long, or when the node stops."""
    host, door = request.host, request.http.app[DOOR]
    waiting = host.operations.wait(uid, min(wait, host.settings.http.longest_wait_s))
    return await door.unless_closed(waiting) or await host.operations.get(uid)


async def send(request: ApiRequest) -> Answer:
    """Tell a station something; 200 when it has ended, 202 while it is open."""
    new: NewOperation = request.body
    request.host.operations.check_payload(new.action, new.payload)
    wish = Wish(new.priority, new.queue_until, new.expires_at, requested_by=request.caller)
    uid = await request.host.operations.send(request.params.station, new.action, new.payload, wish)
    record = await _ended(request, uid, new.wait)
    headers = {"Location": f"/api/v1/operations/{uid}"}
    return Answer(shaped(Operation, record), 200 if record["final"] else 202, headers)


async def send_many(request: ApiRequest) -> Answer:
    """Tell many stations the same."""
    new: NewOperations = request.body
    request.host.operations.check_payload(new.action, new.payload)
    wish = Wish(0, new.queue_until, new.expires_at, requested_by=request.caller)
    found = await request.host.operations.send_many(
        new.stations, new.action, new.payload, wish, per_second=new.per_second, confirm=new.confirm
    )
    return Answer(shaped(Batch, found), 202)


async def list_(request: ApiRequest) -> Page[Operation]:
    """A page of operations."""
    asked: ListOperations = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        return operations.rows(
            db,
            station_id=stations.required(db, asked.station).row if asked.station is not None else None,
            states=[asked.state] if asked.state is not None else None,
            action=asked.action,
            batch=asked.batch,
            before=asked.place,
            limit=asked.limit + 1,
        )

    rows = await request.host.database.read(read)
    return page(Operation, rows, asked, lambda row: int(row["number"]))


async def show(request: ApiRequest) -> Operation:
    """One operation, after at most so many seconds for its end."""
    return shaped(Operation, await _ended(request, request.params.operation, request.params.wait))


async def cancel(request: ApiRequest) -> Operation:
    """End an operation that was not sent yet."""
    return shaped(Operation, await request.host.operations.cancel(request.params.operation))


async def actions(request: ApiRequest) -> Page[ActionTold]:
    """What stations can be told."""
    known = request.host.operations
    return whole(ActionTold, [known.describe(name) for name in sorted(known.declared)])


async def action(request: ApiRequest) -> ActionTold:
    """One of the things that stations can be told."""
    return shaped(ActionTold, request.host.operations.describe(request.params.action))


ROUTES: Final = (
    Route(
        "POST",
        "/stations/{station}/operations",
        send,
        "operator",
        "Tell a station something",
        "With `wait`, the answer comes when the operation has ended, or after so many seconds.",
        params=OfStation,
        body=NewOperation,
        answer=Operation,
        statuses={200: "It has ended", 202: "It is open"},
        conflicts=True,
        refine=one_for_each_action,
    ),
    Route(
        "POST",
        "/operations",
        send_many,
        "operator",
        "Tell many stations the same",
        "A dangerous action for several stations needs `confirm`: their number.",
        body=NewOperations,
        answer=Batch,
        statuses={202: "A result for each station"},
        conflicts=True,
        refine=one_for_each_action,
    ),
    Route(
        "GET",
        "/operations",
        list_,
        "viewer",
        "List operations, the latest first",
        params=ListOperations,
        answer=Page[Operation],
    ),
    Route(
        "GET", "/operations/{operation}", show, "viewer", "Show an operation", params=ShowOperation, answer=Operation
    ),
    Route(
        "POST",
        "/operations/{operation}/cancel",
        cancel,
        "operator",
        "End an operation that was not sent yet",
        params=OfOperation,
        answer=Operation,
        conflicts=True,
    ),
    Route("GET", "/actions", actions, "viewer", "List what stations can be told", answer=Page[ActionTold]),
    Route(
        "GET", "/actions/{action}", action, "viewer", "Show what an action takes", params=OfAction, answer=ActionTold
    ),
)
