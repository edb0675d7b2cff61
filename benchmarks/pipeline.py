"""The way of a message inside one process, without a socket: what ``benchmarks.instructions`` counts.

    python -m benchmarks.pipeline MeterValues 500

A real node with the default plugins on a journal that discards, and a real link whose socket is a list of frames.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType

from arthexis import system
from arthexis.assembly import Options, assemble
from arthexis.charging import stations, tags
from arthexis.charging.station import Station
from arthexis.db.statements import Connection
from arthexis.host import Host
from arthexis.ocppj.link import Link
from benchmarks import fleet
from benchmarks.discard import discard
from benchmarks.servers.ours import configure

MOST: Final = 1_200
SESSIONS: Final = "Session"
AHEAD: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {"MeterValues": (fleet.START,)}
"""What a station has said before."""
SAID: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "Heartbeat": (("Heartbeat", {}),),
    "StatusNotification": (fleet.SESSION[0],),
    "MeterValues": (fleet.METER,),
    "StartTransaction and StopTransaction": (fleet.START, fleet.STOP),
}
"""What is counted, by name: the messages of one round."""


class Frames:
    """A socket that yields frames and counts the answers."""

    close_code = 1000

    def __init__(self, frames: list[bytes]) -> None:
        """Yield these, then say that the station is gone."""
        self._messages = iter([WSMessage(WSMsgType.TEXT, frame, "") for frame in frames])
        self.answered = 0
        self.wrong: bytes | None = None

    async def receive(self) -> WSMessage:
        """The next frame."""
        return next(self._messages, WSMessage(WSMsgType.CLOSED, None, ""))

    async def send_frame(self, data: bytes, _opcode: int) -> None:
        """Take an answer."""
        self.answered += 1
        if not data.startswith(b"[3,"):
            self.wrong = data


def frames(said: tuple[tuple[str, dict[str, Any]], ...], rounds: int, first: int) -> list[bytes]:
    """The bytes of so many rounds; transaction ids run from ``first``."""
    templates = [fleet.Template(*one) for one in said]
    return [
        template.call(b"%d-%d" % (turn, place), fleet.tag(0).encode(), first + (turn if len(said) > 1 else 0), turn)
        for turn in range(rounds)
        for place, template in enumerate(templates)
    ]


async def play(host: Host, name: str, rounds: int) -> None:
    """Let one station say ``rounds`` rounds; raises ``RuntimeError`` if an answer is missing or wrong."""
    await host.start()

    def register(db: Connection) -> stations.Found:
        tags.add(db, fleet.tag(0), host.clock.now())
        return stations.add(db, fleet.identity(0), None, host.clock.now(), registration="Accepted")

    found = await host.journal.write(register)
    discard(host.journal)
    station = Station(found.identity, found.row, "Accepted")
    ahead = frames(AHEAD.get(name, ()), 1, 0)
    said = frames(SAID[name], MOST, 1)[: rounds * len(SAID[name])]
    gc.collect()
    gc.freeze()
    socket = Frames(ahead + said)
    await Link(host, socket, station, host.dialects["ocpp1.6"], "127.0.0.1").run()  # type: ignore[arg-type]
    if socket.answered != len(ahead + said) or socket.wrong is not None:
        raise RuntimeError(f"{socket.answered} of {len(ahead + said)} answered; wrong: {socket.wrong!r}")
    await host.stop()


def main(name: str, rounds: int) -> None:
    """Compose a node in a folder of its own and play."""
    with tempfile.TemporaryDirectory(prefix="arthexis-bench-") as folder:
        config = configure(Path(folder), url="sqlite://", log=False)
        host = assemble(Options(config=config, home=Path(folder)))
        system.run(play(host, name, rounds))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
