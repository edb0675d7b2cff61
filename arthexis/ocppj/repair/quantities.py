"""Numbers as people and locales write them: "12,5", "1.234,5", "12 345", "12.5 kWh"."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

LONGEST_NUMBER: Final = 400
"""Characters; a longer text is no number."""

_written = re.compile(
    r"(?P<number>[+-]?[\d.,' \u00a0\u202f]*\d[.,]?(?:[eE][+-]?\d{1,3})?)\s*(?P<unit>[^\W\d_]*)", re.ASCII
).fullmatch
_spaced = re.compile(r"[+-]?\d{1,3}(?:[' \u00a0\u202f]\d{3})+(?:[.,]\d*)?(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_grouped = {mark: re.compile(rf"[+-]?\d{{1,3}}(?:\{mark}\d{{3}})+", re.ASCII).fullmatch for mark in ".,"}
_spaces = str.maketrans("", "", "' \u00a0\u202f")
_FACTORS: Final = {"k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def quantity(text: str, unit: str | None) -> int | float | None:
    """The number that a text says, in ``unit`` (None: the number has none); None where that is not clear.

    A single comma is a decimal mark, because programs that write one have another locale and do not group digits.
    """
    found = _written(text) if len(text) <= LONGEST_NUMBER else None
    factor = _factor(found["unit"], unit) if found is not None else None
    plain = _plain(found["number"].strip()) if found is not None and factor is not None else None
    if plain is None or factor is None:
        return None
    if not math.isfinite(float(plain)):
        return math.inf
    number = Decimal(plain) * factor
    return int(number) if number == number.to_integral_value() else float(number)


def _factor(said: str, unit: str | None) -> int | None:
    """By what to multiply to get ``unit``; None if the unit said is another one."""
    if not said:
        return 1
    if unit is None:
        return None
    if said.casefold() == unit.casefold():
        return 1
    return _FACTORS.get(said[0]) if said[1:].casefold() == unit.casefold() else None


def _plain(number: str) -> str | None:
    """A number with a point, or None where its marks make no sense."""
    bare = number.translate(_spaces)
    if bare != number and not _spaced(number):
        return None
    points, commas = bare.count("."), bare.count(",")
    if points and commas:
        decimal, group = (".", ",") if bare.rfind(".") > bare.rfind(",") else (",", ".")
        return bare.replace(group, "").replace(decimal, ".") if bare.count(decimal) == 1 else None
    if points + commas <= 1:
        return bare.replace(",", ".")
    mark = "." if points else ","
    return bare.replace(mark, "") if _grouped[mark](bare) else None
