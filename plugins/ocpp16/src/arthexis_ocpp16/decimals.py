"""Decimals: OCPP 1.6 allows one behind the point in charging limits (``multipleOf 0.1`` in the schemas).

A validator that divides floats refuses most good limits (16.1 / 0.1 is 161.00000000000003), so that the Structs do
not refuse any and frames of ours are checked here before they leave.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import fields


def check_decimals(message: Struct) -> tuple[str, ...]:
    """The dotted wire paths of all numbers with more than one decimal, in the order of the message; none if it is good.

    Numbers without limit of decimals do not exist in OCPP 1.6: each is a limit or a least rate in A or W.
    """
    return tuple(_crooked(message, ""))


def _crooked(value: object, path: str) -> Iterator[str]:
    if isinstance(value, float) and round(value, 1) != value:
        yield path
    elif isinstance(value, Struct):
        for member in fields(value):
            below = f"{path}.{member.encode_name}" if path else member.encode_name
            yield from _crooked(getattr(value, member.name), below)
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _crooked(item, f"{path}.{place}")
