"""Replies: within one socket, the same request sent again gets the very bytes of its first answer."""

from __future__ import annotations

from typing import Any, Final

RING: Final = 4
LARGEST: Final = 4096


class Replies:
    """The latest answers of one socket by message id; bounded, the oldest id goes first.

    Each is kept as (the request's frame, the answer's bytes, until when it may be sent again in monotonic seconds).
    A request larger than ``LARGEST`` bytes is not kept: the rows it made know it by their content.
    """

    __slots__ = ("ring",)

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.ring: dict[Any, tuple[bytes, bytes, float]] = {}

    def find(self, wire_id: Any, frame: bytes, now: float) -> bytes | None:
        """The first answer to this very frame, while it may be repeated."""
        reply = self.ring.get(wire_id)
        return reply[1] if reply is not None and reply[2] >= now and reply[0] == frame else None

    def keep(self, wire_id: Any, frame: bytes, answer: bytes, until: float) -> None:
        """Remember an answer; an id that is used again has the latest."""
        if len(frame) <= LARGEST:
            ring = self.ring
            ring[wire_id] = (frame, answer, until)
            if len(ring) > RING:
                del ring[next(iter(ring))]
