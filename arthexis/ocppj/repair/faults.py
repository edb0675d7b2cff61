"""Which fault a failure to decode is, in the host's words; the protocol names it in its own."""

from __future__ import annotations

from typing import Final

import msgspec

from arthexis.contributions import Fault

_STARTS: Final = (
    ("Object missing required field", Fault.MISSING),
    ("Object contains unknown field", Fault.UNKNOWN_MEMBER),
    ("Expected `array` of ", Fault.MISSING),
)


class Unmendable(Exception):
    """A payload that no rule could mend: the ``fault`` that its first hopeless member is, and a text that names it."""

    def __init__(self, fault: Fault, detail: str) -> None:
        """Say which fault it is and, with the wire path, where."""
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


def classify(error: Exception) -> Fault:
    """The fault that a failure of msgspec means; what is no ``ValidationError`` is unreadable.

    Too few or too many items of an array are a matter of occurrence and count as missing, like an absent member.
    """
    if not isinstance(error, msgspec.ValidationError):
        return Fault.UNREADABLE
    said = str(error)
    for start, fault in _STARTS:
        if said.startswith(start):
            return fault
    return Fault.TYPE if said.startswith("Expected") and "`, got `" in said else Fault.VALUE
