"""Bringing a station's local authorization list up to date (OCPP 1.6 §3.5, §5.10, §5.15, errata 3.52).

OCPP 1.6 cannot read entries back, so that the station's version is what tells whether it still holds what it accepted:
then the difference is sent, else the whole list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from arthexis import Connection, Host, stations
from arthexis_ocpp16 import configuration, local_list
from arthexis_ocpp16.asking import answer_of
from arthexis_ocpp16.local_list import NOT_SUPPORTED, Held, Info

IN_SYNC: Final = "in sync"
UNSUPPORTED: Final = "not supported"
FAILED: Final = "failed"
UNREACHABLE: Final = "unreachable"
AT_ONCE: Final = 100
"""How many entries a station gets at once that has not told its SendLocalListMaxLength."""

AGAIN: Final = frozenset({"Failed", "VersionMismatch"})
"""Answers to a difference after which the whole list is sent."""


@dataclass(frozen=True, slots=True)
class Synced:
    """How it ended: ``in sync``, ``not supported``, ``failed`` or ``unreachable``; ``sent`` counts SendLocalLists."""

    state: str
    sent: int
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a station holds as far as we know, what it should hold, how much of that at once, and what is left out."""

    held: Held
    now: dict[str, Info]
    then: dict[str, Info]
    at_once: int
    left_out: int

    @property
    def difference(self) -> list[dict[str, Any]]:
        """What would have to change."""
        return local_list.difference(self.now, self.then)


def plan(db: Connection, host: Host, station_id: int, at_once: int = AT_ONCE) -> Plan:
    """What a station should hold: every tag that may charge, as many as its LocalAuthListMaxLength allows."""
    most = _number(db, station_id, "LocalAuthListMaxLength")
    wanted = sorted(local_list.wanted(db, host.clock.now()).items())
    then = dict(wanted if most is None else wanted[:most])
    return Plan(
        local_list.held(db, station_id),
        local_list.entries(db, station_id),
        then,
        _number(db, station_id, "SendLocalListMaxLength") or at_once,
        len(wanted) - len(then),
    )


async def sync(host: Host, station: str, *, full: bool = False, at_once: int = AT_ONCE, by: str = "node") -> Synced:
    """Ask for the version, send what is missing; ``full`` sends the whole list whatever the station says.

    How it ended is kept with the station. Raises ``DomainError`` where it may not be told at all.
    """
    sending = _Sending(host, station, by, at_once)
    outcome = await sending.sync(full=full)

    def keep(db: Connection) -> None:
        row = stations.required(db, station).row
        local_list.synced(db, row, outcome.state, outcome.said, host.clock.now())

    await host.journal.write(keep)
    return outcome


class _Sending:
    """One synchronisation of one station."""

    def __init__(self, host: Host, station: str, by: str, at_once: int) -> None:
        self.host, self.station, self.by, self.at_once = host, station, by, at_once
        self.sent = 0

    async def sync(self, *, full: bool) -> Synced:
        record = await answer_of(self.host, self.station, "GetLocalListVersion", {}, self.by)
        if record["state"] != "answered":
            return Synced(UNREACHABLE, 0, f"GetLocalListVersion ended: {record['state']}")
        plan = await self._plan()
        if plan.held.told_version == NOT_SUPPORTED:
            return Synced(UNSUPPORTED, 0, "the station has no local list")
        if plan.held.known and not full:
            state = await self._all("Differential", plan.difference, plan.at_once)
            if state not in AGAIN:
                return self._ended(state, plan)
        elif not full and plan.held.told_version == local_list.EMPTY and not plan.then:
            return Synced(IN_SYNC, 0)
        return self._ended(await self._whole(await self._plan()), plan)

    async def _plan(self) -> Plan:
        return await self.host.database.read(
            lambda db: plan(db, self.host, stations.required(db, self.station).row, self.at_once)
        )

    async def _whole(self, plan: Plan) -> str:
        """Send the whole list: its first part as Full, the others as differences."""
        entries = local_list.difference({}, plan.then)
        state = await self._one("Full", entries[: plan.at_once])
        if state == "Accepted":
            state = await self._all("Differential", entries[plan.at_once :], plan.at_once)
        return state

    async def _all(self, kind: str, entries: Sequence[dict[str, Any]], at_once: int) -> str:
        """Send entries in pieces; the first answer that is not Accepted."""
        for start in range(0, len(entries), at_once):
            state = await self._one(kind, entries[start : start + at_once])
            if state != "Accepted":
                return state
        return "Accepted"

    async def _one(self, kind: str, entries: Sequence[dict[str, Any]]) -> str:
        self.sent += 1
        payload = {"updateType": kind, "localAuthorizationList": list(entries)}
        state: str = (await answer_of(self.host, self.station, "SendLocalList", payload, self.by))["state"]
        return state

    def _ended(self, state: str, plan: Plan) -> Synced:
        if state == "Accepted":
            left_out = f"{plan.left_out} tags are left out: its list holds {len(plan.then)}" if plan.left_out else None
            return Synced(IN_SYNC, self.sent, left_out)
        if state == "NotSupported":
            return Synced(UNSUPPORTED, self.sent, "the station takes no local list")
        failed = state in AGAIN or state == "error"
        return Synced(FAILED if failed else UNREACHABLE, self.sent, f"SendLocalList ended: {state}")


def _number(db: Connection, station_id: int, key: str) -> int | None:
    """A key's value where it is a number above 0."""
    text = configuration.value(db, station_id, key) or ""
    found = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    return found or None
