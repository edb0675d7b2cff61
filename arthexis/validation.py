"""What msgspec says of a wrong value, as an error of ours: which member, and what to do about it."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from arthexis.errors import Invalid

_where = re.compile(r"(?P<problem>.*?)(?: - at `(?:key in )?\$\.?(?P<path>[^`]*)`)?", re.DOTALL).fullmatch
_named = re.compile(r"(?P<fault>unknown|missing required) field `(?P<name>[^`]*)`").search
_expected = re.compile(r"Expected `(?P<kind>[^`]+)`(?P<bound> (?:of length )?[<>]=? [^,]+)?").match


def invalid(wrong: Exception, place: str, kind: Any = None, *, within: str = "") -> Invalid:
    """An ``Invalid`` that names the member at fault (below ``within``) and the cure.

    ``kind`` is the type that was expected: it tells which members and which words there are.
    """
    found = _where(str(wrong))
    problem, path = (found["problem"], found["path"] or "") if found is not None else (str(wrong), "")
    named = _named(problem)
    member = ".".join(filter(None, (within, path, named["name"] if named is not None else "")))
    said = f"{problem[:1].lower()}{problem[1:]}"
    told = f"{member}: {said}" if member and named is None else said
    expected = _schema_at(kind, path) if kind is not None else {}
    return Invalid(told, place=place, cure=_cure(problem, named, expected), member=member)


def _cure(problem: str, named: re.Match[str] | None, schema: dict[str, Any]) -> str:
    if named is not None and named["fault"] == "unknown":
        known = list(schema.get("properties", ()))
        close = difflib.get_close_matches(named["name"], known, 1)
        if close:
            return f"Did you mean {close[0]}?"
        return f"Leave it out; there are {', '.join(known)}" if known else "Leave it out"
    if named is not None:
        return f"Give {named['name']}: it is required"
    if "enum" in schema:
        return f"Use one of {', '.join(map(str, schema['enum']))}"
    expected = _expected(problem)
    if expected is not None:
        return f"Send {expected['kind']}{expected['bound'] or ''}"
    if schema.get("format") == "date-time":
        return "Write it like 2026-11-24T12:00:00Z"
    return f"It must match {schema['pattern']}" if "pattern" in schema else "See /api/docs for what may be sent"


def _schema_at(kind: Any, path: str) -> dict[str, Any]:
    """The JSON Schema of the member that a path such as ``a.b[0]`` leads to; empty where it cannot be told."""
    whole = msgspec.json.schema(kind)
    found = _resolved(whole, whole)
    for step in re.findall(r"[^.\[\]]+|\[", path):
        if step == "[":
            found = _resolved(found.get("items", {}), whole)
        elif not step.isdigit() and step != "...":
            found = _resolved(found.get("properties", {}).get(step, {}), whole)
    return found


def _resolved(schema: Any, whole: dict[str, Any]) -> dict[str, Any]:
    """A schema without its references, and without null where that is one of two."""
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        return _resolved(whole.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}), whole)
    if "anyOf" in schema:
        return next((_resolved(part, whole) for part in schema["anyOf"] if part != {"type": "null"}), {})
    return schema


def whole_numbers(value: Any) -> Any:
    """The same JSON value with numbers like 2.0 as integers: JSON makes no difference between the two."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole_numbers(each) for name, each in value.items()}
    return [whole_numbers(each) for each in value] if isinstance(value, list) else value
