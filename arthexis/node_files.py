"""The two files by which commands find the node of a data folder: its lock, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

CONTROL = "control.json"
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Control:
    """How commands reach the running node: a loopback URL and a token, in a file only its owner may read."""

    url: str
    token: str
    pid: int


def control_of(home: Path) -> Control | None:
    """The running node's control file, or None where there is none that can be read."""
    try:
        return msgspec.json.decode((home / CONTROL).read_bytes(), type=Control)
    except (OSError, ValueError):
        return None
