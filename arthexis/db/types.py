"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import DateTime, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType


class UtcDateTime(UserDefinedType[datetime]):
    """An aware UTC datetime with microseconds; on SQLite ISO text of fixed width, so that it sorts."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """What alembic and ``CREATE TABLE`` write on SQLite."""
        return "TEXT"

    def dialect_impl(self, dialect: Dialect) -> Any:
        """Text on SQLite, ``timestamptz`` elsewhere."""
        return self if dialect.name == "sqlite" else DateTime(timezone=True).dialect_impl(dialect)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], str | None] | None:
        """From an aware datetime to text on SQLite; other drivers take it as it is."""
        return to_text if dialect.name == "sqlite" else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], datetime | None] | None:
        """From text to an aware datetime on SQLite; other drivers give it as it is."""
        return from_text if dialect.name == "sqlite" else None


@compiles(UtcDateTime, "postgresql")
def _timestamptz(_type: UtcDateTime, _compiler: Any, **_: Any) -> str:
    """What alembic and ``CREATE TABLE`` write on PostgreSQL; ``get_col_spec`` alone would make it text there too."""
    return "TIMESTAMP WITH TIME ZONE"


encode = msgspec.json.Encoder().encode
SECOND = len('"2026-11-23T20:05:17')


def to_text(moment: datetime | None) -> str | None:
    """ISO text in UTC with microseconds, ``2026-11-23T20:05:17.123456+00:00``, or None.

    Every message writes several, and msgspec does it in an eighth of the time of ``isoformat``.
    """
    if moment is None:
        return None
    text = encode(moment if moment.tzinfo is UTC else moment.astimezone(UTC)).decode()
    return f"{text[1:-2]}+00:00" if text[SECOND] == "." else f"{text[1:SECOND]}.000000+00:00"


def from_text(text: str | None) -> datetime | None:
    """The aware datetime of an ISO text, or None."""
    return None if text is None else datetime.fromisoformat(text)
