"""What a text means that is no member of an enumeration: by alias, by its letters, by likeness, by the fallback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final

from arthexis.ocppj.repair.notes import Notes

SHORTEST: Final = 5
LONGEST: Final = 64
LEAST_LIKENESS: Final = 0.8
LEAST_LEAD: Final = 0.02


def folded(text: str) -> str:
    """The letters and digits of a text, without case."""
    return "".join(filter(str.isalnum, text.casefold()))


_letters = lru_cache(maxsize=4096)(folded)
"""The same for names that are ours, not the wire's."""


def meanings(name: str, notes: Notes) -> tuple[str, ...]:
    """The members that a station may mean by a name that is none of them; none for a name nobody has heard of."""
    names = notes.protocol.names
    return names.get(folded(name)) or names.get(name) or ()


def nearest(name: str, members: tuple[str, ...], notes: Notes) -> str | None:
    """The one of a few members that a misspelt name is clearly most like, or None."""
    letters = folded(name) if len(name) <= LONGEST else ""
    return _nearest(letters, members) if letters and members and notes.may_guess() else None


def meaning(text: str, members: Mapping[str, Any], wire: str, notes: Notes) -> str | None:
    """The member that a text means in the field ``wire``; None if it means nothing and there is no fallback for it."""
    aliases = notes.protocol.aliases.get(wire, {})
    found = aliases.get(text.strip())
    if found in members:
        return found
    letters = folded(text) if len(text) <= LONGEST else ""
    if letters:
        found = _same(letters, members, aliases) or (_nearest(letters, tuple(members)) if notes.may_guess() else None)
    if found in members:
        return found
    fallback = notes.protocol.fallbacks.get(wire)
    return fallback if fallback in members else None


def _same(letters: str, members: Iterable[str], aliases: Mapping[str, str]) -> str | None:
    """The member, or the meaning of the alias, that has the same letters."""
    for member in members:
        if _letters(member) == letters:
            return member
    for said, meant in aliases.items():
        if meant in members and _letters(said) == letters:
            return meant
    return None


@lru_cache(maxsize=256)
def _nearest(letters: str, members: tuple[str, ...]) -> str | None:
    """The one member that the text begins or that is clearly most like it.

    Short texts and such with another beginning are never near: ``mA`` is not ``A``, ``NotAccepted`` not ``Accepted``.
    """
    near = [member for member in members if len(letters) >= SHORTEST and _letters(member)[:2] == letters[:2]]
    begun = [member for member in near if _letters(member).startswith(letters)]
    if begun:
        return begun[0] if len(begun) == 1 else None
    return _likest(letters, [member for member in near if len(_letters(member)) >= SHORTEST])


def _likest(letters: str, members: Iterable[str]) -> str | None:
    ranked = sorted(
        ((SequenceMatcher(None, letters, _letters(member)).ratio(), member) for member in members), reverse=True
    )
    if not ranked or ranked[0][0] < LEAST_LIKENESS:
        return None
    return ranked[0][1] if len(ranked) == 1 or ranked[0][0] - ranked[1][0] >= LEAST_LEAD else None
