"""What the node keeps of a message beside its meaning: when it came, its bytes, and what had to be mended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec


class Receipt(msgspec.Struct, gc=False):
    """A message as it arrived. ``absent`` names members that stand in the payload only because they must.

    ``verbatim`` has the text of those that the payload holds clipped or not at all; both go by dotted wire paths.
    """

    received_at: datetime
    frame: bytes
    message_id: str
    action: str
    repairs: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()
    verbatim: Mapping[str, str] | None = None

    @property
    def repairs_json(self) -> str | None:
        """The repairs as the column keeps them."""
        return msgspec.json.encode(self.repairs).decode() if self.repairs else None
