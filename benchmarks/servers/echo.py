"""The floor (c): aiohttp on uvloop sends each frame back as it came, under the settings that ours has.

python -m benchmarks.servers.echo PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aiohttp import WSMsgType, web


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
        await socket.send_frame(message.data, WSMsgType.TEXT)


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
