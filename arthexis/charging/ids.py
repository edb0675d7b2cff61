"""Identifiers: how identities and id tags are compared, and ids for rows that travel between nodes."""

from __future__ import annotations

import os
import time

MAX_IDENTITY = 48
TRANSACTION_IDS = range(1, 2**31)


def folded(text: str) -> str:
    """The form in which identities and id tags are compared: case-insensitive, otherwise exact (OCPP 1.6 §3.9).

    Control characters and blanks around it, which some readers append, count for nothing. Only letters that are the
    upper and lower form of each other are the same: ``ß`` is not ``ss``, ``İ`` is no ``i``, the Kelvin sign no ``k``.
    """
    if text.isascii() and text.isprintable():
        return text.strip().lower()
    return "".join(c for c in text if c.isprintable()).strip().translate(_lower)


class _Lower(dict[int, int]):
    """The lower form of each character that has exactly one, for ``str.translate``."""

    def __missing__(self, code: int) -> int:
        lower = chr(code).lower()
        return ord(lower) if len(lower) == 1 and lower.upper() == chr(code) else code


_lower = _Lower()


def uuid7(milliseconds: int | None = None) -> str:
    """A UUID of version 7 (RFC 9562 §5.7): sortable by time, unique across nodes."""
    stamp = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    tail = int.from_bytes(os.urandom(10))
    text = f"{(stamp & (1 << 48) - 1) << 80 | tail & ~(0xF << 76) & ~(3 << 62) | 7 << 76 | 2 << 62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
