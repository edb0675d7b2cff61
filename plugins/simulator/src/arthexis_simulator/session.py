"""A whole session as a station has it: a car is plugged in, charges along its curve, is full or leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ocpp.v16 import call

from arthexis_simulator.car import Car
from arthexis_simulator.clock import text_of
from arthexis_simulator.connectors import Connector, Transaction
from arthexis_simulator.errors import SimulatorError

if TYPE_CHECKING:
    from arthexis_simulator.car import Sample
    from arthexis_simulator.station import Station

FOREVER_S = 7 * 86_400.0
PARKED_S = 30.0


class Session:
    """One session on a connector; ``run`` plays it to its end.

    ``transaction`` and ``energy_wh`` say what became of it, ``refused`` what the central system said instead of
    Accepted, ``failed`` the messages that were given up.
    """

    def __init__(
        self,
        station: Station,
        connector: int,
        id_tag: str,
        car: Car,
        *,
        duration_s: float = FOREVER_S,
        interval_s: float | None = None,
        authorize: bool = True,
        halfway: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Charge ``car`` for at most ``duration_s`` of the station's seconds, a MeterValues each ``interval_s``.

        ``halfway`` is awaited in the middle (faults happen there).
        """
        self.station = station
        self.connector: Connector = station.connectors[connector]
        self.id_tag = id_tag
        self.car = car
        self.duration_s = duration_s
        self.interval_s = interval_s
        self.authorize = authorize
        self.halfway = halfway
        self.transaction: Transaction | None = None
        self.energy_wh = 0.0
        self.refused: str | None = None
        self.failed: list[SimulatorError] = []
        self.done = asyncio.Event()
        self._stop_reason: str | None = None
        self._stopping = asyncio.Event()
        self._posted: list[asyncio.Future[Any]] = []

    def stop(self, reason: str) -> None:
        """End it as soon as possible, for this reason of OCPP 1.6 §7.36."""
        self._stop_reason = self._stop_reason or reason
        self._stopping.set()

    async def run(self) -> None:
        """Play it: Preparing, Authorize, StartTransaction, MeterValues, StopTransaction, Finishing, free again."""
        self.connector.session = self
        try:
            await self._tell("Preparing")
            if self.authorize and not await self._authorized():
                return
            await self._charge()
        finally:
            self.connector.session = None
            self.connector.starting = False
            self.connector.meter.unplug()
            self.done.set()
        await self._tell(self.connector.resting)

    async def _authorized(self) -> bool:
        try:
            answer = await self.station.persist(call.Authorize(self.id_tag))
        except SimulatorError as error:
            self.failed.append(error)
            await self._tell(self.connector.resting)
            return False
        status = answer.id_tag_info["status"]
        if status != "Accepted":
            self.refused = f"Authorize {self.id_tag}: {status}"
            await self._tell(self.connector.resting)
        return bool(status == "Accepted")

    async def _charge(self) -> None:
        station, meter = self.station, self.connector.meter
        meter.plug(self.car)
        began_wh = meter.register_wh
        request, transaction = station.starting(self.connector.number, self.id_tag)
        self.transaction = transaction
        started = await station.outbox.post(lambda: request)
        started.add_done_callback(lambda future: self._started(transaction, future))
        self._posted.append(started)
        await self._until_stopped_or(started)
        await self._tell("Charging")
        reason = await self._meter(transaction)
        self.energy_wh = meter.register_wh - began_wh
        await self._finish(transaction, reason)

    async def _until_stopped_or(self, answer: asyncio.Future[Any]) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({answer, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    def _started(self, transaction: Transaction, future: asyncio.Future[Any]) -> None:
        """Take the answer to the start; a refused tag ends the session (StopTransactionOnInvalidId)."""
        if future.cancelled() or future.exception() is not None:
            return
        answer = future.result()
        transaction.id = answer.transaction_id
        status = answer.id_tag_info["status"]
        if status != "Accepted":
            self.refused = f"StartTransaction {self.id_tag}: {status}"
            if self.station.configuration.on("StopTransactionOnInvalidId"):
                self.stop("DeAuthorized")

    async def _meter(self, transaction: Transaction) -> str:
        """Sample until the end; why it ended."""
        at, passed_s = transaction.began, 0.0
        while not self._stopping.is_set() and passed_s < self.duration_s and not self.connector.meter.full:
            step_s = min(self._interval_s(), self.duration_s - passed_s)
            due = at + timedelta(seconds=step_s)
            await self._wait_until(due)
            if self._stopping.is_set():
                due = max(at, min(due, self.station.clock.now()))
            seconds = (due - at).total_seconds()
            at, passed_s = due, passed_s + seconds
            limit_w = self.station.limit_w(self.connector.number, at, transaction.began)
            sample = self.connector.meter.pass_time(seconds, limit_w)
            self.connector.metered = at
            if seconds > 0:
                await self._sampled(transaction, text_of(at), sample)
            if self.halfway is not None and passed_s >= self.duration_s / 2:
                halfway, self.halfway = self.halfway, None
                await halfway()
        if self._stop_reason is None and self.connector.meter.full:
            await self._tell("SuspendedEV")
        return self._stop_reason or "EVDisconnected"

    def _interval_s(self) -> float:
        """Seconds between samples; the key MeterValueSampleInterval unless the session has its own."""
        own = self.interval_s if self.interval_s is not None else 0.0
        return own or self.station.configuration.number("MeterValueSampleInterval") or 60.0

    async def _wait_until(self, due: Any) -> None:
        """Wait for a moment of the station's time, or for the stop."""
        left_s = (due - self.station.clock.now()).total_seconds() / self.station.clock.speed
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _sampled(self, transaction: Transaction, at: str, sample: Sample) -> None:
        values = [{"timestamp": at, "sampledValue": self.station.measured(sample.sampled_values())}]
        number = self.connector.number
        self._posted.append(
            await self.station.outbox.post(lambda: call.MeterValues(number, values, transaction.wire_id), faulty=True)
        )

    async def _finish(self, transaction: Transaction, reason: str) -> None:
        """Post the stop and wait until everything of the session is delivered or given up."""
        make = self.station.stopping(self.connector.number, reason, at=self.connector.metered)
        self._posted.append(await self.station.outbox.post(make))
        outcomes = await asyncio.gather(*self._posted, return_exceptions=True)
        self.failed += [outcome for outcome in outcomes if isinstance(outcome, SimulatorError)]
        self.station.stopped(transaction)
        if reason not in {"HardReset", "Reboot", "PowerLoss"}:
            await self._tell("Finishing")

    async def _tell(self, status: str) -> None:
        """Notify a status; offline it is only remembered."""
        self.connector.status = status
        try:
            await self.station.notify_status(self.connector.number)
        except SimulatorError as error:
            self.station.unheard(error)
