"""What was mended, in a few words that fit a column: bounded, without control characters, little of the wire in it."""

from __future__ import annotations

from typing import Final

from arthexis.contributions import Protocol

MOST_REPAIRS: Final = 32
MOST_ARRAYS: Final = 4
MOST_ECHOED: Final = 40
MOST_ABSENT: Final = 256
MOST_VERBATIM: Final = 256
LONGEST_VERBATIM: Final = 255
MOST_GUESSES: Final = 100
"""Texts of one payload that are compared with all members of their enumeration; that takes longest."""

MOST_MENDED: Final = 20_000
"""Repairs of one payload after which what still needs one is dropped, so that no frame keeps the node busy."""


class Notes:
    """The receipt of one payload while it is mended, and what the rules need to know about its protocol."""

    __slots__ = ("_guesses", "_more", "_texts", "absent", "protocol", "unrefusable", "verbatim")

    def __init__(self, protocol: Protocol, *, unrefusable: bool) -> None:
        """Start an empty receipt."""
        self.protocol = protocol
        self.unrefusable = unrefusable
        self.absent: set[str] = set()
        self.verbatim: dict[str, str] = {}
        self._texts: list[str] = []
        self._more = 0
        self._guesses = 0

    def add(self, path: str, done: str) -> None:
        """Note a repair at a wire path; beyond the first few they are only counted."""
        self.say(f"{path or 'payload'}: {done}")

    def say(self, text: str) -> None:
        """Note a repair whose text already names its wire path."""
        if len(self._texts) < MOST_REPAIRS:
            self._texts.append(text)
        else:
            self._more += 1

    def give_up(self, path: str, items: int) -> None:
        """Note that the rest of an array was dropped; told even where other repairs are only counted."""
        if len(self._texts) < MOST_REPAIRS + MOST_ARRAYS:
            self._texts.append(f"{path}: the last {items} items dropped: too much to mend")

    def lose(self, path: str) -> None:
        """Note that nothing of the wire stands behind this member."""
        if len(self.absent) < MOST_ABSENT:
            self.absent.add(path)

    def keep(self, path: str, text: str) -> None:
        """Keep what a member really said, where the Struct can hold less; a very long text is cut."""
        if len(self.verbatim) < MOST_VERBATIM:
            self.verbatim[path] = text[:LONGEST_VERBATIM]

    def may_guess(self) -> bool:
        """Whether one more text may be compared with the members of its enumeration."""
        self._guesses += 1
        return self._guesses <= MOST_GUESSES

    @property
    def weary(self) -> bool:
        """Whether so much was mended already that the rest is not worth the node's time."""
        return self._more > MOST_MENDED

    def texts(self) -> tuple[str, ...]:
        """The repairs, the last of them saying how many more there were."""
        return (*self._texts, f"and {self._more} more") if self._more else tuple(self._texts)


def echo(value: object) -> str:
    """A value of the wire, quoted for a person: at most 40 characters, control characters escaped."""
    if isinstance(value, dict):
        return "object"
    if isinstance(value, (list, tuple)):
        return "array"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a huge number"
    if value is None:
        return "null"
    shown = str(value).lower() if isinstance(value, bool) else repr(_start(value))
    return shown if len(shown) <= MOST_ECHOED else shown[: MOST_ECHOED - 3] + "..."


def below(path: str, member: str | int) -> str:
    """The dotted wire path of a member or item; a member's name is clipped as it may come from the wire."""
    name = str(member) if isinstance(member, int) else _name(member)
    return f"{path}.{name}" if path else name


def _start(value: object) -> object:
    return value[: MOST_ECHOED + 1] if isinstance(value, str) else value


def _name(member: str) -> str:
    if member.isalnum() and member.isascii() and len(member) <= MOST_ECHOED:
        return member
    shown = repr(member[: MOST_ECHOED + 1])[1:-1]
    return shown if len(shown) <= MOST_ECHOED else shown[: MOST_ECHOED - 3] + "..."
