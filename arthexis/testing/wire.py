"""The bare wire: a WebSocket on which a test says exactly what it wants, good or bad, and hears what comes back."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from multidict import CIMultiDict

HEAR_S = 5.0


class Closed(Exception):
    """The node closed the socket; ``code`` is the WebSocket close code."""

    def __init__(self, code: int | None) -> None:
        """Say with which code."""
        super().__init__(f"closed with {code}")
        self.code = code


class Wire:
    """A station's end of a socket, without any manners of its own. ``log`` keeps every frame both ways."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        """Stand on an open WebSocket."""
        self.socket = socket
        self.log: list[tuple[str, Any]] = []
        self.calls: list[list[Any]] = []
        self._ids = (str(number) for number in itertools.count(1))

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self.socket.protocol

    async def say(self, frame: object) -> None:
        """Send a frame: bytes and text as they are, anything else as JSON."""
        if isinstance(frame, bytes):
            await self.socket.send_frame(frame, WSMsgType.TEXT)
        else:
            await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))
        self.log.append((">", frame))

    async def hear(self, timeout_s: float = HEAR_S) -> Any:
        """The next frame as JSON; raises ``Closed`` when the socket ends and ``TimeoutError`` when nothing comes."""
        message = await self.socket.receive(timeout_s)
        if message.type is not WSMsgType.TEXT:
            raise Closed(self.socket.close_code)
        frame = json.loads(message.data)
        self.log.append(("<", frame))
        return frame

    async def silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for so long."""
        try:
            await self.hear(seconds)
        except TimeoutError:
            return True
        return False

    async def call(self, action: str, payload: Any = None, message_id: Any = None) -> list[Any]:
        """Send a CALL and return the CALLRESULT or CALLERROR to it; CALLs of the node go to ``calls`` meanwhile."""
        message_id = next(self._ids) if message_id is None else message_id
        await self.say([2, message_id, action, {} if payload is None else payload])
        while True:
            frame = await self.hear()
            if frame[0] != 2 and frame[1] == message_id:
                return list(frame)
            self.calls.append(frame)

    async def result(self, action: str, payload: Any = None, message_id: Any = None) -> dict[str, Any]:
        """Send a CALL and return the payload of its CALLRESULT; raises ``AssertionError`` for a CALLERROR."""
        frame = await self.call(action, payload, message_id)
        if frame[0] != 3:
            raise AssertionError(f"{action} was answered {frame}")
        return dict(frame[2])

    async def error(self, action: str, payload: Any = None, message_id: Any = None) -> str:
        """Send a CALL and return the code of its CALLERROR; raises ``AssertionError`` for a CALLRESULT."""
        frame = await self.call(action, payload, message_id)
        if frame[0] != 4:
            raise AssertionError(f"{action} was answered {frame}")
        return str(frame[2])

    async def boot(self, vendor: str = "Acme", model: str = "One", **others: Any) -> dict[str, Any]:
        """Send a BootNotification and return its answer."""
        return await self.result("BootNotification", {"chargePointVendor": vendor, "chargePointModel": model, **others})

    async def close_code(self, timeout_s: float = HEAR_S) -> int | None:
        """Wait until the node closes the socket; the close code."""
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    await self.hear(timeout_s)
                except Closed as closed:
                    return closed.code

    async def close(self) -> None:
        """Close politely."""
        await self.socket.close()

    def drop(self) -> None:
        """Cut the connection as a dead network does: no close frame."""
        connection = self.socket._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()


@asynccontextmanager
async def wire(
    url: str,
    *,
    protocols: Sequence[str] = ("ocpp1.6",),
    user: str | None = None,
    key: str | bytes | None = None,
    headers: Any = None,
    autoping: bool = True,
) -> AsyncIterator[Wire]:
    """Open a socket at ``url``; raises aiohttp's ``WSServerHandshakeError`` (with its ``status``) where refused.

    ``key`` is the Basic password (text or bytes), ``user`` the identity unless named otherwise.
    """
    sent = CIMultiDict(headers or {})
    if key is not None:
        password = key.encode() if isinstance(key, str) else key
        login = (user if user is not None else unquote(url.rpartition("/")[2])).encode() + b":" + password
        sent["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    async with (
        ClientSession() as session,
        session.ws_connect(url, protocols=protocols, headers=sent, autoping=autoping, max_msg_size=0) as socket,
    ):
        yield Wire(socket)
