"""Many stations at once, each playing whole sessions: what ``arthexis simulate`` runs, and what came of it."""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from arthexis_simulator.car import some_car
from arthexis_simulator.clock import StationClock
from arthexis_simulator.errors import ConnectionRefused, Disconnected, SimulatorError, Unanswered
from arthexis_simulator.faults import Fault
from arthexis_simulator.session import Session
from arthexis_simulator.station import Station, station

BETWEEN_S = 60.0
SPREAD_S = 0.02
LONGEST_SPREAD_S = 5.0
COUNTED_LATER = frozenset({"Authorize", "BootNotification", "MeterValues", "StartTransaction", "StopTransaction"})
LAST_WORDS_S = 5.0
ANSWERING_S = 2.0
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to play: each of ``identities`` (with its key and its tag) plays ``sessions`` of ``duration_s``.

    Times are the stations' seconds, which pass ``speed`` times as fast as real ones.
    """

    url: str
    identities: tuple[str, ...]
    keys: dict[str, str | bytes | None]
    tags: dict[str, str]
    sessions: int = 1
    duration_s: float = 1200.0
    interval_s: float = 60.0
    speed: float = 120.0
    faults: tuple[Fault, ...] = ()
    patience_s: float = 30.0
    answer_timeout_s: float = 30.0
    seed: int | None = None

    @property
    def played_s(self) -> float:
        """How long a station plays, in its own seconds."""
        return self.sessions * self.duration_s + (self.sessions - 1) * BETWEEN_S


@dataclass(slots=True)
class Tally:
    """What has happened so far, counted by all stations together."""

    sessions: int = 0
    charging: int = 0
    energy_wh: float = 0.0
    reconnections: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    interrupted: bool = False

    @property
    def messages(self) -> int:
        """How many CALLs were answered."""
        return self.answered.total()

    @property
    def bad(self) -> int:
        """How much was refused or never answered."""
        return self.refused.total() + self.unanswered.total()

    def watch(self, action: str, outcome: str, seconds: float) -> None:
        """One CALL of a station ended; what is tried again counts when it is given up."""
        if outcome == "answered":
            self.answered[action] += 1
            self.latencies_s.append(seconds)
        elif action not in COUNTED_LATER:
            (self.unanswered if outcome == "unanswered" else self.refused)[f"{action}: {outcome}"] += 1

    def failed(self, error: SimulatorError, what: str) -> None:
        """Something was refused, or was never answered, for good."""
        if isinstance(error, Unanswered | Disconnected):
            self.unanswered[f"{what}: {error}"] += 1
        else:
            self.refused[f"{what}: {error}"] += 1

    def summary(self, plan: Plan) -> dict[str, Any]:
        """Everything as plain data; latencies in milliseconds."""
        ordered = sorted(self.latencies_s)
        return {
            "url": plan.url,
            "stations": len(plan.identities),
            "sessions": self.sessions,
            "sessions_planned": len(plan.identities) * plan.sessions,
            "energy_wh": round(self.energy_wh),
            "messages": self.messages,
            "answered": dict(sorted(self.answered.items())),
            "refused": dict(self.refused),
            "unanswered": dict(self.unanswered),
            "faults": {fault.kind: self.faults[fault.kind] for fault in plan.faults},
            "reconnections": self.reconnections,
            "latency_ms": {
                **{f"p{percent}": _percentile(ordered, percent) for percent in PERCENTILES},
                "max": _percentile(ordered, 100),
            },
            "seconds": round(time.monotonic() - self.began, 2),
            "interrupted": self.interrupted,
        }


def _percentile(ordered: list[float], percent: int) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 2)


Tell = Callable[[str], None]


class Fleet:
    """The stations of a plan. ``tell(line)`` hears of each session that ended."""

    def __init__(self, plan: Plan, tell: Tell) -> None:
        """Play this plan."""
        self.plan = plan
        self.tally = Tally()
        self._tell = tell
        self._stations: set[Station] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._rng = random.Random(plan.seed)

    async def run(self) -> Tally:
        """Play it all; when it is cancelled (Ctrl-C) the open sessions are stopped properly first."""
        start = self._clock_start()
        self._tasks = [
            asyncio.create_task(self._life(number, identity, start))
            for number, identity in enumerate(self.plan.identities)
        ]
        try:
            await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            self.tally.interrupted = True
            await self._end()
        for done in self._tasks:
            if not done.cancelled():
                done.result()
        return self.tally

    def _clock_start(self) -> datetime:
        """The stations' clocks begin so far back that their last session ends a little before now.

        What answers take of real time counts ``speed`` times on them, and no session may lie in the future.
        """
        answering_s = (ANSWERING_S + self.plan.sessions * ANSWERING_S / 4) * self.plan.speed
        return datetime.now(UTC) - timedelta(seconds=self.plan.played_s * (1 - 1 / self.plan.speed) + answering_s)

    async def _end(self) -> None:
        """Stop every session and wait a little for the last words."""
        self._stopping.set()
        for each in self._stations:
            for place in each.connectors.values():
                if place.session is not None:
                    place.session.stop("Other")
        waiting = [task for task in self._tasks if not task.done()]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=LAST_WORDS_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _life(self, number: int, identity: str, start: datetime) -> None:
        """One station from its connection to its end."""
        await asyncio.sleep(min(number * SPREAD_S, LONGEST_SPREAD_S))
        try:
            async with station(self.plan.url, identity, **self._settings(identity, start)) as cp:
                self._stations.add(cp)
                try:
                    await self._play(cp)
                finally:
                    self._stations.discard(cp)
                    self.tally.reconnections += cp.reconnections
                    self.tally.faults.update(cp.faults.played)
        except ConnectionRefused as error:
            self._tell(f"{identity}: {error}")
            self.tally.failed(error, "connection")

    def _settings(self, identity: str, start: datetime) -> dict[str, Any]:
        plan = self.plan
        return {
            "key": plan.keys.get(identity),
            "clock": StationClock(plan.speed, start),
            "faults": copy.deepcopy(plan.faults),
            "seed": self._rng.randrange(2**31),
            "reconnects": True,
            "heartbeats": True,
            "keep_log": False,
            "watch": self.tally.watch,
            "answer_timeout_s": plan.answer_timeout_s,
        }

    async def _play(self, cp: Station) -> None:
        if not await self._introduced(cp):
            return
        for number in range(self.plan.sessions):
            if number:
                await self._rest()
            if self._stopping.is_set():
                return
            if not await self._session(cp, number + 1):
                return

    async def _rest(self) -> None:
        """Wait for the next car, or for the end of it all."""
        try:
            async with asyncio.timeout(BETWEEN_S / self.plan.speed):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _introduced(self, cp: Station) -> bool:
        """Boot and tell the statuses; whether the station may go on."""
        try:
            async with asyncio.timeout(self.plan.patience_s):
                answer = await cp.boot()
                if not cp.accepted:
                    self._tell(f"{cp.identity}: boot {answer.status}, waiting")
                    await cp.boot_until_accepted()
                await cp.notify_status(0)
                await cp.notify_status(1)
        except TimeoutError:
            self.tally.refused["BootNotification: not accepted"] += 1
            return False
        except SimulatorError as error:
            self.tally.failed(error, "BootNotification")
            return False
        return True

    async def _session(self, cp: Station, number: int) -> bool:
        """One session with its faults; False if the node is not there any more."""
        plan, tally = self.plan, self.tally
        fault = cp.faults.breaking()
        session = Session(
            cp,
            1,
            plan.tags[cp.identity],
            some_car(cp.rng),
            duration_s=plan.duration_s,
            interval_s=plan.interval_s,
            halfway=(lambda: self._break(cp, fault)) if fault is not None else None,
        )
        tally.charging += 1
        playing = asyncio.ensure_future(session.run())
        try:
            there = await self._with_patience(cp, playing)
        finally:
            playing.cancel()
            tally.charging -= 1
        if not there:
            tally.unanswered["session given up: the node is gone"] += 1
            self._tell(f"{cp.identity}: given up, the node has been gone for {plan.patience_s:g} s")
            return False
        self._count(cp, session, number)
        return True

    async def _with_patience(self, cp: Station, playing: asyncio.Future[None]) -> bool:
        """Wait for a session's end; False if the station was offline for longer than ``patience_s``."""
        online = time.monotonic()
        while not playing.done():
            await asyncio.wait({playing}, timeout=0.25)
            now = time.monotonic()
            online = now if cp.connected else online
            if now - online > self.plan.patience_s:
                return False
        playing.result()
        return True

    async def _break(self, cp: Station, fault: Fault) -> None:
        """Drop the connection, or the power, in the middle of a session."""
        self._tell(f"{cp.identity}: {fault.kind}")
        if fault.kind == "drop":
            await cp.drop()
            return
        for place in cp.connectors.values():
            if place.session is not None:
                place.session.stop("PowerLoss")
        cp.spawn(cp.reboot("PowerLoss"))

    def _count(self, cp: Station, session: Session, number: int) -> None:
        tally = self.tally
        for error in session.failed:
            tally.failed(error, cp.identity)
        if session.refused is not None:
            tally.refused[session.refused] += 1
        if session.transaction is None:
            self._tell(f"{cp.identity}: session {number} did not start: {session.refused or session.failed}")
            return
        tally.sessions += 1
        tally.energy_wh += session.energy_wh
        said = f"transaction {session.transaction.id}, {session.energy_wh / 1000:.2f} kWh"
        self._tell(f"{cp.identity}: session {number}/{self.plan.sessions}, {said}")
