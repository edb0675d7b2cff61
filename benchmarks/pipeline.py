"""The way of a message inside one process, without a socket: what ``benchmarks.instructions`` counts.

    python -m benchmarks.pipeline MeterValues 500

A real node with the default plugins on a journal that discards, and a real link whose socket is a list of frames.
"""

from __future__ import annotations

import asyncio
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


GONE: Final = WSMessage(WSMsgType.CLOSED, None, "")


class Frames:
    """A socket that yields frames and counts the answers, and costs next to nothing itself."""

    close_code = 1000

    def __init__(self, frames: list[bytes]) -> None:
        """Yield these, then say that the station is gone."""
        messages = [WSMessage(WSMsgType.TEXT, frame, "") for frame in frames]
        self.receive = iter([_done(message) for message in [*messages, GONE]]).__next__
        self._sent = _done(None)
        self.answers: list[bytes] = []

    def send_frame(self, data: bytes, _opcode: int) -> asyncio.Future[Any]:
        """Take an answer."""
        self.answers.append(data)
        return self._sent


def _done(value: Any) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future


class Flow:
    """A connection that is never held up."""

    writing_paused = False
    transport = None


def frames(said: tuple[tuple[str, dict[str, Any]], ...], rounds: int, first: int) -> list[bytes]:
    """The bytes of so many rounds; transaction ids run from ``first``."""
    templates = [fleet.Template(*one) for one in said]
    return [
        template.call(b"%d-%d" % (turn, place), fleet.tag(0).encode(), first + (turn if len(said) > 1 else 0), turn)
        for turn in range(rounds)
        for place, template in enumerate(templates)
    ]


async def say(host: Host, station: Station, said: list[bytes]) -> None:
    """Let a station say all this; raises ``RuntimeError`` if an answer is missing or wrong."""
    socket = Frames(said)
    await Link(host, socket, Flow(), station, host.dialects["ocpp1.6"], "127.0.0.1").run()  # type: ignore[arg-type]
    wrong = [answer for answer in socket.answers if not answer.startswith(b"[3,")]
    if wrong or len(socket.answers) != len(said):
        raise RuntimeError(f"{len(socket.answers)} of {len(said)} answered; wrong: {wrong[:3]}")


async def play(host: Host, name: str, rounds: int) -> None:
    """Let one station say so many rounds, the journal discarding what they write."""
    await host.start()

    def register(db: Connection) -> stations.Found:
        tags.add(db, fleet.tag(0), host.clock.now())
        return stations.add(db, fleet.identity(0), None, host.clock.now(), registration="Accepted")

    found = await host.journal.write(register)
    station = Station(found.identity, found.row, "Accepted")
    await say(host, station, frames(AHEAD.get(name, ()), 1, 0))
    discard(host.journal)
    said = frames(SAID[name], MOST, 1)[: rounds * len(SAID[name])]
    gc.collect()
    gc.freeze()
    await say(host, station, said)
    await host.stop()


def main(name: str, rounds: int) -> None:
    """Compose a node in a folder of its own and play."""
    with tempfile.TemporaryDirectory(prefix="arthexis-bench-") as folder:
        config = configure(Path(folder), url="sqlite://", log=False)
        host = assemble(Options(config=config, home=Path(folder)))
        system.run(play(host, name, rounds))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
