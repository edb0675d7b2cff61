"""Id tags over HTTP: who may charge."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from urllib.parse import quote

from msgspec import Struct

from arthexis import control
from arthexis.charging import tags
from arthexis.contributions import Answer, ApiRequest, Route
from arthexis.db.statements import Connection
from arthexis.web.api.pages import Page, by_id, page, shaped, whole
from arthexis.web.api.scalars import IdTag, Moment, Paged, text

Status = Literal["Accepted", "Blocked", "Expired", "Invalid"]


class Tag(Struct, kw_only=True):
    """An id tag, what it is answered, and the other texts that stand for it."""

    id_tag: str
    status: str
    expires_at: datetime | None
    parent_id_tag: str | None
    note: str | None
    aliases: list[str]
    added_at: datetime


class UnknownTag(Struct, kw_only=True):
    """A tag that was refused because nobody knows it: where it was last shown, and how often."""

    id_tag: str
    station: str
    tries: int
    first_at: datetime
    last_at: datetime


class NewTag(Struct, kw_only=True, forbid_unknown_fields=True):
    """A tag to add, or to change as a whole: what is left out has its default."""

    id_tag: IdTag
    status: Status = "Accepted"
    expires_at: Moment | None = None
    parent_id_tag: IdTag | None = None
    note: Annotated[str, text("Anything you want to remember", 1000, 0)] | None = None


class OfTag(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which tag."""

    id_tag: IdTag


class ListTags(Paged, kw_only=True):
    """Which tags."""

    status: Status | None = None


async def list_(request: ApiRequest) -> Page[Tag]:
    """A page of tags."""
    asked: ListTags = request.params
    rows = await request.host.database.read(
        lambda db: tags.page(db, status=asked.status, after=asked.place or 0, limit=asked.limit + 1)
    )
    return page(Tag, rows, asked, by_id)


async def show(request: ApiRequest) -> Tag:
    """One tag."""
    return await _tag(request, request.params.id_tag)


async def _tag(request: ApiRequest, id_tag: str) -> Tag:
    return shaped(Tag, await request.host.database.read(lambda db: tags.get(db, id_tag)))


async def put(request: ApiRequest) -> Answer:
    """Add a tag, or change the one that is there."""
    new: NewTag = request.body

    def known(db: Connection) -> bool:
        return tags.find(db, new.id_tag) is not None

    status = 200 if await request.host.database.read(known) else 201
    await control.tags_add(request.host, new.id_tag, new.status, new.expires_at, new.parent_id_tag, new.note)
    location = f"/api/v1/tags/{quote(new.id_tag, safe='')}"
    return Answer(await _tag(request, new.id_tag), status, {"Location": location} if status == 201 else {})


async def remove(request: ApiRequest) -> Answer:
    """Forget a tag."""
    await control.tags_remove(request.host, request.params.id_tag)
    return Answer(status=204)


async def unknown(request: ApiRequest) -> Page[UnknownTag]:
    """The inbox of unknown tags."""
    return whole(UnknownTag, await request.host.database.read(tags.unknown))


ROUTES: Final = (
    Route("GET", "/tags", list_, "viewer", "List id tags", params=ListTags, answer=Page[Tag]),
    Route(
        "POST",
        "/tags",
        put,
        "operator",
        "Add an id tag, or change it",
        body=NewTag,
        answer=Tag,
        statuses={200: "Changed", 201: "Added"},
        conflicts=True,
    ),
    Route("GET", "/tags/{id_tag}", show, "viewer", "Show an id tag", params=OfTag, answer=Tag),
    Route(
        "DELETE",
        "/tags/{id_tag}",
        remove,
        "operator",
        "Forget an id tag",
        params=OfTag,
        statuses={204: "Forgotten"},
    ),
    Route(
        "GET",
        "/unknown-tags",
        unknown,
        "viewer",
        "List tags that were refused because nobody knows them, the latest first",
        answer=Page[UnknownTag],
    ),
)
