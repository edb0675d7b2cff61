"""One station's socket: frames come in order, each CALL is answered after its commit, both directions run at once.

The task that reads also answers, so that a message costs one wake-up. Whenever an answer takes long (a handler
calls the station itself, or waits), the reading is handed to another task, and CALLs queue behind the running one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import ClientConnectionResetError, WSMsgType, web

from arthexis.charging.messages import INSERT as LOG
from arthexis.charging.receipts import Receipt
from arthexis.charging.station import Station
from arthexis.contributions import Fault
from arthexis.errors import Unavailable
from arthexis.ocppj import frames
from arthexis.ocppj.calls import Calls
from arthexis.ocppj.dialect import Dialect, Ready
from arthexis.ocppj.inbound import Call
from arthexis.ocppj.repair import Unmendable, classify, echo, mend
from arthexis.ocppj.replies import Replies

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler

    from arthexis.host import Host

log = logging.getLogger("arthexis.ocppj")

MOST_WAITING: Final = 64
MOST_ID: Final = 255
CROWDED_S: Final = 0.05
SLOW_S: Final = 0.25
CUT_S: Final = 2.0
FINISH_S: Final = 1.0
MOST_LOGGED_NAME: Final = 100
PAGE_BITS: Final = 12
TEXT: Final = WSMsgType.TEXT
CLOSE_BINARY: Final = 1003
CLOSE_TEXT: Final = 1007
GOING_AWAY: Final = 1001
POLICY: Final = 1008
SLOW_CONSUMER: Final = 1013
BROKEN: Final = 1011
DEAF_S: Final = 3.0
"""For so long a handler may go on after it was cancelled."""

ANSWERED: Final = ord("3")
"""The second byte of a CALLRESULT. Only these are given again: what was refused is tried anew and may succeed now."""
UNSPEAKABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What encoding an answer may raise: members of kinds, sizes or texts that JSON has no word for."""


class Link:
    """A station's open socket. ``heard`` is when its last frame came (monotonic seconds)."""

    __slots__ = (
        "_answering",
        "_closing",
        "_counted_at",
        "_finished",
        "_flow",
        "_limits",
        "_over",
        "_reader",
        "_replies",
        "_stuck_since",
        "_time",
        "_tokens",
        "_waiting",
        "busy_since",
        "calls",
        "dialect",
        "expects",
        "heard",
        "host",
        "late",
        "opened",
        "remote",
        "spoken",
        "station",
        "ws",
    )

    def __init__(
        self,
        host: Host,
        ws: web.WebSocketResponse[Any],
        flow: RequestHandler,
        station: Station,
        dialect: Dialect,
        remote: str,
    ) -> None:
        """Stand on a prepared WebSocket whose messages are bytes; ``flow`` is the connection beneath it."""
        self.host = host
        self.ws = ws
        self._flow = flow
        self.station = station
        self.dialect = dialect
        self.remote = remote
        self._limits = host.settings.stations
        self.calls = Calls(self._send, self._limits.call_timeout_s, self._log_call)
        self._time = host.loop.time
        self.heard = self.opened = self._time()
        self.spoken = False
        self.expects: Callable[[str, str], None] | None = None
        self.busy_since = 0.0
        self.late = False
        self._stuck_since = 0.0
        self._tokens = float(self._limits.frames_burst)
        self._counted_at = self.heard
        self._replies = Replies()
        self._waiting: list[frames.Call] = []
        self._reader: asyncio.Task[Any] | None = None
        self._answering: asyncio.Task[Any] | None = None
        self._over = False
        self._finished: asyncio.Future[None] | None = None
        self._closing: str | None = None

    # ------------------------------------------------------------------ reading

    async def run(self) -> str:
        """Read until the socket ends; why it ended."""
        try:
            await self._read()
            if not self._over:
                await self._ending()
        finally:
            self.calls.gone(self._closing or "the station's connection is gone")
        return self._closing or f"closed ({self.ws.close_code})"

    def _ending(self) -> asyncio.Future[None]:
        """Done when the socket has ended; made only where somebody waits for it."""
        if self._finished is None:
            self._finished = self.host.loop.create_future()
            if self._over:
                self._finished.set_result(None)
        return self._finished

    def hand_over(self) -> None:
        """Let another task read on, because the one that reads is busy answering."""
        if self._reader is self._answering is not None:
            self._reader = self.host.spawn(self._read(), f"reader of {self.station.id}")

    async def _read(self) -> None:
        me = self._reader = asyncio.current_task()
        receive, waiting = self.ws.receive, self._waiting
        now, wholes = self.host.clock.now, self.dialect.wholes
        try:
            while self._reader is me:
                message = await receive()
                if message.type is TEXT and self._closing is None:
                    data = message.data
                    self.heard = self._time()
                    self._tokens -= 1 + (len(data) >> PAGE_BITS)
                    if self._tokens < 0 or len(waiting) >= MOST_WAITING:
                        await self._hold_back()
                    frame = frames.read_whole(data, now(), wholes) or await self._look_again(data)
                    if frame is None:
                        continue
                    if self._answering is not None:
                        waiting.append(frame)
                    else:
                        self._answering = me
                        await self._answer(frame, self.heard)
                        while waiting:
                            await self._answer(waiting.pop(0), self._time())
                        self._answering = None
                elif not await self._control(message):
                    break
        finally:
            if self._answering is me:
                self._answering = None
            if self._reader is me:
                self._over = True
                if self._finished is not None and not self._finished.done():
                    self._finished.set_result(None)

    async def _control(self, message: Any) -> bool:
        """Take a message that is no text; False if it was the last. A ping or pong shows that the station lives."""
        if message.type is WSMsgType.BINARY:
            await self.close(CLOSE_BINARY, "binary frames are not OCPP-J")
        elif message.type is TEXT:
            log.debug("%s still speaks on a socket that is being closed", self.station.id)
        elif message.type is WSMsgType.PING:
            await self._hear(message.data)
            await self._send(message.data, WSMsgType.PONG)
        elif message.type is WSMsgType.PONG:
            await self._hear(message.data)
        else:
            return False
        return True

    async def _hear(self, data: bytes) -> None:
        """The station lives, whatever it sent; a large message counts for more than one."""
        self.heard = self._time()
        self._tokens -= 1 + (len(data) >> PAGE_BITS)
        if self._tokens < 0 or len(self._waiting) >= MOST_WAITING:
            await self._hold_back()

    async def _hold_back(self) -> None:
        """Read no more for a while: a station that floods is slowed down, and nothing it sent is dropped."""
        limits, now = self._limits, self.heard
        earned = (now - self._counted_at) * limits.frames_per_s
        self._tokens, self._counted_at = min(self._tokens + earned, limits.frames_burst), now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / limits.frames_per_s)
        while len(self._waiting) >= MOST_WAITING:
            await asyncio.sleep(CROWDED_S)

    async def _look_again(self, data: bytes) -> frames.Call | None:
        """The CALL of a message that is not written as most are; anything else that it may be is dealt with here."""
        if not data.isascii() and not _is_text(data):
            await self.close(CLOSE_TEXT, "not UTF-8")
            return None
        frame = frames.read(data, self.host.clock.now(), strict=self.station.strict)
        if isinstance(frame, frames.Call):
            return frame
        await self._other(frame, data)
        return None

    async def _other(self, frame: frames.Frame, data: bytes) -> None:
        """An answer to a CALL of ours, or something that is no frame at all."""
        if isinstance(frame, (frames.Result, frames.Error)):
            if not self.calls.settle(frame, data):
                self.log(data, None, frame.message_id[:MOST_ID], None)
        elif isinstance(frame, frames.Unreadable):
            self.host.count_unreadable(self.station, frame.reason)
            answer = None
            if frame.wire_id is not None:
                answer = self._error(frame.wire_id, frame.fault, frame.reason)
                if frame.action in self.dialect.protocol.unrefusable:
                    await self._keep_refused(data, answer, frame)
                    return
                await self._send(answer)
            self.log(data, answer, None if frame.wire_id is None else str(frame.wire_id), frame.action)

    async def _keep_refused(self, data: bytes, answer: bytes, frame: frames.Unreadable) -> None:
        """Refuse a frame that may carry money after it is stored, so that its numbers are not lost with it."""
        record = Receipt(self.host.clock.now(), data, str(frame.wire_id), frame.action or "")
        try:
            await self._store(record, answer, always=True)
        except Unavailable as error:
            log.error("%s of %s is not on record: %s", frame.action, self.station.id, error)
            answer = self._error(frame.wire_id, Fault.INTERNAL, f"{frame.action} could not be stored; send it again")
        await self._send(answer)

    # ------------------------------------------------------------------ answering

    async def _answer(self, frame: frames.Call, now: float) -> None:
        """Answer one CALL: with the bytes of its first answer if it was sent again, else by its action.

        Only what was done is remembered: a CALL that was refused or failed may go well the next time. Everything that
        the handler wrote is committed before the answer is sent.
        """
        self.busy_since = now
        replies = self._replies
        wire = replies.find(frame.wire_id, frame.frame, now) if frame.wire_id in replies.ring else None
        if wire is not None:
            self.log(frame.frame, wire, frame.message_id, frame.action)
        elif (ready := self.dialect.ready.get(frame.action) or self._misspelt(frame)) is None:
            wire = self._unready(frame)
        else:
            host = self.host
            try:
                if frame.said is not None and self.station.registration == "Accepted":
                    call: Call[Any] | _Fault = Call(self, ready, frame.said, frame, host)
                else:
                    call = self._call(ready, frame)
                if isinstance(call, _Fault):
                    wire = await self._refused(ready, frame, call)
                else:
                    answer, failure = await host.contain.answer(ready, self.station, call)
                    wire = self._wire(ready, call, answer, failure)
                    if wire[1] == ANSWERED:
                        if (host.log_messages or frame.repairs) and (call.reply is None or call.reply[1] is not wire):
                            await self._store(frame, wire, stored=call.stored, early=ready.action.early)
                        replies.keep(frame.wire_id, frame.frame, wire, now + ready.action.replay_s)
            except (asyncio.CancelledError, Unavailable) as error:
                wire = self._unhandled(ready, frame, error)
            finally:
                if self.late:
                    self._take_back()
        self.busy_since = 0.0
        if self._closing is None:
            try:
                await self.ws.send_frame(wire, TEXT)
            except (ClientConnectionResetError, ConnectionError):
                log.debug("%s went away before its answer", self.station.id)
        if not self.spoken:
            self.spoken = True
            self.host.operations.wake(self.station.id)
        if self.expects is not None:
            self.expects(self.station.id, frame.action)

    def _unhandled(self, ready: Ready, frame: frames.Call, error: BaseException) -> bytes:
        """InternalError, where an action took too long or nothing can be stored; raises a cancellation of the link."""
        if isinstance(error, Unavailable):
            log.error("%s of %s is not on record: %s", frame.action, self.station.id, error)
        elif not self.late and _is_being_cancelled():
            raise error
        elif self.late:
            error = self.host.contain.late(ready, ready.action.name)
        else:
            self.host.contain.count(ready.plugin, error, ready.label)
        if self.host.tells_messages:
            self.host.tell_message(self.station, frame, error)
        return self._failed(ready, frame)

    def _misspelt(self, frame: frames.Call) -> Ready | None:
        """The action of money that a name means in repair mode, where it is none as it is written."""
        meant = None if self.station.strict else self.dialect.meant(frame.action)
        if meant is None:
            return None
        frame.repairs = (*frame.repairs, f"frame: action {echo(frame.action)} read as {meant}")
        return self.dialect.ready.get(meant)

    def _unready(self, frame: frames.Call) -> bytes:
        """The answer to an action that nobody here answers."""
        fault = self.dialect.fault_of(frame.action)
        wire = self._error(frame.wire_id, fault, f"{frame.action[:60]}: {fault.value}")
        self.log(frame.frame, wire, frame.message_id, frame.action)
        return wire

    def _call(self, ready: Ready, frame: frames.Call) -> Call[Any] | _Fault:
        """The CALL as its handler gets it, or why it is refused."""
        if self.station.registration != "Accepted" and not self._may_speak(ready):
            said = f"the station's registration is {self.station.registration or 'missing: boot first'}"
            return _Fault(Fault.NOT_ACCEPTED, said)
        payload = frame.said
        if payload is None:
            try:
                payload = ready.decode(frame.payload)
            except frames.READ_FAILURES as error:
                payload = self._mended(ready, frame, error)
                if isinstance(payload, _Fault):
                    return payload
        return Call(self, ready, payload, frame, self.host)

    def _wire(self, ready: Ready, call: Call[Any], answer: Any, failure: BaseException | None) -> bytes:
        """The bytes of a handler's answer; where it is none, InternalError, and the fault counts against the plugin."""
        wire = b""
        if failure is None:
            if call.reply is not None and call.reply[0] is answer:
                wire = call.reply[1]
            elif type(answer) is not ready.response:
                failure = self.host.contain.junk(ready, ready.action.name, answer)
            else:
                try:
                    wire = frames.encode((frames.RESULT, call.record.wire_id, answer))
                except UNSPEAKABLE as error:
                    self.host.contain.count(ready.plugin, error, ready.label)
                    failure = error
        if self.host.tells_messages:
            self.host.tell_message(self.station, call.record, failure)
        return wire or self._failed(ready, call.record)

    def _may_speak(self, ready: Ready) -> bool:
        """Whether a station that is not accepted gets this answered (J-errata 3.8).

        One that an operator added but that never booted is heard in repair mode: some never send a boot.
        """
        if ready.action.before_acceptance:
            return True
        return self.station.registration is None and self.station.known and not self.station.strict

    async def _refused(self, ready: Ready, frame: frames.Call, why: _Fault) -> bytes:
        """The CALLERROR of a CALL that was understood, after its raw frame is stored; one of money in any case.

        Where it cannot be stored ``Unavailable`` is raised, and the station told to send the CALL again.
        """
        wire = self._error(frame.wire_id, why.fault, why.reason)
        await self._store(frame, wire, always=ready.unrefusable)
        return wire

    def _failed(self, ready: Ready, frame: frames.Call) -> bytes:
        """InternalError: the station is to send the CALL again, so nobody waits for this to be stored."""
        wire = self._error(frame.wire_id, Fault.INTERNAL, f"{frame.action} could not be handled; send it again")
        self._note(frame, wire, always=ready.unrefusable)
        return wire

    def _mended(self, ready: Ready, frame: frames.Call, error: Exception) -> Any:
        """The payload of a frame that did not decode: mended in repair mode, a fault in strict mode."""
        if self.station.strict:
            return _Fault(classify(error), str(error))
        try:
            mended = mend(frame.payload, ready.message.request, self.dialect.protocol, unrefusable=ready.unrefusable)
        except Unmendable as reason:
            return _Fault(reason.fault, str(reason))
        frame.repairs = (*frame.repairs, *mended.repairs)
        frame.absent, frame.verbatim = mended.absent, mended.verbatim
        return mended.value

    # ------------------------------------------------------------------ looked after from outside

    def look_after(self, now: float) -> None:
        """Read on beside a slow handler, end one that takes too long, close (1013) on a station that does not read."""
        if self.busy_since:
            busy_s = now - self.busy_since
            if busy_s > self._limits.handler_timeout_s + DEAF_S:
                self.abandon()
            elif busy_s > self._limits.handler_timeout_s:
                self.give_up()
            elif busy_s > SLOW_S:
                self.hand_over()
        if not self._flow.writing_paused:
            self._stuck_since = 0.0
        elif not self._stuck_since:
            self._stuck_since = now
        elif now - self._stuck_since > self._limits.send_timeout_s and self._closing is None:
            log.warning("%s does not read what it is sent", self.station.id, extra={"station": self.station.id})
            self.host.spawn(self.close(SLOW_CONSUMER, "what it is sent stays unread"), f"closing {self.station.id}")

    def abandon(self) -> None:
        """Close (1011) on a handler that is deaf to its end: the station comes back on a socket that nobody holds."""
        if self._closing is None:
            log.error("%s: a handler does not end", self.station.id, extra={"station": self.station.id})
            self.host.spawn(self.close(BROKEN, "a message is not handled"), f"closing {self.station.id}")
            self.host.gate.leave(self, "a handler does not end")

    def give_up(self) -> None:
        """End the handler that runs for too long; its CALL is answered InternalError."""
        if self._answering is not None:
            self.late = True
            self._answering.cancel()

    def _take_back(self) -> None:
        """Cancellations of ours, for lateness, are over with the handler that they were meant for."""
        self.late = False
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()

    # ------------------------------------------------------------------ storing and sending

    def row(self, record: Receipt) -> dict[str, Any]:
        """The row of the message log for a CALL."""
        return {
            "station": self.station.id,
            "at": record.received_at,
            "inbound": True,
            "message_id": record.message_id,
            "action": record.action,
            "frame": record.frame,
            "answer": None,
            "repairs": record.repairs_json,
        }

    async def _store(
        self, record: Receipt, answer: bytes, *, stored: bool = False, early: bool = False, always: bool = False
    ) -> None:
        """Put a CALL and its answer on record: before the answer leaves, but for a Heartbeat.

        Where the handler stored the CALL already, only the answer is new. ``always``: even with the message log off.
        """
        if stored or early:
            self._note(record, answer, stored=stored)
            return
        if always or self._logs(record):
            row = {**self.row(record), "answer": answer}
            await self.host.journal.write(lambda db: db.gather(LOG, dict(row)))

    def _note(self, record: Receipt, answer: bytes, *, stored: bool = False, always: bool = False) -> None:
        """Put a CALL and its answer on record when there is time."""
        if always or self._logs(record):
            row = self.row(record)
            row["answer"] = answer
            if stored:
                row["frame"] = None
            self.host.journal.gather(LOG, row)

    def _logs(self, record: Receipt) -> bool:
        """Whether a CALL is kept in the message log: all are if it is on, else those that were mended."""
        return self.host.log_messages or bool(record.repairs)

    def log(
        self, frame: bytes, answer: bytes | None, message_id: str | None, action: str | None, *, inbound: bool = True
    ) -> None:
        """Put an exchange on record that nothing depends on."""
        if self.host.log_messages:
            record = Receipt(self.host.clock.now(), frame, message_id or "", action or "")
            row = {**self.row(record), "answer": answer, "inbound": inbound}
            named = action[:MOST_LOGGED_NAME] if action is not None else None
            self.host.journal.gather(LOG, {**row, "message_id": message_id, "action": named})

    def _error(self, wire_id: Any, fault: Fault, reason: str) -> bytes:
        return frames.error(wire_id, self.dialect.code(fault), reason)

    async def _send(self, data: bytes, kind: WSMsgType = TEXT) -> None:
        if self._closing is not None:
            return
        try:
            await self.ws.send_frame(data, kind)
        except (ClientConnectionResetError, ConnectionError):
            log.debug("%s went away before its answer", self.station.id)

    async def ask(self, action: str, payload: Any, timeout_s: float | None = None) -> dict[str, Any]:
        """Send a CALL to the station and return its answer; from a handler too. Raises ``CallFailed``."""
        self.hand_over()
        return await self.calls.ask(action, payload, timeout_s)

    def _log_call(self, frame: bytes, answer: bytes | None, message_id: str, action: str) -> None:
        self.log(frame, answer, message_id, action, inbound=False)

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame; what comes until the station's own is read and dropped, and after ``CUT_S`` it is cut.

        Reading on matters: a socket that is closed with something unread is reset, and the close frame lost with it.
        """
        self.calls.gone(reason)
        if self._closing is not None:
            return
        self._closing = reason
        self.host.loop.call_later(CUT_S, self._cut)
        try:
            await self.ws.send_frame(code.to_bytes(2) + reason.encode()[:120], WSMsgType.CLOSE)
        except (ClientConnectionResetError, ConnectionError):
            log.debug("%s went away before it could be told", self.station.id)

    async def ended(self) -> None:
        """Wait until the station has closed its end too, or was cut."""
        await asyncio.wait([self._ending()], timeout=CUT_S)

    async def go_away(self, reason: str) -> None:
        """Let the CALL that is being handled have its answer, then close (1001)."""
        until = self._time() + FINISH_S
        while self.busy_since and self._time() < until:
            await asyncio.sleep(CROWDED_S / 5)
        await self.close(GOING_AWAY, reason)
        await self.ended()

    def _cut(self) -> None:
        """Drop the connection with whatever was not sent: a closed transport would wait for its reader for ever."""
        if self._flow.transport is not None:
            self._flow.transport.abort()


class _Fault:
    """Why a payload is refused."""

    __slots__ = ("fault", "reason")

    def __init__(self, fault: Fault, reason: str) -> None:
        self.fault = fault
        self.reason = reason


def _is_being_cancelled() -> bool:
    """Whether somebody wants this task to end, rather than something it waited for having been cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
