"""The load generator: many stations in one process, each reply checked; one wrong reply fails the run.

    python -m benchmarks.generator ws://127.0.0.1:8888/ocpp/{} --stations 100 --seconds 5 [--pid N]

Closed loop: each station sends its next CALL as soon as it has the answer to the one before. What is wrong is counted
by kind: no JSON, a wrong type or message id, wrong members, a transaction id given twice, an answer nobody asked for, a
lost connection, a CALL never answered.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from orjson import JSONDecodeError, loads
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks import fleet
from benchmarks.process import cpu_s, rss_kib

ANSWER_S: Final = 30.0
STRAY_S: Final = 0.1
OPENING: Final = 100
SHOWN: Final = 5
RESULT: Final = 3
RESULT_PARTS: Final = 3
ERROR: Final = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to a server. ``url`` has ``{}`` where the identity goes; ``pid`` is whose CPU is counted."""

    url: str
    stations: int = 100
    seconds: float = 5.0
    warmup_s: float = 1.0
    pid: int | None = None
    keys: bool = False
    boots: bool = True
    first: int = 0
    hold_s: float = 0.0


@dataclass(slots=True)
class Outcome:
    """What came of it. CPU is the server's, in the window only; ``faults`` counts what was wrong, by kind."""

    connected: int = 0
    connect_s: float = 0.0
    seconds: float = 0.0
    replies: int = 0
    by_action: dict[str, int] = field(default_factory=dict)
    server_cpu_s: float = 0.0
    generator_cpu_s: float = 0.0
    rss_before_kib: int = 0
    rss_after_kib: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    @property
    def us_per_message(self) -> float:
        """The server's CPU microseconds per answered message; infinite if none was answered."""
        return 1e6 * self.server_cpu_s / self.replies if self.replies else float("inf")


class Station(WSListener):  # type: ignore[misc]
    """One simulated station on one socket."""

    def __init__(self, run: Run, number: int) -> None:
        """Station ``number`` of a run."""
        self.run = run
        self.tag = fleet.tag(number).encode()
        self.prefix = b"%x-" % number
        self.transport: WSTransport | None = None
        self.sent = 0
        self.transaction = 0
        self.energy_wh = 1000 * number
        self.place = 0
        self.before: list[fleet.Template] = []
        self.waiting: tuple[str, str] | None = None
        self.frame = b""
        self.ready: asyncio.Future[None] | None = None

    # ------------------------------------------------------------------ speaking

    def say(self, template: fleet.Template) -> None:
        """Send a CALL."""
        self.sent += 1
        message_id = b"%b%x" % (self.prefix, self.sent)
        self.waiting = (message_id.decode(), template.action)
        if template.action == "MeterValues":
            self.energy_wh += 25
        self.frame = template.call(message_id, self.tag, self.transaction, self.energy_wh)
        if self.transport is not None:
            self.transport.send(WSMsgType.TEXT, self.frame)

    def go_on(self) -> None:
        """Send the next CALL of what comes before the loop, or of the session."""
        if self.before:
            self.say(self.before.pop(0))
            return
        if self.ready is not None and not self.run.loops:
            self.ready.set_result(None)
            self.ready = None
            return
        template = self.run.session[self.place]
        self.place = (self.place + 1) % len(self.run.session)
        self.say(template)

    # ------------------------------------------------------------------ hearing

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The socket is open."""
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is gone."""
        self.transport = None
        if not self.run.ended:
            self.run.fault("connection lost", self.frame)
            if self.ready is not None and not self.ready.done():
                self.ready.set_result(None)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Something came."""
        data = frame.get_payload_as_bytes()
        if frame.msg_type == WSMsgType.TEXT:
            self.hear(data)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def hear(self, data: bytes) -> None:
        """Check a reply and go on; what answers another message leaves this one unanswered."""
        if self.waiting is None:
            self.run.fault("an answer nobody asked for", data)
            return
        message_id, action = self.waiting
        frame = _read(data)
        if frame is None or frame[1] != message_id:
            self.run.fault("not a frame" if frame is None else "answers another message", data)
            return
        self.waiting = None
        wrong = self.wrong(action, frame)
        if wrong is not None:
            self.run.fault(wrong, data)
        elif self.run.measuring:
            self.run.replies[action] += 1
        if not self.run.ended:
            self.go_on()

    def wrong(self, action: str, frame: list[Any]) -> str | None:
        """What is wrong with a reply to this action, or None."""
        if frame[0] != RESULT or len(frame) != RESULT_PARTS:
            return f"{action}: refused" if frame[0] == ERROR else f"{action}: no CALLRESULT"
        return self.wrong_payload(action, frame[2])

    def wrong_payload(self, action: str, answer: Any) -> str | None:
        """What is wrong with the payload of a CALLRESULT, or None."""
        try:
            if not fleet.ANSWERS[action](answer):
                return f"{action}: wrong answer"
        except (KeyError, TypeError):
            return f"{action}: wrong answer"
        if action == "StartTransaction":
            self.transaction = answer["transactionId"]
            if self.transaction in self.run.transactions:
                return "a transaction id given twice"
            self.run.transactions.add(self.transaction)
        return None


def _read(data: bytes) -> list[Any] | None:
    """The elements of a frame; None if it is none."""
    try:
        frame = loads(data)
    except JSONDecodeError:
        return None
    return frame if type(frame) is list and len(frame) > 2 else None


class Run:
    """One plan being carried out."""

    def __init__(self, plan: Plan) -> None:
        """Prepare the messages; nothing is opened yet."""
        self.plan = plan
        self.session = [fleet.Template(*said) for said in fleet.SESSION]
        self.boot = fleet.Template(*fleet.BOOT)
        self.transactions: set[int] = set()
        self.faults: Counter[str] = Counter()
        self.replies: Counter[str] = Counter()
        self.shown: list[str] = []
        self.measuring = self.ended = self.loops = False
        self.stations: list[Station] = []

    def fault(self, kind: str, data: bytes) -> None:
        """Count something wrong; the first few are shown with their bytes."""
        self.faults[kind] += 1
        if len(self.shown) < SHOWN:
            self.shown.append(f"{kind}: {data[:200]!r}")

    async def outcome(self) -> Outcome:
        """Connect, play, measure, close."""
        done = Outcome()
        if self.plan.pid is not None:
            done.rss_before_kib = rss_kib(self.plan.pid)
        began = time.monotonic()
        await self.connect()
        done.connect_s = time.monotonic() - began
        done.connected = sum(s.transport is not None for s in self.stations)
        gc.collect()
        gc.freeze()
        self.loops = True
        if self.plan.seconds and done.connected:
            for station in self.stations:
                if station.transport is not None:
                    station.go_on()
            await asyncio.sleep(self.plan.warmup_s)
            await self.measure(done)
        if self.plan.pid is not None:
            done.rss_after_kib = rss_kib(self.plan.pid)
        await asyncio.sleep(self.plan.hold_s)
        await self.end()
        done.faults, done.shown = dict(self.faults), self.shown
        return done

    async def measure(self, done: Outcome) -> None:
        """Count replies and CPU for the seconds of the plan."""
        pid = self.plan.pid
        before = cpu_s(pid) if pid is not None else 0.0
        own, began = time.process_time(), time.monotonic()
        self.measuring = True
        await asyncio.sleep(self.plan.seconds)
        self.measuring = False
        done.seconds, done.generator_cpu_s = time.monotonic() - began, time.process_time() - own
        done.server_cpu_s = cpu_s(pid) - before if pid is not None else 0.0
        done.by_action = dict(self.replies)
        done.replies = self.replies.total()

    # ------------------------------------------------------------------ connecting

    async def connect(self) -> None:
        """Open every socket and bring each station to its own place in the session, so that all are mixed."""
        gate = asyncio.Semaphore(OPENING)
        self.stations = [Station(self, self.plan.first + number) for number in range(self.plan.stations)]
        await asyncio.gather(*(self.arrive(gate, at, station) for at, station in enumerate(self.stations)))

    async def arrive(self, gate: asyncio.Semaphore, at: int, station: Station) -> None:
        """One station: connect, boot, and say what a station in the middle of its session has said before."""
        async with gate:
            try:
                await self.open(station, self.plan.first + at)
            except (WSError, OSError, TimeoutError) as error:
                self.fault(f"not connected: {type(error).__name__}", str(error).encode())
                return
            if self.plan.boots:
                station.before.append(self.boot)
            if self.plan.seconds:
                station.place = at * len(self.session) // self.plan.stations
                earlier = self.session[: station.place]
                station.before += [template for template in earlier if template.action != "MeterValues"]
            if station.before:
                station.ready = ready = asyncio.get_running_loop().create_future()
                station.go_on()
                await asyncio.wait([ready], timeout=ANSWER_S)

    async def open(self, station: Station, number: int) -> None:
        """Open one station's socket; raises where the server refuses it."""
        identity = fleet.identity(number)
        headers = {"Sec-WebSocket-Protocol": "ocpp1.6"}
        if self.plan.keys:
            secret = base64.b64encode(identity.encode() + b":" + fleet.key(number))
            headers["Authorization"] = f"Basic {secret.decode()}"
        transport, _ = await ws_connect(
            lambda: station,
            self.plan.url.replace("{}", identity),
            extra_headers=headers,
            websocket_handshake_timeout=ANSWER_S,
            read_buffer_init_size=2048,
        )
        if transport.response.headers.get("Sec-WebSocket-Protocol") != "ocpp1.6":
            self.fault("another subprotocol", b"")

    # ------------------------------------------------------------------ ending

    async def end(self) -> None:
        """Wait for the last answers and for any that nobody asked for, then close."""
        self.ended = True
        due = time.monotonic() + ANSWER_S
        while any(s.waiting and s.transport for s in self.stations) and time.monotonic() < due:
            await asyncio.sleep(0.02)
        await asyncio.sleep(STRAY_S)
        for station in self.stations:
            if station.waiting and station.transport is not None:
                self.fault("never answered", station.frame)
            if station.transport is not None:
                station.transport.send_close(WSCloseCode.OK)
        for _ in range(50):
            if not any(s.transport for s in self.stations):
                return
            await asyncio.sleep(0.02)
        for station in self.stations:
            if station.transport is not None:
                station.transport.disconnect()


def play(plan: Plan) -> Outcome:
    """Carry a plan out in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < plan.stations + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        from uvloop import run
    except ImportError:
        return asyncio.run(Run(plan).outcome())
    return run(Run(plan).outcome())


def main(arguments: Sequence[str] | None = None) -> int:
    """Read a plan from the command line; the outcome is JSON on standard output, the exit status 1 for any fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where stations connect, with {} for the identity")
    parser.add_argument("--stations", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first station")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds measured; 0 only connects and boots")
    parser.add_argument("--warmup", dest="warmup_s", type=float, default=1.0)
    parser.add_argument("--pid", type=int, help="the server's process")
    parser.add_argument("--keys", action="store_true", help="present each station's key")
    parser.add_argument("--hold", dest="hold_s", type=float, default=0.0, help="seconds to stay connected at the end")
    parser.add_argument("--no-boot", dest="boots", action="store_false")
    outcome = play(Plan(**vars(parser.parse_args(arguments))))
    print(json.dumps({**asdict(outcome), "us_per_message": outcome.us_per_message}))
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
