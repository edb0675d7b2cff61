"""One station's socket: frames come in order, each CALL is answered after its commit, both directions run at once.

The task that reads also answers, so that a message costs one wake-up. Whenever an answer takes long (a handler
calls the station itself, or waits), the reading is handed to another task, and CALLs queue behind the running one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientConnectionResetError, WSMsgType, web

from arthexis.charging.messages import INSERT as LOG
from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.charging.times import parse_utc
from arthexis.contributions import Fault
from arthexis.ocppj import frames
from arthexis.ocppj.calls import Calls
from arthexis.ocppj.dialect import Dialect, Ready
from arthexis.ocppj.inbound import Call
from arthexis.ocppj.repair import Unmendable, classify, mend
from arthexis.ocppj.replies import Replies

if TYPE_CHECKING:
    from arthexis.host import Host

log = logging.getLogger("arthexis.ocppj")

MOST_WAITING: Final = 64
TEXT: Final = WSMsgType.TEXT
CLOSE_BINARY: Final = 1003
CLOSE_TEXT: Final = 1007
GOING_AWAY: Final = 1001
POLICY: Final = 1008


class Link:
    """A station's open socket. ``heard`` is when its last frame came (monotonic seconds)."""

    __slots__ = (
        "_answering",
        "_closing",
        "_finished",
        "_reader",
        "_replies",
        "_tokens",
        "_waiting",
        "busy_since",
        "calls",
        "dialect",
        "heard",
        "host",
        "late",
        "remote",
        "station",
        "ws",
    )

    def __init__(self, host: Host, ws: web.WebSocketResponse[Any], station: Station, dialect: Dialect, remote: str) -> None:
        """Stand on a prepared WebSocket whose messages are bytes."""
        self.host = host
        self.ws = ws
        self.station = station
        self.dialect = dialect
        self.remote = remote
        self.calls = Calls(self._send, host.settings.stations.call_timeout_s)
        self.heard = host.loop.time()
        self.busy_since = 0.0
        self.late = False
        self._tokens = float(host.settings.stations.frames_burst)
        self._replies = Replies()
        self._waiting: deque[tuple[frames.Call, bytes]] = deque()
        self._reader: asyncio.Task[Any] | None = None
        self._answering: asyncio.Task[Any] | None = None
        self._finished: asyncio.Future[None] = host.loop.create_future()
        self._closing: str | None = None

    # ------------------------------------------------------------------ reading

    async def run(self) -> str:
        """Read until the socket ends; why it ended."""
        try:
            await self._read()
            await self._finished
        finally:
            self.calls.gone(self._closing or "the station's connection is gone")
        return self._closing or f"closed ({self.ws.close_code})"

    def hand_over(self) -> None:
        """Let another task read on, because the one that reads is busy answering."""
        if self._reader is self._answering is not None:
            self._reader = self.host.spawn(self._read(), f"reader of {self.station.id}")

    async def _read(self) -> None:
        me = self._reader = asyncio.current_task()
        receive = self.ws.receive
        while self._reader is me:
            message = await receive()
            if message.type is TEXT:
                await self._text(message.data)
            elif message.type is WSMsgType.BINARY:
                await self.close(CLOSE_BINARY, "binary frames are not OCPP-J")
            else:
                break
        if self._reader is me and not self._finished.done():
            self._finished.set_result(None)

    async def _text(self, data: bytes) -> None:
        """Take one text message."""
        now = self.host.loop.time()
        if not data.isascii() and not _is_text(data):
            await self.close(CLOSE_TEXT, "not UTF-8")
            return
        await self._hold_back(now)
        self.heard = now
        frame = frames.read(data, strict=self.station.strict)
        if type(frame) is frames.Call:
            self._waiting.append((frame, data))
            if self._answering is None:
                await self._answer_waiting()
        else:
            await self._other(frame, data)

    async def _hold_back(self, now: float) -> None:
        """Slow a station down that sends faster than it may, or faster than it is answered; drop nothing."""
        limits = self.host.settings.stations
        self._tokens = min(limits.frames_burst, self._tokens + (now - self.heard) * limits.frames_per_s) - 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / limits.frames_per_s)
        while len(self._waiting) >= MOST_WAITING:
            await asyncio.sleep(0.05)

    async def _other(self, frame: frames.Frame, data: bytes) -> None:
        """An answer to a CALL of ours, or something that is no frame at all."""
        if isinstance(frame, (frames.Result, frames.Error)):
            kind = frames.RESULT if isinstance(frame, frames.Result) else frames.ERROR
            self._log(data, kind, frame.message_id, None, inbound=True)
            self.calls.settle(frame)
        elif isinstance(frame, frames.Unreadable):
            self._log(data, 0, None, frame.action, inbound=True)
            self.host.count_unreadable(self.station, frame.reason)
            if frame.wire_id is not None:
                await self._send_error(frame.wire_id, frame.fault, frame.reason, frame.action)

    # ------------------------------------------------------------------ answering

    async def _answer_waiting(self) -> None:
        """Answer the CALLs that wait, in their order."""
        self._answering = asyncio.current_task()
        try:
            while self._waiting:
                await self._answer(*self._waiting.popleft())
        finally:
            self._answering = None

    async def _answer(self, frame: frames.Call, data: bytes) -> None:
        now = self.busy_since = self.host.loop.time()
        ready = self.dialect.ready.get(frame.action)
        answer = self._replies.find(frame.wire_id, frame.action, frame.payload, now)
        if answer is None:
            answer = await (self._unready(frame, data) if ready is None else self._ready(ready, frame, data))
            if ready is not None:
                self._replies.keep(frame.wire_id, frame.action, frame.payload, answer, now + ready.action.replay_s)
        self.busy_since = 0.0
        await self._send(answer)
        self._log(answer, frames.RESULT if answer[1] == 0x33 else frames.ERROR, frame.message_id, frame.action)

    async def _unready(self, frame: frames.Call, data: bytes) -> bytes:
        """The answer to an action that nobody here answers."""
        self._log(data, frames.CALL, frame.message_id, frame.action, inbound=True)
        fault = self.dialect.fault_of(frame.action)
        return self._error(frame.wire_id, fault, f"{frame.action[:60]}: {fault.value}")

    async def _ready(self, ready: Ready, frame: frames.Call, data: bytes) -> bytes:
        """Decode, handle, and make the answer; everything the handler wrote is committed when this returns."""
        record = Receipt(self.host.clock.now(), data, frame.message_id, frame.action, frame.repairs)
        refusal = await self._refusal(ready, record, frame)
        if refusal is not None:
            return refusal
        try:
            payload = ready.decode(b"{}" if frame.payload == b"null" else frame.payload)
        except frames.READ_FAILURES as error:
            payload = self._mended(ready, frame, record, error)
            if isinstance(payload, _Fault):
                await self._store(record)
                return self._error(frame.wire_id, payload.fault, payload.reason)
        return await self._handled(ready, Call(self, ready, payload, record), frame)

    async def _refusal(self, ready: Ready, record: Receipt, frame: frames.Call) -> bytes | None:
        """A SecurityError to a station that is not accepted yet (J-errata 3.8), else None."""
        station = self.station
        if station.registration == "Accepted" or ready.action.before_acceptance:
            return None
        if station.registration is None and station.known and not station.strict:
            return None
        await self._store(record)
        said = f"the station's registration is {station.registration or 'missing: send BootNotification first'}"
        return self._error(frame.wire_id, Fault.NOT_ACCEPTED, said)

    def _mended(self, ready: Ready, frame: frames.Call, record: Receipt, error: Exception) -> Any:
        """The payload of a frame that did not decode: mended in repair mode, a fault in strict mode."""
        if self.station.strict:
            return _Fault(classify(error), str(error))
        try:
            mended = mend(
                frame.payload, ready.message.request, self.dialect.protocol, unrefusable=ready.unrefusable
            )
        except Unmendable as reason:
            return _Fault(reason.fault, str(reason))
        record.repairs = (*record.repairs, *mended.repairs)
        record.absent = mended.absent
        return mended.value

    async def _handled(self, ready: Ready, call: Call[Any], frame: frames.Call) -> bytes:
        """Run the handler; a fault of its own is an InternalError, after the raw frame is stored."""
        try:
            answer, failure = await self.host.contain.call(ready.plugin, ready.action.handler, self.station, call)
        except asyncio.CancelledError:
            if not self._out_of_time():
                raise
            answer, failure = None, TimeoutError("took too long")
            self.host.contain.count(ready.plugin, failure)
        if failure is None and type(answer) is not ready.message.response:
            failure = TypeError(f"{ready.plugin.name} answered {type(answer).__name__}")
            self.host.contain.count(ready.plugin, failure)
        if not call.stored:
            await self._store(call.record, early=ready.action.early)
        self.host.tell_message(self.station, call.record, failure)
        if failure is not None:
            return self._error(frame.wire_id, Fault.INTERNAL, f"{frame.action} could not be handled; send it again")
        return frames.result(frame.wire_id, answer)

    def give_up(self) -> None:
        """End the handler that runs for too long; its CALL is answered InternalError."""
        if self._answering is not None:
            self.late = True
            self._answering.cancel()

    def _out_of_time(self) -> bool:
        """Whether the cancellation that arrived was ours, for lateness; if so it is taken back."""
        if not self.late:
            return False
        self.late = False
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return True

    # ------------------------------------------------------------------ storing and sending

    def log_row(self, record: Receipt) -> dict[str, Any] | None:
        """The row of the message log for a CALL; None if it is not kept (log off and nothing mended)."""
        if not self.host.log_messages and not record.repairs:
            return None
        return self._row(record.frame, frames.CALL, record.message_id, record.action, record.repairs_json, inbound=True)

    async def _store(self, record: Receipt, *, early: bool = False) -> None:
        """Keep a CALL that wrote nothing else, before its answer leaves (but for a Heartbeat)."""
        row = self.log_row(record)
        if row is None:
            return
        if early:
            self.host.journal.gather(LOG, row)
        else:
            await self.host.journal.write(lambda db: db.gather(LOG, row))

    def _log(
        self, data: bytes, kind: int, message_id: str | None, action: str | None, *, inbound: bool = False
    ) -> None:
        if self.host.log_messages:
            self.host.journal.gather(LOG, self._row(data, kind, message_id, action, None, inbound=inbound))

    def _row(
        self, data: bytes, kind: int, message_id: str | None, action: str | None, repairs: str | None, *, inbound: bool
    ) -> dict[str, Any]:
        return {
            "station": self.station.id,
            "at": self.host.clock.now(),
            "inbound": inbound,
            "kind": kind,
            "message_id": message_id,
            "action": action,
            "frame": data,
            "repairs": repairs,
        }

    def _error(self, wire_id: Any, fault: Fault, reason: str) -> bytes:
        return frames.error(wire_id, self.dialect.code(fault), reason)

    async def _send_error(self, wire_id: Any, fault: Fault, reason: str, action: str | None) -> None:
        answer = self._error(wire_id, fault, reason)
        await self._send(answer)
        self._log(answer, frames.ERROR, str(wire_id), action)

    async def _send(self, data: bytes) -> None:
        try:
            await self.ws.send_frame(data, TEXT)
        except (ClientConnectionResetError, ConnectionError):
            log.debug("%s went away before its answer", self.station.id)

    async def ask(self, action: str, payload: Any, timeout_s: float | None = None) -> dict[str, Any]:
        """Send a CALL to the station and return its answer; from a handler too. Raises ``CallFailed``."""
        if asyncio.current_task() is self._reader:
            self.hand_over()
        return await self.calls.ask(action, payload, timeout_s)

    async def close(self, code: int, reason: str) -> None:
        """Close the socket with a code and a reason."""
        self._closing = self._closing or reason
        self.calls.gone(reason)
        await self.ws.close(code=code, message=reason.encode()[:120])

    def time(self, text: str) -> datetime | None:
        """A time of the station in UTC; its own zone where it names none."""
        return parse_utc(text, self.station.zone)


class _Fault:
    """Why a payload is refused."""

    __slots__ = ("fault", "reason")

    def __init__(self, fault: Fault, reason: str) -> None:
        self.fault = fault
        self.reason = reason


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
