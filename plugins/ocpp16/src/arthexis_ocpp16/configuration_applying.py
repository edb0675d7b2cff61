"""Making a station's configuration what it should be, key by key (OCPP 1.6 §5.3, errata 3.13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from arthexis import Host, stations
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.asking import answer_of

TOOK: Final = frozenset({"Accepted", "RebootRequired"})
SETTABLE: Final = frozenset({"differs", "never seen"})
IN_PART: Final = "in part"
GONE: Final = "station gone"
LISTS: Final = frozenset(
    {"metervaluesaligneddata", "metervaluessampleddata", "stoptxnaligneddata", "stoptxnsampleddata"}
)
"""Keys that list measurands: a station that lacks one of them refuses them all (errata 3.13)."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a key: how its last operation ended (``in part`` for a list of which the station took some)."""

    key: str
    desired: str
    state: str
    value: str | None = None
    refused: tuple[str, ...] = ()


async def apply(host: Host, station: str, *, by: str = "node") -> list[Applied]:
    """Send every key of a station that drifts and can be set; what became of each, and why others were not sent.

    A key counts as set only once the station took it. It ends early where the station is gone. Raises ``DomainError``
    where the station may not be told at all.
    """

    def drifting(db: Any) -> list[dict[str, Any]]:
        return configuration.drift(db, stations.required(db, station).row)

    results: list[Applied] = []
    for row in await host.database.read(drifting):
        if row["state"] not in SETTABLE:
            results.append(Applied(row["key"], row["desired"], row["state"], row["value"]))
            continue
        results.append(await _Setting(host, station, row["key"], by).set(row["desired"]))
        if results[-1].state == GONE:
            break
    return results


class _Setting:
    """One key of one station that is being set."""

    def __init__(self, host: Host, station: str, key: str, by: str) -> None:
        self.host, self.station, self.key, self.by = host, station, key, by
        self.held: str | None = None
        self.state = ""

    async def set(self, desired: str) -> Applied:
        """Set the whole value; of a list that is refused, as much as the station takes."""
        parts = [part.strip() for part in desired.split(",") if part.strip()]
        if await self._takes(desired) or self.state != "Rejected" or not self._is_list(parts):
            return Applied(self.key, desired, self.state, self.held)
        half = len(parts) // 2
        taken = [*await self._among(parts[:half]), *await self._among(parts[half:])]
        while taken and self._goes_on() and self.held != ",".join(taken) and not await self._takes(",".join(taken)):
            taken.pop()
        refused = tuple(part for part in parts if part not in taken)
        if not self._goes_on():
            return Applied(self.key, desired, self.state, self.held)
        return Applied(self.key, desired, IN_PART if taken else "Rejected", self.held, refused)

    def _is_list(self, parts: list[str]) -> bool:
        return self.key.casefold() in LISTS and len(parts) > 1

    def _goes_on(self) -> bool:
        """Whether the station still says yes or no; what never answers, or does not know the key, is left alone."""
        return self.state in TOOK or self.state == "Rejected"

    async def _among(self, parts: list[str]) -> list[str]:
        """Those of a list that the station takes, by halves."""
        if not parts or not self._goes_on():
            return []
        if await self._takes(",".join(parts)):
            return parts
        if len(parts) == 1:
            return []
        half = len(parts) // 2
        return [*await self._among(parts[:half]), *await self._among(parts[half:])]

    async def _takes(self, value: str) -> bool:
        payload = {"key": self.key, "value": value}
        record = await answer_of(self.host, self.station, "ChangeConfiguration", payload, self.by)
        self.state = record["state"]
        if self.state in TOOK:
            self.held = value
        return self.state in TOOK
