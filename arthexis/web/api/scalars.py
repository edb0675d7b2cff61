"""What members of the API are made of: identities, times, places in a list. Each says in the document what it takes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from arthexis.charging.ids import MAX_IDENTITY
from arthexis.charging.tags import MAX_TAG

NO_NUL = r"^[^\x00]*$"


def text(description: str, most: int = 255, least: int = 1, **more: Any) -> Meta:
    """Text of so many characters, without the one that databases cannot keep."""
    return Meta(description=description, min_length=least, max_length=most, pattern=NO_NUL, **more)


Identity: TypeAlias = Annotated[str, text("A station's identity, in any case", MAX_IDENTITY, examples=["CP-1"])]
IdTag: TypeAlias = Annotated[str, text("An id tag, in any case", MAX_TAG, examples=["TAG1"])]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True, description="A time with its zone, RFC 3339")]
Cursor: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{1,15}$", description="`next` of the answer before")]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=1000, description="How many at most")]
TransactionId: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1, description="The OCPP transactionId")]
ConnectorNumber: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1, description="0 is the station itself")]
Uid: TypeAlias = Annotated[str, text("An operation's id", 64)]
Name: TypeAlias = Annotated[str, text("A name", 100)]


class Paged(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list."""

    limit: Limit = 100
    cursor: Cursor | None = None

    @property
    def place(self) -> int | None:
        """The number of the last one seen, or None at the start."""
        return int(self.cursor, 16) if self.cursor is not None else None
