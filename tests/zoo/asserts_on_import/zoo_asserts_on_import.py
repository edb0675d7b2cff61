"""Insist on something that is not so."""

assert 1 + 1 == 3, "arithmetic"  # noqa
