"""CALLs of ours to one station: one at a time, the future registered before the frame leaves (OCPP-J 1.6 §4.1.1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from arthexis.charging.ids import uuid7
from arthexis.errors import DomainError
from arthexis.ocppj import frames

log = logging.getLogger("arthexis.ocppj")


class CallFailed(DomainError):
    """A CALL of ours that brought no answer to use; ``outcome`` is error, timed out, station gone or invalid answer.

    ``error_code`` is the code of the station's CALLERROR, if that is what it answered.
    """

    code = "call-failed"

    def __init__(self, outcome: str, problem: str, error_code: str | None = None) -> None:
        """Say how it ended and what the station said, if anything."""
        super().__init__(problem, place=f"{outcome} {error_code}" if error_code else outcome)
        self.outcome = outcome
        self.error_code = error_code


class Calls:
    """The CALLs of ours on one socket. An answer counts only if it is for the one that waits."""

    __slots__ = ("_gone", "_lock", "_log", "_raw", "_send", "_timeout_s", "_waiting")

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        timeout_s: float,
        log_call: Callable[[bytes, bytes | None, str, str], None],
    ) -> None:
        """Send through ``send``; wait ``timeout_s`` seconds for each answer; put each exchange on record."""
        self._send = send
        self._timeout_s = timeout_s
        self._log = log_call
        self._raw: bytes | None = None
        self._lock: asyncio.Lock | None = None
        self._waiting: tuple[str, asyncio.Future[bytes]] | None = None
        self._gone: str | None = None

    async def ask(self, action: str, payload: Any, timeout_s: float | None = None) -> dict[str, Any]:
        """Send a CALL and return the payload of its CALLRESULT; raises ``CallFailed``."""
        return _object(await self.exchange(action, payload, timeout_s=timeout_s))

    async def exchange(
        self,
        action: str,
        payload: Any,
        *,
        message_id: str | None = None,
        timeout_s: float | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
        shown: Any = None,
        shown_answer: Callable[[bytes], bytes] | None = None,
    ) -> bytes:
        """Send a CALL and return the bytes of the answer's payload; raises ``CallFailed``.

        ``before`` is awaited when it is this CALL's turn, before the frame leaves; what it raises ends the CALL.
        ``shown`` is the payload as the message log keeps it, where that must not be all of it, ``shown_answer`` what
        makes that of the answer's frame.
        """
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if self._gone is not None:
                raise CallFailed("station gone", self._gone)
            if before is not None:
                await before()
            frame = frames.call(message_id := message_id or uuid7(), action, payload)
            kept = frame if shown is None else frames.call(message_id, action, shown)
            try:
                return await self._exchange(frame, message_id, action, timeout_s or self._timeout_s)
            finally:
                answer = self._raw if self._raw is None or shown_answer is None else shown_answer(self._raw)
                self._log(kept, answer, message_id, action)

    async def _exchange(self, frame: bytes, message_id: str, action: str, timeout_s: float) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting, self._raw = (message_id, answer), None
        try:
            if self._gone is not None:
                raise CallFailed("station gone", self._gone)
            async with asyncio.timeout(timeout_s):
                await self._send(frame)
                return await answer
        except TimeoutError:
            raise CallFailed("timed out", f"no answer to {action} within {timeout_s:g} s") from None
        finally:
            self._waiting = None

    def settle(self, frame: frames.Result | frames.Error, raw: bytes) -> bool:
        """Give an answer to the CALL that waits for it; False if none does (late, or never asked)."""
        if self._waiting is None or self._waiting[0] != frame.message_id or self._waiting[1].done():
            log.info("an answer to no CALL of ours: %.40r", frame.message_id)
            return False
        self._raw = raw
        if isinstance(frame, frames.Result):
            self._waiting[1].set_result(frame.payload)
        else:
            self._waiting[1].set_exception(CallFailed("error", frame.description[:255], frame.code[:50]))
        return True

    def gone(self, reason: str) -> None:
        """The socket is gone: whoever waits is told so."""
        self._gone = reason
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_exception(CallFailed("station gone", reason))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw)
    except frames.READ_FAILURES:
        raise CallFailed("invalid answer", "the answer is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CallFailed("invalid answer", "the answer is no JSON object")
    return value
