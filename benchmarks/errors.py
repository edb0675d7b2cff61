"""What ends a benchmark without a figure."""

from __future__ import annotations


class WrongAnswers(Exception):
    """A server answered something wrong, or not at all, so that its figures mean nothing."""
