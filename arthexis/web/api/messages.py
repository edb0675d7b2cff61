"""Messages over HTTP: the frames as they went over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from arthexis.charging import messages
from arthexis.contributions import ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.web.api.pages import Page, by_id, page
from arthexis.web.api.scalars import Identity, Moment, Name, Paged


class LoggedMessage(Struct, kw_only=True):
    """A CALL and its answer, verbatim; ``inbound`` ones were called by the station."""

    id: int
    station: str
    at: datetime
    inbound: bool
    message_id: str | None
    action: str | None
    frame: str | None
    answer: str | None
    repairs: list[str]


class ListMessages(Paged, kw_only=True):
    """Which messages."""

    station: Identity | None = None
    action: Name | None = None
    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")


async def list_(request: ApiRequest) -> Page[LoggedMessage]:
    """A page of messages."""
    asked: ListMessages = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        return messages.page(
            db,
            station=asked.station,
            action=asked.action,
            since=asked.since,
            until=asked.until,
            before=asked.place,
            limit=asked.limit + 1,
        )

    return page(LoggedMessage, await request.host.database.read(read), asked, by_id)


ROUTES: Final = (
    Route(
        "GET",
        "/messages",
        list_,
        "viewer",
        "List the frames of the message log, the latest first",
        "`from` (included) and `to` (excluded) are times of receipt. `[messages]` says how long they are kept.",
        params=ListMessages,
        answer=Page[LoggedMessage],
    ),
)
