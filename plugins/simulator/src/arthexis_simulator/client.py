"""One socket's worth of OCPP: ``ocpp.v16.ChargePoint`` with its sharp edges taken off.

What the package does, and this does not: handle CALLs in the reader (a handler that calls would wait for itself),
wait out the whole time-out when the socket is gone, lose the members of a CALLERROR, name 1.6 errors like 2.0.1.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ocpp.charge_point import remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.exceptions import OCPPError
from ocpp.messages import Call, CallResult, _DecimalEncoder
from ocpp.messages import CallError as CallErrorFrame
from ocpp.v16 import ChargePoint

from arthexis_simulator.answers import Late, Malformed, Refusal, Script, Silence, broken
from arthexis_simulator.errors import CallError, Disconnected, InvalidAnswer, Unanswered
from arthexis_simulator.operations import AFTERWARDS, Operations, Work
from arthexis_simulator.wire import Socket

if TYPE_CHECKING:
    from arthexis_simulator.station import Station

log = logging.getLogger("arthexis.simulator")
log.addHandler(logging.NullHandler())

CODES = {"FormatViolation": "FormationViolation", "NotSupported": "NotImplemented", "NotImplemented": "NotSupported"}
BREAK: ContextVar[bool] = ContextVar("BREAK", default=False)


class Client(Operations, ChargePoint):  # type: ignore[misc]
    """The package's client on one socket of a station."""

    def __init__(self, station: Station, socket: Socket) -> None:
        """Speak for a station."""
        super().__init__(station.identity, socket, station.answer_timeout_s, log)
        self.station = station
        self.socket = socket
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Read until the socket is gone."""
        try:
            await super().start()
        except Disconnected as error:
            log.info("%s: %s", self.id, error)
        finally:
            self.gone.set_result(None)

    # ------------------------------------------------------------------ CALLs of the station

    async def ask(self, request: Any) -> Any:
        """Send a dataclass of ``ocpp.v16.call`` and return its dataclass of ``call_result``."""
        return await self._unless_gone(self._asked(request))

    async def _asked(self, request: Any) -> Any:
        try:
            return await self.call(request, suppress=False)
        except OCPPError as error:
            raise InvalidAnswer(str(error)) from None
        except TimeoutError:
            raise self._unanswered(type(request).__name__) from None

    async def send(self, action: str, payload: Any, message_id: str | None = None) -> Any:
        """Send any payload, checked by nobody, and return the payload of its CALLRESULT."""
        return await self._unless_gone(self._sent(action, payload, message_id))

    async def _sent(self, action: str, payload: Any, message_id: str | None) -> Any:
        unique_id = message_id if message_id is not None else str(self._unique_id_generator())
        async with self._call_lock:
            await self._send(json.dumps([2, unique_id, action, payload], separators=(",", ":"), cls=_DecimalEncoder))
            try:
                answer = await self._get_specific_response(unique_id, self._response_timeout)
            except TimeoutError:
                raise self._unanswered(action) from None
        return answer.payload

    def _unanswered(self, action: str) -> Unanswered:
        return Unanswered(f"no answer to {action} within {self._response_timeout:g} s")

    async def _unless_gone(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of some work, or ``Disconnected`` as soon as the socket is gone."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self.gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Disconnected(self.socket.ws.close_code)
            return task.result()
        finally:
            task.cancel()

    async def _get_specific_response(self, unique_id: str, timeout: float) -> Any:  # noqa: ASYNC109
        """The answer to a CALL; a CALLERROR is raised with all its members."""
        answer = await super()._get_specific_response(unique_id, timeout)
        if isinstance(answer, CallErrorFrame):
            raise CallError(answer.error_code, answer.error_description or "", answer.error_details)
        return answer

    async def say_broken(self, request: Any) -> None:
        """Send a request as a frame that is no JSON; nobody can answer that."""
        payload = remove_nones(snake_to_camel_case(serialize_as_dict(request)))
        whole = Call(str(self._unique_id_generator()), type(request).__name__, payload).to_json()
        async with self._call_lock:
            await self.socket.send(broken(whole))

    # ------------------------------------------------------------------ CALLs of the central system

    async def _handle_call(self, msg: Call) -> None:
        """Answer beside the reader, so that a handler may call and a late answer holds nothing up."""
        if msg.payload is None:
            msg.payload = {}
        self.station.spawn(self._answer(msg))

    async def _answer(self, msg: Call) -> None:
        afterwards: list[Work] = []
        AFTERWARDS.set(afterwards)
        try:
            await self._respond(msg, self.station.script_of(msg.action))
        except Disconnected:
            log.info("%s: gone before its answer to %s", self.id, msg.action)
        for work in afterwards:
            self.station.spawn(work())

    async def _respond(self, msg: Call, script: Script | None) -> None:
        if isinstance(script, Late):
            await asyncio.sleep(script.seconds)
            await self._respond(msg, script.answer)
        elif isinstance(script, Refusal):
            await self._send(CallErrorFrame(msg.unique_id, script.code, script.description, {}).to_json())
        elif isinstance(script, Mapping):
            await self._send(CallResult(msg.unique_id, dict(script), msg.action).to_json())
        elif callable(script):
            said = script(msg.payload)
            await self._respond(msg, await said if inspect.isawaitable(said) else said)
        elif not isinstance(script, Silence):
            BREAK.set(isinstance(script, Malformed))
            await self._usual(msg)
            BREAK.set(False)

    async def _usual(self, msg: Call) -> None:
        """What the station's own handlers answer, its errors under their names in OCPP 1.6."""
        try:
            await super()._handle_call(msg)
        except OCPPError as error:
            code = CODES.get(error.code, error.code)
            await self._send(CallErrorFrame(msg.unique_id, code, str(error.description)[:255], {}).to_json())

    async def _send(self, message: str) -> None:
        await self.socket.send(broken(message) if BREAK.get() else message)
