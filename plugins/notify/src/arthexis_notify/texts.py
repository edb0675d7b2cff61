"""Texts for people: templates with named fields and nothing else, and what stations wrote made harmless."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from string import Formatter
from typing import Any, Final

MOST_FIELD: Final = 200
MOST_TEXT: Final = 1_000
MOST_TITLE: Final = 120
NOTHING: Final = "-"


def clean(text: str, most: int = MOST_TEXT) -> str:
    """A text in one line without anything that could move a cursor, turn it around or begin a header, cut at ``most``.

    What is no printable character becomes a space, spaces in a row become one.
    """
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * most])
    line = " ".join(shown.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown(value: object) -> str:
    """What a field says to people: a dash for nothing, a time in UTC to the second, a list with commas."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, (list, tuple)):
        return clean(", ".join(map(str, value)), MOST_FIELD) or NOTHING
    return clean(str(value), MOST_FIELD) or NOTHING


def fields(template: str) -> list[str]:
    """The names in a template (``{station} is {status}``); raises ``ValueError`` for anything but plain names.

    There is no way to reach attributes or items, and no format: what is said of one station cannot be made to say more.
    """
    found = []
    for _, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            written = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ValueError(f"{{{written}}} is no plain name; write {{station}}, and {{{{ for a brace")
        found.append(name)
    return found


def filled(template: str, values: Mapping[str, Any], most: int = MOST_TEXT) -> str:
    """A template with its fields as people read them; a field that is not there is a dash."""
    parts = []
    for literal, name, _, _ in Formatter().parse(template):
        parts += [literal, "" if name is None else shown(values.get(name))]
    return clean("".join(parts), most)


def unknown(template: str, known: Collection[str]) -> list[str]:
    """The fields of a template that are not among ``known``; raises ``ValueError`` as ``fields`` does."""
    return [name for name in fields(template) if name not in known]
