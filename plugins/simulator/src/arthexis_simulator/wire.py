"""The transport below the ``ocpp`` package: an aiohttp WebSocket with ``recv`` and ``send`` that keeps every frame."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from arthexis_simulator.errors import ConnectionRefused, Disconnected

SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One text frame: ``direction`` is ``>`` for what the station sent and ``<`` for what it got; ``text`` verbatim."""

    direction: str
    text: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    @property
    def message(self) -> Any:
        """The frame as JSON, or None where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


def calls(log: Iterable[Frame], direction: str, action: str) -> list[dict[str, Any]]:
    """The payloads of all CALLs of an action in a log that went into this direction, in order."""
    found = (frame.message for frame in log if frame.direction == direction and f'"{action}"' in frame.text)
    return [call[3] for call in found if isinstance(call, list) and call[0] == 2 and call[2] == action]


def station_url(url: str, identity: str) -> str:
    """Where a station of this identity connects, ``url`` being the central system's (``http`` is taken for ``ws``).

    Without a path it is ``/ocpp``. The identity becomes the last segment, percent-encoded (OCPP-J 1.6 §3.1.1).
    """
    parts = urlsplit(url if "://" in url else f"ws://{url}")
    path = parts.path.rstrip("/") or "/ocpp"
    scheme = SCHEMES.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, f"{path}/{quote(identity, safe='')}", parts.query, ""))


class Socket:
    """An open WebSocket in the shape that ``ocpp.v16.ChargePoint`` wants; every frame goes to ``keep``."""

    def __init__(self, ws: ClientWebSocketResponse, keep: Callable[[Frame], None]) -> None:
        """Stand on an open WebSocket."""
        self.ws = ws
        self._keep = keep

    async def recv(self) -> str:
        """The next text frame; raises ``Disconnected``."""
        while True:
            message = await self.ws.receive()
            if message.type is WSMsgType.TEXT:
                self._keep(Frame("<", message.data))
                return str(message.data)
            if message.type is WSMsgType.CLOSED:
                self.release()
            if message.type is not WSMsgType.BINARY:
                raise Disconnected(self.ws.close_code)

    async def send(self, text: str) -> None:
        """Send a text frame; raises ``Disconnected``."""
        if self.ws.closed:
            raise Disconnected(self.ws.close_code)
        self._keep(Frame(">", text))
        try:
            await self.ws.send_str(text)
        except (ClientError, ConnectionError):
            raise Disconnected(self.ws.close_code) from None

    async def close(self, code: int = 1000) -> None:
        """Close politely."""
        await self.ws.close(code=code)

    def release(self) -> None:
        """Let go of the connection; aiohttp does not where a socket was cut, or its closing was cancelled."""
        self.ws._response.close()

    def abort(self) -> None:
        """Cut the connection as a dead network does: no close frame."""
        connection = self.ws._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()


def basic(user: str, key: str | bytes) -> str:
    """The HTTP Basic header of a station; its key may be any bytes (OCPP-J 1.6 §6.2)."""
    password = key if isinstance(key, bytes) else key.encode()
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()


async def connect(
    session: ClientSession,
    url: str,
    *,
    user: str,
    key: str | bytes | None,
    protocols: Sequence[str],
    keep: Callable[[Frame], None],
) -> Socket:
    """Open a socket with HTTP Basic credentials if there is a key (any bytes); raises ``ConnectionRefused``."""
    headers = {} if key is None else {"Authorization": basic(user, key)}
    try:
        ws = await session.ws_connect(url, protocols=protocols, headers=headers, max_msg_size=0)
    except WSServerHandshakeError as error:
        raise ConnectionRefused(f"{url} answered {error.status}", error.status) from None
    except (ClientError, OSError) as error:
        raise ConnectionRefused(f"nobody answers at {url}: {error}") from None
    return Socket(ws, keep)
