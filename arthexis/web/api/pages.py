"""Lists page by page: a cursor is the number of the last one seen, so that what is added meanwhile moves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from arthexis.web.api.scalars import Paged

S = TypeVar("S", bound=Struct)
Row = Mapping[str, Any]


class Page(Struct, Generic[S], kw_only=True):
    """Part of a list; ``next`` is the cursor of what follows, null at the end."""

    items: list[S]
    next: str | None


def shaped(kind: type[S], row: Row) -> S:
    """A row as one of the API's Structs; its times are in UTC."""
    return msgspec.convert({name: _in_utc(row[name]) for name in kind.__struct_fields__ if name in row}, kind)


def page(kind: type[S], rows: Iterable[Row], asked: Paged, number: Callable[[Row], int]) -> Page[S]:
    """The page of what was read with a limit of one more than asked for; ``number`` tells a row's place."""
    found = list(rows)
    shown = found[: asked.limit]
    more = len(found) > asked.limit
    return Page(items=[shaped(kind, row) for row in shown], next=f"{number(shown[-1]):x}" if more else None)


def whole(kind: type[S], rows: Iterable[Row]) -> Page[S]:
    """A list that is short by itself, on one page."""
    return Page(items=[shaped(kind, row) for row in rows], next=None)


def by_id(row: Row) -> int:
    """The number of a row that is listed by its ``id``."""
    return int(row["id"])


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
