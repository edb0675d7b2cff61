"""Errors as problem documents (RFC 9457): a stable code, the status, what happened, where, and the cure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import NamedTuple

import msgspec
from aiohttp import web

from arthexis.errors import ArthexisError, Invalid

MEDIA = "application/problem+json"
encode = msgspec.json.Encoder().encode


class Kind(NamedTuple):
    """One code: its HTTP status, its title, what it means, and what to do about it."""

    status: int
    title: str
    meaning: str
    cure: str


class Problem(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An error (RFC 9457). ``code`` never changes its meaning; ``detail`` is for people and may."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    place: str = ""
    cure: str = ""
    member: str = ""


KINDS: Mapping[str, Kind] = {
    "invalid": Kind(
        400,
        "The request is not well formed",
        "A member of the path, the query or the body is missing, unknown, of the wrong type or out of range, or the"
        " body is no JSON. Nothing was changed. `member` names the member at fault.",
        "Correct the member; /api/docs shows what each request takes. Sending the same again fails again.",
    ),
    "unauthorized": Kind(
        401,
        "No valid token",
        "The request carries no API token, or one that is unknown, revoked or expired.",
        "Send `Authorization: Bearer …`. Make a token with `arthexis tokens add NAME --access viewer`.",
    ),
    "forbidden": Kind(
        403,
        "Not allowed",
        "The token is good, but its access level is too low for this; or the node is in open mode and the request does"
        " not come from this very machine.",
        "Use a token of the access level that the answer names.",
    ),
    "not-found": Kind(
        404,
        "Not there",
        "The station, tag, transaction, operation or path asked for does not exist on this node.",
        "Compare the spelling with the list of what there is; a plugin that is switched off takes its paths with it.",
    ),
    "method-not-allowed": Kind(
        405,
        "Another method is needed",
        "The path exists, but not with this method.",
        "Use one of the methods in the answer's Allow header.",
    ),
    "refused": Kind(
        409,
        "Refused as things are",
        "The request is well formed and contradicts what is stored: the station exists already, the operation was sent"
        " already, the number of stations was not confirmed.",
        "Read `detail` and `cure`, and look at the thing's present state.",
    ),
    "too-large": Kind(
        413,
        "The body is too large",
        "A body may have at most 1 MiB.",
        "Send it in parts.",
    ),
    "media-type": Kind(
        415,
        "The body is not JSON",
        "A body was sent that is not declared as JSON.",
        "Send `Content-Type: application/json`.",
    ),
    "config": Kind(
        500,
        "The configuration is wrong",
        "A setting is unknown, of the wrong type or out of range.",
        "Run `arthexis config explain` for the setting that is named.",
    ),
    "plugin": Kind(
        500,
        "A plugin failed",
        "The plugin that was to do this raised an error. The fault is logged and counted; the node goes on.",
        "Run `arthexis plugins info NAME`, and tell its maker.",
    ),
    "internal": Kind(
        500,
        "The node failed",
        "Something happened that the node was not written for. Its log has the whole story.",
        "Look into the log and report it; trying again is safe for reading.",
    ),
    "error": Kind(
        500,
        "It did not work",
        "Something went wrong that has no code of its own.",
        "Read `detail`.",
    ),
    "call-failed": Kind(
        502,
        "The station did not do it",
        "A station was asked something and answered an error, something that is no answer, or nothing at all.",
        "Look at the station's messages: `arthexis messages list --station NAME`.",
    ),
    "unavailable": Kind(
        503,
        "Not now",
        "Something that is needed is not there at the moment: the database, a service, a free place in a queue.",
        "Try again in a moment, with growing pauses.",
    ),
}


def page_of(code: str) -> str:
    """The path of the page that explains a code."""
    return f"/api/errors/{code}"


def problem(error: ArthexisError, headers: Mapping[str, str] | None = None) -> web.Response:
    """The problem document of an error."""
    kind = KINDS.get(error.code, KINDS["error"])
    document = Problem(
        type=page_of(error.code if error.code in KINDS else "error"),
        title=kind.title,
        status=kind.status,
        detail=error.problem,
        code=error.code,
        place=error.place,
        cure=error.cure,
        member=error.member if isinstance(error, Invalid) else "",
    )
    more = {"WWW-Authenticate": "Bearer"} if kind.status == 401 else {}
    return answer(document, kind.status, {**more, **(headers or {})})


def of_code(code: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The problem document of a fault of HTTP itself."""
    kind = KINDS[code]
    document = Problem(
        type=page_of(code), title=kind.title, status=kind.status, detail=detail, code=code, cure=kind.cure
    )
    return answer(document, kind.status, headers or {})


def answer(document: Problem, status: int, headers: Mapping[str, str]) -> web.Response:
    """A problem document as a response."""
    return web.Response(body=encode(document), status=status, content_type=MEDIA, headers=dict(headers))


HTTP_CODES: Mapping[int, str] = {
    400: "invalid",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "media-type",
}


def of_http(raised: web.HTTPException) -> web.StreamResponse:
    """What aiohttp itself refuses, as a problem document; redirects and the like stay what they are."""
    if raised.status < 400:
        raise raised
    allow = {"Allow": raised.headers["Allow"]} if "Allow" in raised.headers else None
    code = HTTP_CODES.get(raised.status, "error" if raised.status < 500 else "internal")
    return of_code(code, (raised.text or raised.reason).strip(), allow)


def explained(code: str) -> str | None:
    """The page (HTML) that explains a code, or None."""
    kind = KINDS.get(code)
    if kind is None:
        return None
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{code}</title><link rel=stylesheet href=/plain.css><h1><code>{code}</code> ({kind.status}):"
        f" {escape(kind.title)}</h1><p>{escape(kind.meaning)}<p><b>What to do:</b> {escape(kind.cure)}</html>"
    )


def markdown() -> str:
    """The codes as the sections of docs/errors.md."""
    return "\n".join(
        f"## {code}\n\nHTTP {kind.status}. {kind.title}.\n\n{kind.meaning}\n\nWhat to do: {kind.cure}\n"
        for code, kind in KINDS.items()
    )
