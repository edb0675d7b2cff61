"""How a text, a number, a truth value or a choice is mended; ``Unmendable`` is raised where nothing usable is there."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from arthexis.contributions import Fault
from arthexis.ocppj.repair.broken import encode
from arthexis.ocppj.repair.choices import LONGEST, folded, meaning, meanings
from arthexis.ocppj.repair.faults import Unmendable
from arthexis.ocppj.repair.notes import Notes, echo
from arthexis.ocppj.repair.quantities import LONGEST_NUMBER, quantity
from arthexis.ocppj.repair.tokens import WireFloat

_controls = re.compile(r"[\x00-\x1f\x7f]+").sub
_whole = re.compile(r"[+-]?\d+", re.ASCII).fullmatch
_real = re.compile(r"[+-]?(?=\.?\d)\d*\.?\d*(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
MOST_WRAPPINGS: Final = 4
_BARE: Final = ("$", "_", "#text")
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


def _alone(value: Any, path: str, notes: Notes) -> Any:
    """What an array or object holds that stands where a single value is meant: its only item, the member so named."""
    for _ in range(MOST_WRAPPINGS):
        if isinstance(value, list) and len(value) == 1:
            notes.add(path, "array of one read as its item")
            value = value[0]
        elif isinstance(value, dict) and (name := _within(value, path, notes)) is not None:
            notes.add(path, f"object read as its {echo(name)}")
            value = value[name]
        else:
            break
    return value


def _within(value: dict[str, Any], path: str, notes: Notes) -> str | None:
    """The member of an object that is meant by the whole of it: of the same name, its only one, or its value."""
    wire = path.rpartition(".")[2]
    for name in value:
        if len(name) <= LONGEST and (folded(name) == wire.casefold() or wire in meanings(name, notes)):
            return name
    if len(value) == 1:
        return next(iter(value))
    return next((name for name in value if name.lower() == "value" or name in _BARE), None)


def _hopeless(value: Any, path: str, wanted: str, fault: Fault = Fault.TYPE) -> Unmendable:
    return Unmendable(fault, f"{path}: {echo(value)} is no {wanted}")


@dataclass(frozen=True, slots=True)
class Anything:
    """Whatever the rules know nothing about: taken as it is."""

    def mend(self, value: Any, path: str, notes: Notes) -> Any:
        """The value itself."""
        return value

    def neutral(self, path: str, notes: Notes) -> Any:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Text:
    """A text, perhaps of limited length in characters."""

    least: int | None = None
    most: int | None = None
    pattern: str | None = None

    def mend(self, value: Any, path: str, notes: Notes) -> str:
        """The text; numbers and truth values as they were written, objects and arrays as JSON, clipped if too long."""
        text = value if isinstance(value, str) else self._written(value, path, notes)
        if self.most is not None and len(text) > self.most:
            text = self._clipped(text, path, notes)
        if len(text) < (self.least or 0) or (self.pattern is not None and not re.search(self.pattern, text)):
            raise _hopeless(text, path, "such text", Fault.VALUE)
        return text

    def neutral(self, path: str, notes: Notes) -> str:
        """The empty text."""
        return ""

    def _written(self, value: Any, path: str, notes: Notes) -> str:
        if self.most is not None:
            value = _alone(value, path, notes)
        if isinstance(value, str):
            return value
        text = value.text if isinstance(value, WireFloat) else _json(value)
        nested = isinstance(value, (dict, list))
        if value is None or not text or (nested and self.most is not None and len(text) > self.most):
            raise _hopeless(value, path, "text")
        notes.add(path, f"{echo(value)} read as {'JSON ' * nested}text")
        return text

    def _clipped(self, text: str, path: str, notes: Notes) -> str:
        clean = _controls("", text).strip()
        if len(clean) <= (self.most or 0):
            notes.add(path, "control characters and blanks dropped")
            return clean
        notes.add(path, f"clipped to {self.most} of {len(text)}")
        notes.keep(path, clean)
        return clean[: self.most]


def _json(value: Any) -> str:
    """A value as JSON; empty if it is nested deeper than can be written."""
    try:
        return encode(value).decode()
    except (RecursionError, ValueError):
        return ""


def _number(value: Any, path: str, wanted: str, notes: Notes) -> int | float:
    """The number that a value of the wire says; a truth value says none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        text = value.strip()
        if _whole(text):
            return int(text)
        if _real(text):
            return float(text)
        found = quantity(text, notes.protocol.units.get(path.rpartition(".")[2]))
        if found is not None:
            return found
    raise _hopeless(value, path, wanted)


def _measured(value: Any, path: str, notes: Notes) -> Any:
    """A value and its unit in one text, where they came as an object and the unit matters."""
    if isinstance(value, dict) and path.rpartition(".")[2] in notes.protocol.units:
        said, unit = value.get("value"), value.get("unit")
        if isinstance(unit, str) and isinstance(said, (str, int, float)):
            notes.add(path, "object read as its value and unit")
            return f"{said.text if isinstance(said, WireFloat) else said} {unit}"
    return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, perhaps within limits."""

    least: int | None = None
    most: int | None = None

    def mend(self, value: Any, path: str, notes: Notes) -> int:
        """The number; decimals cut off, texts read, clamped to the limits."""
        value = _alone(_measured(value, path, notes), path, notes)
        number = _number(value, path, "whole number", notes)
        if isinstance(number, float) and not math.isfinite(number):
            raise _hopeless(value, path, "whole number", Fault.VALUE)
        whole = int(number)
        if type(value) is not int:
            notes.add(path, f"{echo(value)} read as {echo(whole)}")
        return int(_clamped(whole, self.least, self.most, path, notes))

    def neutral(self, path: str, notes: Notes) -> int:
        """Zero, or the least number allowed."""
        return max(0, self.least or 0)


@dataclass(frozen=True, slots=True)
class Real:
    """A number, perhaps within limits."""

    least: float | None = None
    most: float | None = None

    def mend(self, value: Any, path: str, notes: Notes) -> float:
        """The number; texts read, clamped to the limits."""
        value = _alone(value, path, notes)
        number = _float(_number(value, path, "number", notes))
        if not math.isfinite(number):
            raise _hopeless(value, path, "number", Fault.VALUE)
        if type(value) not in (int, float, WireFloat):
            notes.add(path, f"{echo(value)} read as {number}")
        return float(_clamped(number, self.least, self.most, path, notes))

    def neutral(self, path: str, notes: Notes) -> float:
        """Zero, or the least number allowed."""
        return max(0.0, self.least or 0.0)


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _clamped(number: float, least: float | None, most: float | None, path: str, notes: Notes) -> float:
    kept = number
    if least is not None and number < least:
        kept = least
    elif most is not None and number > most:
        kept = most
    if kept != number:
        notes.add(path, f"{echo(number)} out of range, read as {kept}")
    return kept


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def mend(self, value: Any, path: str, notes: Notes) -> bool:
        """The truth value that a text or number says."""
        value = _alone(value, path, notes)
        if isinstance(value, bool):
            return value
        said = (value if isinstance(value, str) else str(value)).strip().casefold() if not _nested(value) else ""
        if said not in _TRUE and said not in _FALSE:
            raise _hopeless(value, path, "truth value")
        notes.add(path, f"{echo(value)} read as {str(said in _TRUE).lower()}")
        return said in _TRUE

    def neutral(self, path: str, notes: Notes) -> bool:
        """False."""
        return False


def _nested(value: Any) -> bool:
    return value is None or isinstance(value, (dict, list)) or (isinstance(value, int) and value.bit_length() > 64)


@dataclass(frozen=True, slots=True)
class Choice:
    """One member of an enumeration, by its text; ``kind`` is its Enum class if any, ``wire`` the name of the field."""

    members: dict[str, Any]
    wire: str
    kind: type[Enum] | None = None

    def mend(self, value: Any, path: str, notes: Notes) -> Any:
        """The member that the value means."""
        value = _alone(value, path, notes)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value in self.members.values():
            return self._made(value)
        if _nested(value):
            raise _hopeless(value, path, "text")
        text = value if isinstance(value, str) else echo(value)
        member = text.strip() if text.strip() in self.members else meaning(text, self.members, self.wire, notes)
        if member is None:
            raise Unmendable(Fault.VALUE, f"{path}: {echo(value)} means none of the members allowed")
        notes.add(path, f"{echo(value)} read as {self.members[member]!r}")
        return self._made(self.members[member])

    def neutral(self, path: str, notes: Notes) -> Any:
        """The member for what means nothing, else the first one."""
        fallback = notes.protocol.fallbacks.get(self.wire)
        return self._made(self.members[fallback] if fallback in self.members else next(iter(self.members.values())))

    def _made(self, member: Any) -> Any:
        return member if self.kind is None else self.kind(member)
