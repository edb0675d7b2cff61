"""Rows, medians, ratios and targets: the arithmetic of a comparison, apart from how its figures were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared under which settings, and CPU microseconds per message in each repeat."""

    name: str
    what: str
    uvloop: bool
    authentication: str
    message_log: bool
    us: tuple[float, ...] = ()
    per_s: tuple[float, ...] = ()

    @property
    def median_us(self) -> float:
        """The median of the repeats."""
        return median(self.us)

    @property
    def spread(self) -> float:
        """How far the repeats lie apart, as a part of their median."""
        return (max(self.us) - min(self.us)) / self.median_us


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio of two rows that is to be at least, or at most, so much.

    ``held`` is the ratio that was reached and must not be lost again: continuous integration fails beyond it, with room
    for what a busy machine does to a ratio. Where it is not the bound, the target is still to be reached.
    """

    upper: str
    lower: str
    bound: float
    at_least: bool
    held: float | None = None

    def ratio(self, rows: Mapping[str, Row]) -> float:
        """The median of the ratios repeat by repeat: what disturbs the machine disturbs both halves of a pair."""
        pairs = zip(rows[self.upper].us, rows[self.lower].us, strict=True)
        return median(upper / lower for upper, lower in pairs)

    def met(self, rows: Mapping[str, Row]) -> bool:
        """Whether the ratio is within the bound."""
        ratio = self.ratio(rows)
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    def kept(self, rows: Mapping[str, Row]) -> bool:
        """Whether the ratio is no worse than what was reached before."""
        ratio, held = self.ratio(rows), self.bound if self.held is None else self.held
        return ratio >= held if self.at_least else ratio <= held

    def line(self, rows: Mapping[str, Row]) -> str:
        """The target, the ratio and the verdict as a person reads them."""
        sign = "at least" if self.at_least else "at most"
        verdict = "met" if self.met(rows) else "MISSED"
        held = "" if self.held is None else f"   held at {self.held:g}: {'yes' if self.kept(rows) else 'LOST'}"
        return f"{self.upper} / {self.lower} = {self.ratio(rows):6.2f}   {sign} {self.bound:g}: {verdict}{held}"


TARGETS: Final = (
    Target("a", "d1", 25.0, at_least=True, held=9.0),
    Target("d1", "c", 1.5, at_least=False, held=6.0),
    Target("b", "d2", 60.0, at_least=True, held=28.0),
)


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as lines of text."""
    return [_line("", "server", "uvloop", "authentication", "log", "CPU us/message", "spread", "messages/s")] + [
        _line(
            row.name,
            row.what,
            "yes" if row.uvloop else "no",
            row.authentication,
            "yes" if row.message_log else "no",
            f"{row.median_us:.1f}",
            f"{row.spread:.0%}",
            f"{median(row.per_s):,.0f}",
        )
        for row in rows
    ]


def _line(name: str, what: str, uvloop: str, authentication: str, log: str, us: str, spread: str, per_s: str) -> str:
    return f"{name:3} {what:50} {uvloop:6} {authentication:14} {log:3} {us:>14} {spread:>6} {per_s:>10}"
