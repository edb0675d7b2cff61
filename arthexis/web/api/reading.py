"""From a request to values: path, query and body are decoded into the route's types, or refused naming the member."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from arthexis.contributions import Route
from arthexis.errors import ArthexisError, Invalid
from arthexis.validation import invalid, whole_numbers

Parse = Callable[[str], Any]
WORDS = {"true": True, "false": False}
_integer = re.compile(r"-?(0|[1-9][0-9]{0,18})").fullmatch
_number = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?").fullmatch
_moment = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)").fullmatch


class MediaType(ArthexisError):
    """A body that is not declared as JSON."""

    code = "media-type"


def parameters(route: Route) -> Callable[[web.Request], Any]:
    """The function that reads a route's path and query."""
    kind = route.params
    if kind is None:
        return _path_only
    fields = msgspec.structs.fields(kind)
    parsers = {field.encode_name: _parser(field.type) for field in fields}
    in_query = [name for name in parsers if name not in route.members]

    def read(request: web.Request) -> Any:
        given = {name: parsers[name](text) for name, text in request.match_info.items()}
        given.update(_query(request, parsers, in_query))
        try:
            return in_utc(msgspec.convert(given, kind))
        except msgspec.ValidationError as wrong:
            raise invalid(wrong, "request", kind) from None

    return read


def _path_only(request: web.Request) -> dict[str, str]:
    _query(request, {}, [])
    return dict(request.match_info)


def _query(request: web.Request, parsers: Mapping[str, Parse], known: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, text in request.query.items():
        if name not in known:
            raise Invalid(f"there is no member {name}", place="query", member=name, cure=_instead(name, known))
        if name in given:
            raise Invalid("it is given twice", place="query", member=name, cure="Give it once")
        given[name] = parsers[name](text)
    return given


def _instead(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Leave it out; there are {', '.join(known)}" if known else "Leave it out; nothing may be asked here"


def _parser(kind: Any) -> Parse:
    """How the text of a member becomes a value; what is no such value stays text, and is refused as that."""
    bare = _bare(kind)
    if bare is bool:
        return lambda text: WORDS.get(text, text)
    if bare is int:
        return lambda text: int(text) if _integer(text) else text
    if bare is float:
        return lambda text: float(text) if _number(text) else text
    return moment if bare is datetime else str


def _bare(kind: Any) -> Any:
    """A type without its annotations and without None."""
    if hasattr(kind, "__metadata__"):
        return _bare(get_args(kind)[0])
    if get_origin(kind) in {Union, types.UnionType}:
        return next((_bare(part) for part in get_args(kind) if part is not type(None)), kind)
    return kind


def moment(text: str) -> Any:
    """An aware time; the text itself where it is none."""
    try:
        return datetime.fromisoformat(text.upper()) if _moment(text) else text
    except ValueError:
        return text


def body(route: Route) -> Callable[[web.Request], Awaitable[Any]]:
    """The coroutine function that reads a route's body."""
    decoder = msgspec.json.Decoder(route.body)

    async def read(request: web.Request) -> Any:
        content = await request.read()
        if content and request.content_type != "application/json":
            raise MediaType(
                f"the body is declared as {request.headers.get(hdrs.CONTENT_TYPE, 'nothing')}",
                place="Content-Type",
                cure="Send Content-Type: application/json",
            )
        try:
            return in_utc(_decoded(decoder, content or b"{}"))
        except msgspec.ValidationError as wrong:
            raise invalid(wrong, "body", route.body) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            raise Invalid(f"it is no JSON: {wrong}", place="body", cure="Send JSON in UTF-8") from None

    return read


def _decoded(decoder: msgspec.json.Decoder[Any], content: bytes) -> Any:
    """The body's value; 2.0 is an integer in JSON Schema, and for msgspec not everywhere."""
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as wrong:
        try:
            return msgspec.convert(whole_numbers(msgspec.json.decode(content)), decoder.type)
        except msgspec.ValidationError:
            raise wrong from None


def in_utc(value: Any) -> Any:
    """The same Struct with its times in UTC; raises ``Invalid`` for a time that is none there."""
    if not isinstance(value, Struct):
        return value
    for name in value.__struct_fields__:
        found = getattr(value, name)
        if isinstance(found, datetime):
            try:
                msgspec.structs.force_setattr(value, name, found.astimezone(UTC))
            except (OverflowError, ValueError):
                raise Invalid("there is no such time in UTC", member=name, cure="Choose another") from None
    return value
