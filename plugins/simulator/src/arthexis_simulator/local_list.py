"""The local authorization list of a station (OCPP 1.6 §3.5, §5.15)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class LocalList:
    """Tags with their idTagInfo, case-insensitive, under a version; version 0 is the empty list."""

    version: int = 0
    tags: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, version: int, update_type: str, entries: list[dict[str, Any]]) -> str:
        """Apply an update: Accepted, Failed or VersionMismatch; a failed one changes nothing."""
        names = [entry["idTag"].casefold() for entry in entries]
        if version < 1 or len(set(names)) != len(names):
            return "Failed"
        if update_type == "Full":
            if any("idTagInfo" not in entry for entry in entries):
                return "Failed"
            self.tags = {}
        elif version <= self.version:
            return "VersionMismatch"
        for name, entry in zip(names, entries, strict=True):
            if "idTagInfo" in entry:
                self.tags[name] = entry["idTagInfo"]
            else:
                self.tags.pop(name, None)
        self.version = version
        return "Accepted"
