"""Ours with a journal that discards: the real node, in this process, whose writes are thrown away once it is set up.

python -m benchmarks.servers.discarding PORT FOLDER STATIONS
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from arthexis import server, system
from arthexis.assembly import Options, assemble
from arthexis.host import Host
from benchmarks.discard import discard
from benchmarks.servers.ours import configure, register


async def serve(host: Host, many: int) -> None:
    """Run the node until the process is asked to end."""
    stopping = asyncio.Event()
    async with server.running(host, stopping.set):
        system.on_signals(host.loop, stopping.set)
        await host.journal.write(lambda db: register(db, host, many))
        discard(host.journal)
        await stopping.wait()


def main(port: int, folder: Path, many: int) -> None:
    """Compose the node in a folder and run it."""
    config = configure(folder, url="sqlite://", log=False)
    host = assemble(Options(config=config, home=folder, port=port))
    system.run(serve(host, many))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
