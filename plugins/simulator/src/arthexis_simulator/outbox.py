"""Transaction-related messages on their way: in order, kept while offline, tried again (OCPP 1.6 §3.7.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from arthexis_simulator.errors import CallError, Disconnected, InvalidAnswer, Unanswered
from arthexis_simulator.faults import Fault

if TYPE_CHECKING:
    from arthexis_simulator.station import Station

MOST = 1000


class Outbox:
    """A station's queue of Start, Stop and MeterValues, sent one after another whenever it is accepted and online."""

    def __init__(self, station: Station) -> None:
        """Belong to this station."""
        self._station = station
        self._queue: asyncio.Queue[tuple[Callable[[], Any], asyncio.Future[Any], bool]] = asyncio.Queue(MOST)

    async def post(self, make: Callable[[], Any], *, faulty: bool = False) -> asyncio.Future[Any]:
        """Queue the request that ``make()`` gives when its turn has come; the future holds its answer.

        It fails with what the last try met, once ``TransactionMessageAttempts`` are used up and the message is
        discarded. ``faulty`` messages are subject to the station's faults.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._queue.put((make, answer, faulty))
        return answer

    async def run(self) -> None:
        """Send what is queued, for as long as the station lives."""
        while True:
            make, answer, faulty = await self._queue.get()
            fault = self._station.faults.sending() if faulty else None
            try:
                result = await self._deliver(make, fault)
            except (CallError, Unanswered, InvalidAnswer) as error:
                _settle(answer, error)
            except asyncio.CancelledError:
                answer.cancel()
                raise
            else:
                _settle(answer, result)

    async def _deliver(self, make: Callable[[], Any], fault: Fault | None) -> Any:
        attempts = max(1, self._station.configuration.number("TransactionMessageAttempts"))
        tried = 0
        while True:
            await self._station.ready.wait()
            request = make()
            try:
                if fault is None or await self._spoilt(request, fault):
                    return await self._station.ask(request)
            except Disconnected:
                continue
            except (CallError, Unanswered):
                tried += 1
                if tried >= attempts:
                    raise
            fault = None
            await self._wait(max(1, tried))

    async def _spoilt(self, request: Any, fault: Fault) -> bool:
        """Let a fault have its way with the first transmission; whether the message can leave now all the same."""
        if fault.kind == "late":
            await asyncio.sleep(fault.seconds)
            return True
        if fault.kind == "malformed":
            await self._station.say_broken(request)
        return False

    async def _wait(self, tried: int) -> None:
        """The retry interval times the number of transmissions so far."""
        await self._station.pause(self._station.configuration.number("TransactionMessageRetryInterval") * tried)


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
        answer.exception()
    else:
        answer.set_result(outcome)
