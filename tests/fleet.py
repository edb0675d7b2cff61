"""Stations that talk as fast as they are answered, and remember what was acknowledged; and the books kept on a node.

A station that gets no answer, or an InternalError, sends the same content again under a new id, as real ones do.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from aiohttp import ClientError

from arthexis.db.engine import Database
from arthexis.testing.wire import Closed, wire

ANSWER_S = 15.0
AGAIN_S = 0.02
BEGIN = datetime(2026, 11, 24, 10, tzinfo=UTC)


@dataclass
class Said:
    """One thing a station has to say: sent so often, and the payload it was answered with, if it was."""

    action: str
    payload: dict[str, Any]
    frames: list[bytes] = field(default_factory=list)
    answer: dict[str, Any] | None = None
    answered: bytes | None = None


class Station:
    """A station that charges one car after the other on one connector until it is told to stop."""

    def __init__(self, identity: str, url: Callable[[str], str], meter_values: int = 3) -> None:
        self.identity = identity
        self.said: list[Said] = []
        self.answered = 0
        self.reconnected = 0
        self.refused = 0
        self._url = url
        self._meter_values = meter_values
        self._moment = BEGIN
        self._number = 0
        self._stopping = False
        self._work = self._say()

    def finish(self) -> None:
        """End with the session that runs."""
        self._stopping = True

    async def run(self) -> None:
        """Connect, again and again, until everything that was begun is answered."""
        current: Said | None = None
        while True:
            try:
                async with wire(self._url(self.identity)) as socket:
                    while True:
                        if current is None:
                            current = await anext(self._work)
                        await self._ask(socket, current)
                        current = None
            except StopAsyncIteration:
                return
            except (ClientError, Closed, TimeoutError, OSError):
                self.reconnected += 1
                await asyncio.sleep(AGAIN_S)

    async def _ask(self, socket: Any, said: Said) -> None:
        """Send until it is answered with a CALLRESULT."""
        while True:
            self._number += 1
            message_id = f"{self.identity}-{self._number}"
            frame = json.dumps([2, message_id, said.action, said.payload]).encode()
            said.frames.append(frame)
            await socket.say(frame)
            answer = await socket.hear(ANSWER_S)
            while answer[1] != message_id:
                answer = await socket.hear(ANSWER_S)
            if answer[0] == 3:
                said.answer, said.answered = answer[2], frame
                self.answered += 1
                return
            self.refused += 1
            await asyncio.sleep(AGAIN_S)

    def _time(self) -> str:
        """The station's clock goes on a second with everything it says."""
        self._moment += timedelta(seconds=1)
        return self._moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _one(self, action: str, **payload: Any) -> Said:
        self.said.append(Said(action, payload))
        return self.said[-1]

    async def _say(self) -> AsyncIterator[Said]:
        yield self._one("BootNotification", chargePointVendor="Acme", chargePointModel="One")
        register = 0
        while not self._stopping:
            yield self._status("Preparing")
            start = self._one(
                "StartTransaction", connectorId=1, idTag=self.identity, meterStart=register, timestamp=self._time()
            )
            yield start
            number = (start.answer or {})["transactionId"]
            yield self._status("Charging")
            for _ in range(self._meter_values):
                register += 10
                sample = {"timestamp": self._time(), "sampledValue": [{"value": str(register)}]}
                yield self._one("MeterValues", connectorId=1, transactionId=number, meterValue=[sample])
            yield self._one("StopTransaction", transactionId=number, meterStop=register, timestamp=self._time())
            yield self._status("Available")

    def _status(self, status: str) -> Said:
        return self._one(
            "StatusNotification", connectorId=1, status=status, errorCode="NoError", timestamp=self._time()
        )


class Books:
    """What stations say they sent and were answered, against what a node's database holds."""

    def __init__(self, database: Database, stations: list[Station]) -> None:
        self.faults: list[str] = []
        with database.engine.connect() as self._core:
            for station in stations:
                self._audit(station)
            self._audit_log(stations)
            self._audit_events()

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._core.execute(sa.text(sql), dict(zip("abcd", values, strict=False)))]

    def _check(self, fine: bool, fault: str) -> None:
        if not fine:
            self.faults.append(fault)

    def _audit(self, station: Station) -> None:
        (row,) = self._rows("SELECT id FROM station WHERE identity = :a", station.identity) or [(0,)]
        audits = {
            "BootNotification": self._boot,
            "StatusNotification": self._status,
            "StartTransaction": self._start,
            "MeterValues": self._meter,
            "StopTransaction": self._stop,
        }
        for said in station.said:
            audits[said.action](station.identity, row[0], said)
        for table, action in (("charging_transaction", "StartTransaction"), ("meter_value", "MeterValues")):
            stored = self._rows(f"SELECT count(*) FROM {table} WHERE station_id = :a", row[0])[0][0]
            sent = sum(1 for said in station.said if said.action == action and said.frames)
            self._check(stored <= sent, f"{station.identity}: {stored} rows in {table} of {sent} sent")

    def _between(self, who: str, stored: int, said: Said) -> None:
        """Acknowledged <= stored <= sent."""
        least = 0 if said.answer is None else 1
        self._check(stored >= least, f"lost: {who} {said.action} {said.payload} was acknowledged")
        self._check(stored <= len(said.frames), f"{who} {said.action} {said.payload}: {stored} stored")

    def _boot(self, who: str, row: int, said: Said) -> None:
        self._between(who, len(self._rows("SELECT 1 FROM station_boot WHERE station_id = :a", row)), said)

    def _status(self, who: str, row: int, said: Said) -> None:
        found = self._rows(
            "SELECT 1 FROM connector_status WHERE station_id = :a AND at_raw = :b AND status = :c",
            *(row, said.payload["timestamp"], said.payload["status"]),
        )
        self._between(who, len(found), said)

    def _start(self, who: str, row: int, said: Said) -> None:
        found = self._rows(
            "SELECT id FROM charging_transaction WHERE station_id = :a AND started_at_raw = :b AND meter_start_wh = :c",
            *(row, said.payload["timestamp"], said.payload["meterStart"]),
        )
        self._once(who, said, len(found))
        if said.answer is not None:
            self._check(found == [(said.answer["transactionId"],)], f"{who}: {found} was answered {said.answer}")

    def _meter(self, who: str, row: int, said: Said) -> None:
        found = self._rows(
            "SELECT 1 FROM meter_value WHERE station_id = :a AND transaction_id = :b AND sampled_at_raw = :c",
            *(row, said.payload["transactionId"], said.payload["meterValue"][0]["timestamp"]),
        )
        self._once(who, said, len(found))

    def _stop(self, who: str, row: int, said: Said) -> None:
        found = self._rows(
            "SELECT 1 FROM charging_transaction WHERE station_id = :a AND id = :b AND stopped_at_raw = :c"
            " AND meter_stop_wh = :d AND NOT open",
            *(row, said.payload["transactionId"], said.payload["timestamp"], said.payload["meterStop"]),
        )
        self._once(who, said, len(found))

    def _once(self, who: str, said: Said, stored: int) -> None:
        self._between(who, stored, said)
        self._check(stored <= 1, f"twice: {who} {said.action} {said.payload}")

    def _audit_log(self, stations: list[Station]) -> None:
        """Each acknowledged frame is in the message log once, with its answer; none is there twice with a result."""
        rows = self._rows("SELECT frame, answer FROM message WHERE answer IS NOT NULL AND frame IS NOT NULL")
        held = Counter(bytes(frame) for frame, answer in rows if bytes(answer).startswith(b"[3,"))
        for frame, times in held.items():
            self._check(times == 1, f"logged {times} times: {frame!r}")
        for said in (said for station in stations for said in station.said if said.answered is not None):
            self._check(held[said.answered or b""] == 1, f"not in the log: {said.answered!r}")

    def _audit_events(self) -> None:
        """One event for each start, stop and reading, no more and no less, and numbers that only grow."""
        told = Counter(
            (kind, json.loads(data)["transaction_id"])
            for kind, data in self._rows("SELECT kind, data FROM event WHERE kind LIKE 'transaction.%'")
        )
        happened: Counter[tuple[str, int]] = Counter()
        for number, is_open in self._rows("SELECT id, open FROM charging_transaction"):
            happened["transaction.started", number] = 1
            happened["transaction.stopped", number] = int(not is_open)
        for number, readings in self._rows("SELECT transaction_id, count(*) FROM meter_value GROUP BY 1"):
            happened["transaction.metered", number] = readings
        for key in told.keys() | happened.keys():
            self._check(told[key] == happened[key], f"{key}: {happened[key]} rows, {told[key]} events")
