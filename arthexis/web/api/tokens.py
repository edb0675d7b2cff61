"""API tokens over HTTP: shown once, with an access level and an end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from arthexis import control
from arthexis.charging import tokens
from arthexis.contributions import Answer, ApiRequest, Route
from arthexis.web.api.pages import Page, by_id, page, shaped
from arthexis.web.api.scalars import Name, Paged

Access = Literal["viewer", "operator", "administrator"]


class Token(Struct, kw_only=True):
    """A token without its secret; ``expires_at`` null never ends."""

    name: str
    access: str
    created_at: datetime
    expires_at: datetime | None
    expired: bool


class FreshToken(Struct, kw_only=True):
    """A new token: ``token`` is shown this once."""

    name: str
    access: str
    expires_at: datetime | None
    token: str


class NewToken(Struct, kw_only=True, forbid_unknown_fields=True):
    """A token to make."""

    name: Name
    access: Access = "viewer"
    days: Annotated[float, Meta(ge=0.0001, le=36500, description="It ends after so many days")] | None = None


class OfToken(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which token."""

    name: Name


async def list_(request: ApiRequest) -> Page[Token]:
    """A page of tokens."""
    asked: Paged = request.params
    at = request.host.clock.now()
    rows = await request.host.database.read(
        lambda db: tokens.rows(db, at, after=asked.place or 0, limit=asked.limit + 1)
    )
    return page(Token, rows, asked, by_id)


async def add(request: ApiRequest) -> Answer:
    """Make a token."""
    new: NewToken = request.body
    made = await control.tokens_add(request.host, new.name, new.access, new.days)
    return Answer(shaped(FreshToken, made), 201)


async def revoke(request: ApiRequest) -> Answer:
    """End a token."""
    await control.tokens_revoke(request.host, request.params.name)
    return Answer(status=204)


ROUTES: Final = (
    Route("GET", "/tokens", list_, "administrator", "List API tokens", params=Paged, answer=Page[Token]),
    Route(
        "POST",
        "/tokens",
        add,
        "administrator",
        "Make an API token",
        "The answer is the only time it is seen; it is stored as a hash.",
        body=NewToken,
        answer=FreshToken,
        statuses={201: "Made"},
        conflicts=True,
    ),
    Route(
        "DELETE",
        "/tokens/{name}",
        revoke,
        "administrator",
        "End an API token",
        params=OfToken,
        statuses={204: "Ended"},
    ),
)
