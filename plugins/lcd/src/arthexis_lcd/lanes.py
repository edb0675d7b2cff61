"""What is shown when: messages in lanes by priority, each for a while, and the rows that come of the one on show.

Pure: ``turn`` says which message is on show, given which was; ``rows`` how it looks at that moment. Times are
monotonic seconds. The highest lane with something to say has the display. In a lane a message that nobody has seen goes
first, the oldest of them; then all take turns. What was begun stays for its shortest time, unless a higher lane has
something new. What nobody has seen in a lower lane has its turn once, between two turns of the highest: whoever holds a
card against the reader sees what became of it, even while an alarm stands.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

GAP: Final = "  "
"""Between the end of a text that scrolls and its beginning."""


class Lane(IntEnum):
    """Priorities, the highest last."""

    CLOCK = 0
    STATUS = 1
    SESSION = 2
    EVENT = 3
    ALARM = 4


@dataclass(frozen=True, slots=True)
class Message:
    """Something to show: ``serial`` tells it from all others, ``until`` is when it expires (None: never by itself).

    One that is replaced under the same ``serial`` goes on where it was. ``title`` has the first row to itself.
    """

    serial: int
    lane: Lane
    text: str
    title: str = ""
    until: float | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """How many characters there are, and how a text scrolls."""

    columns: int = 16
    rows: int = 2
    step_s: float = 0.4
    head_s: float = 1.5
    shortest_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Shown:
    """The message on show, since when, and the serials of those that have been."""

    message: Message | None = None
    since: float = 0.0
    seen: frozenset[int] = frozenset()


def turn(messages: Sequence[Message], shown: Shown, now: float, size: Size) -> Shown:
    """Who is on show now; ``messages`` in the order of their coming, each serial once."""
    alive = [message for message in messages if message.until is None or now < message.until]
    current = _renewed(messages, shown)
    guest = _guest(alive, shown.seen)
    seen = shown.seen & {message.serial for message in messages}
    if current is not None and now - shown.since < _least(current, guest, size):
        if not _overruled(current, alive, seen):
            return Shown(current, shown.since, shown.seen)
        seen -= {current.serial}  # it was cut short, so nobody could read it
    following = _following(alive, current, guest, seen)
    if following is None:
        return Shown(None, now, frozenset())
    same = current is not None and following.serial == current.serial
    return Shown(following, shown.since if same else now, seen | {following.serial})


def _guest(alive: Sequence[Message], seen: frozenset[int]) -> Message | None:
    """What nobody has seen below the highest lane, the highest and oldest of it; the clock is never news."""
    top = max((message.lane for message in alive), default=Lane.CLOCK)
    fresh = [message for message in alive if Lane.CLOCK < message.lane < top and message.serial not in seen]
    return max(fresh, key=lambda message: message.lane, default=None)


def _least(current: Message, guest: Message | None, size: Size) -> float:
    """How long a message keeps the display: an alarm does not scroll to its end while somebody waits for an answer."""
    waited_for = guest is not None and current.lane is Lane.ALARM
    return size.shortest_s if waited_for else shortest(current, size)


def _overruled(current: Message, alive: Iterable[Message], seen: frozenset[int]) -> bool:
    """Whether something higher that nobody has seen comes at once, or anything does where the clock stands."""
    higher = [message for message in alive if message.lane > current.lane]
    return any(current.lane is Lane.CLOCK or message.serial not in seen for message in higher)


def _following(
    alive: Sequence[Message], current: Message | None, guest: Message | None, seen: frozenset[int]
) -> Message | None:
    """Whose turn is next: the highest lane's, with a guest from below between two of its turns."""
    top = max((message.lane for message in alive), default=None)
    waiting = [message for message in alive if message.lane is top]
    news = any(message.serial not in seen for message in waiting)
    if guest is not None and current is not None and current.lane is top and not news:
        return guest
    return _next(waiting, current, seen) if waiting else None


def _renewed(messages: Iterable[Message], shown: Shown) -> Message | None:
    """The message on show as it is now; None once it was taken away."""
    serial = shown.message.serial if shown.message is not None else None
    return next((message for message in messages if message.serial == serial), None)


def _next(waiting: Sequence[Message], current: Message | None, seen: frozenset[int]) -> Message:
    fresh = [message for message in waiting if message.serial not in seen]
    if fresh:
        return fresh[0]
    serials = [message.serial for message in waiting]
    after = serials.index(current.serial) + 1 if current is not None and current.serial in serials else 0
    return waiting[after % len(waiting)]


def shortest(message: Message, size: Size) -> float:
    """How long a message stays at least: until it can be read, which for one that scrolls is once through."""
    longest = max((len(row) for row in lay_out(message, size)), default=0)
    scrolls = longest > size.columns
    return max(size.shortest_s, size.head_s + (longest + len(GAP)) * size.step_s if scrolls else 0.0)


def lay_out(message: Message, size: Size) -> list[str]:
    """The message's rows before they are cut to size: words are kept together while that fits, the rest is one row.

    At most one of them is longer than the display is wide: two that move cannot be read.
    """
    if not message.title:
        return _broken(message.text, size.rows, size.columns)
    lines = _broken(message.text, size.rows - 1, size.columns)
    if len(message.title) <= size.columns or all(len(line) <= size.columns for line in lines):
        return [message.title, *lines]
    told = message.text if message.text.startswith(message.title) else f"{message.title}: {message.text}"
    return _broken(told, size.rows, size.columns)


def _broken(text: str, room: int, columns: int) -> list[str]:
    """A text in so many rows at most, of which only the last may be longer than the display is wide."""
    lines = [piece for line in text.split("\n") for piece in _wrapped(line, columns)]
    if len(lines) > room:
        given = " ".join(text.split())
        lines = _wrapped(given, columns)[: room - 1]
        lines.append(given[_length_of(given, lines) :].lstrip())
    return lines


def _wrapped(text: str, columns: int) -> list[str]:
    if len(text) <= columns:
        return [text]
    return textwrap.wrap(text, columns, break_on_hyphens=False) or [""]


def _length_of(text: str, lines: Iterable[str]) -> int:
    """How far these lines, taken from the start of the text, reach in it."""
    end = 0
    for line in lines:
        end = text.index(line, end) + len(line)
    return end


def rows(shown: Shown, now: float, size: Size) -> list[str]:
    """What stands on the display: as many rows as it has, each as long as it is wide."""
    laid = lay_out(shown.message, size) if shown.message is not None else []
    padded = [*laid, *[""] * size.rows][: size.rows]
    return [window(row, now - shown.since, size) for row in padded]


def window(row: str, elapsed_s: float, size: Size) -> str:
    """The part of a row that is seen so long after it began: it stands, moves through, and begins again."""
    if len(row) <= size.columns:
        return row.ljust(size.columns)
    around = row + GAP
    cycle_s = size.head_s + len(around) * size.step_s
    # a nanosecond, so that the step that is due is not missed by what floats lose
    steps = int(max(0.0, elapsed_s % cycle_s - size.head_s + 1e-9) / size.step_s)
    return (around + around)[steps : steps + size.columns]
