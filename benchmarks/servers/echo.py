"""The floor (c): aiohttp on uvloop under the settings that ours has, sending each message id back with a ready answer.

Nothing is parsed or decided: the id and the action are cut out of the bytes where they always stand. It is the least
that still gives right answers, so that it is checked like the others.

python -m benchmarks.servers.echo PORT
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import Any, Final

from aiohttp import WSMsgType, web

TIME: Final = b'"currentTime":"2026-11-24T12:00:00Z"'
ACCEPTED: Final = b'"idTagInfo":{"status":"Accepted"}'
READY: Final = {
    b"BootNotification": b"{" + TIME + b',"interval":300,"status":"Accepted"}]',
    b"Heartbeat": b"{" + TIME + b"}]",
    b"Authorize": b"{" + ACCEPTED + b"}]",
    b"StartTransaction": b'{"transactionId":%d,' + ACCEPTED + b"}]",
    b"StatusNotification": b"{}]",
    b"MeterValues": b"{}]",
    b"StopTransaction": b"{}]",
}
transaction_ids = itertools.count(1)


def answer(frame: bytes) -> bytes:
    """The answer to a CALL of the generator."""
    _, message_id, _, action, _ = frame.split(b'"', 4)
    ready = READY[action]
    if action == b"StartTransaction":
        ready %= next(transaction_ids)
    return b'[3,"' + message_id + b'",' + ready


async def echo(request: web.Request) -> web.WebSocketResponse[Any]:
    """Serve one station until it leaves."""
    socket = web.WebSocketResponse(
        protocols=("ocpp1.6",), heartbeat=60.0, max_msg_size=1 << 20, compress=False, decode_text=False, timeout=2.0
    )
    await socket.prepare(request)
    while True:
        message = await socket.receive()
        if message.type is not WSMsgType.TEXT:
            return socket
        await socket.send_frame(answer(message.data), WSMsgType.TEXT)


async def main(port: int) -> None:
    """Listen until the process is ended."""
    application = web.Application()
    application.router.add_get("/{path:.*}", echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
