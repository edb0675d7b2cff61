"""What msgspec says of a wrong value, as an error of ours: which member, and what to do about it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from arthexis.errors import Invalid

_where = re.compile(r"(?P<problem>.*?)(?: - at `(?:key in )?\$\.?(?P<path>[^`]*)`)?", re.DOTALL).fullmatch
_named = re.compile(r"(?P<fault>unknown|missing required) field `(?P<name>[^`]*)`").search
_expected = re.compile(r"Expected `(?P<kind>[^`]+)`(?P<bound> (?:of length )?[<>]=? [^,]+)?").match


def invalid(wrong: Exception, place: str, *, within: str = "", known: Iterable[str] = ()) -> Invalid:
    """An ``Invalid`` that names the member at fault (below ``within``) and the cure.

    ``known`` are the members there are, so that a misspelt one can be told.
    """
    found = _where(str(wrong))
    problem, path = (found["problem"], found["path"] or "") if found is not None else (str(wrong), "")
    named = _named(problem)
    member = ".".join(filter(None, (within, path, named["name"] if named is not None else "")))
    said = f"{problem[:1].lower()}{problem[1:]}"
    told = f"{member}: {said}" if member and named is None else said
    return Invalid(told, place=place, cure=_cure(problem, named, list(known)), member=member)


def whole_numbers(value: Any) -> Any:
    """The same JSON value with numbers like 2.0 as integers: JSON makes no difference between the two."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole_numbers(each) for name, each in value.items()}
    return [whole_numbers(each) for each in value] if isinstance(value, list) else value


def _cure(problem: str, named: re.Match[str] | None, known: list[str]) -> str:
    if named is not None and named["fault"] == "unknown":
        close = difflib.get_close_matches(named["name"], known, 1)
        if close:
            return f"Did you mean {close[0]}?"
        return f"Leave it out; there are {', '.join(known)}" if known else "Leave it out"
    if named is not None:
        return f"Give {named['name']}: it is required"
    expected = _expected(problem)
    if expected is not None:
        return f"Send {expected['kind']}{expected['bound'] or ''}"
    if "RFC3339" in problem:
        return "Write it like 2026-11-24T12:00:00Z"
    return "See /api/docs for what may be sent"
