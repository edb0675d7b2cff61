"""Fail in the plainest way."""

raise RuntimeError("no coffee\nno work")
