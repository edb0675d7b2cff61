"""Replies: within one socket, the same request sent again gets the very bytes of its first answer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

RING = 16


class Reply(NamedTuple):
    """An answer that was sent, for which request, and until when it may be sent again (monotonic seconds)."""

    request: int
    answer: bytes
    until: float


class Replies:
    """The latest answers of one socket by message id; bounded, the oldest goes first."""

    __slots__ = ("_ring",)

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._ring: OrderedDict[Any, Reply] = OrderedDict()

    def find(self, wire_id: Any, action: str, payload: bytes, now: float) -> bytes | None:
        """The first answer to this id and content, while it may be repeated."""
        reply = self._ring.get(wire_id)
        if reply is None or reply.until < now or reply.request != hash((action, payload)):
            return None
        return reply.answer

    def keep(self, wire_id: Any, action: str, payload: bytes, answer: bytes, until: float) -> None:
        """Remember an answer."""
        ring = self._ring
        if wire_id in ring:
            del ring[wire_id]
        elif len(ring) >= RING:
            ring.popitem(last=False)
        ring[wire_id] = Reply(hash((action, payload)), answer, until)
