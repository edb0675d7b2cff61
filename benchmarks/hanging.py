"""A plugin that hangs in each hook: what the other stations notice, and when the affected one is answered.

    python -m benchmarks.hanging [--quick] [--each] [--check] [--seconds 60]

Twenty stations speak at a steady pace to one real node. In every second phase a station for each hook does what makes
the plugin hang in it, again and again; in the phase after that, which is as long, nobody does. What counts is the ratio
of the others' 99th percentile in the ones to that in the others, so that what disturbs the machine disturbs both.
Suspension is off: every call hangs.
``--each`` takes the hooks one by one. With ``--check`` the exit status is 1 if a ratio or an answer's time is out of
bounds, 2 if a station was answered something else than the node's default.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from aiohttp import ClientSession, WSServerHandshakeError

from arthexis.cli.node_access import over_http
from arthexis.node_files import Control, control_of
from arthexis.testing import wire
from benchmarks import fleet, process
from benchmarks.errors import WrongAnswers
from benchmarks.servers import hangs

STATIONS: Final = 20
PACE_S: Final = 0.1
PHASE_S: Final = 5.0
AGAIN_S: Final = 1.0
"""An affected station acts once a second, each hook at a moment of its own: what counts is hanging, not a burst."""
SETTLE_S: Final = 1.0
SECONDS: Final = 60.0
QUICK_S: Final = 12.0
RATIO: Final = 2.0
DEFAULT_S: Final = 1.0
VENDOR_S: Final = 5.5
"""A vendor's handler and what prepares an operation have five seconds by contract."""
HANDLER_S: Final = 6.0
"""An action has stations.handler_timeout_s: nobody else could answer, and it may ask the station meanwhile."""
LOOK_S: Final = 2.5
PATIENT_S: Final = 15.0
WRONG: Final = 2

CONFIG: Final = """\
[node]
role = "bare"
enable = ["arthexis-ocpp16:*", "bench-hangs:hangs"]
disable = ["arthexis-ocpp16:ocpp16.firmware_status_notification", "arthexis-ocpp16:ocpp16.clear_cache"]
plugin_timeout_s = 5.0
suspend_after = 0

[stations]
handler_timeout_s = 5.5 # 10 by default; longer than the five seconds of a vendor's handler
"""

START: Final = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
METER: Final = {
    "connectorId": 1,
    "meterValue": [{"timestamp": "2026-11-24T10:00:00Z", "sampledValue": fleet.samples()}],
}


# ---------------------------------------------------------------------- a node with the plugin


@contextmanager
def running(folder: Path) -> Iterator[Control]:
    """A node with the plugin installed, until the block ends; how it is reached."""
    info = folder / "site" / "bench_hangs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-hangs\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[arthexis.plugins]\nhangs = bench_hangs\n", "utf-8")
    shutil.copy(hangs.__file__, info.parent / "bench_hangs.py")
    config = folder / "arthexis.toml"
    config.write_text(CONFIG, "utf-8")
    port = process.free_port()
    command = [sys.executable, "-m", "arthexis", "--config", str(config), "start", "--open", "--port", str(port)]
    environ = {
        "ARTHEXIS_HOME": str(folder / "home"),
        "ARTHEXIS_LOG": "ERROR",
        "PYTHONPATH": str(info.parent),
    }
    with process.server(command, port, folder / "node.log", environ):
        while (control := control_of(folder / "home")) is None:
            time.sleep(0.01)
        plugin = over_http(control, "plugins.info", {"name": "hangs"})
        if plugin["state"] not in {"active", "degraded"}:
            raise WrongAnswers(f"the plugin that is to hang is {plugin['state']}: {plugin['reason']}")
        yield control


# ---------------------------------------------------------------------- the affected stations


@dataclass(frozen=True, slots=True)
class Affected:
    """A station for one hook: what it does to be hung up on, and within what time it must have its answer."""

    node: Control
    web: ClientSession
    hook: str

    @property
    def url(self) -> str:
        """Where it connects."""
        return f"{self.node.url.replace('http', 'ws', 1)}/ocpp/{self.name}"

    @property
    def name(self) -> str:
        """Its identity, by which the plugin knows it."""
        return (hangs.PREFIX + self.hook).replace(" ", "%20")

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A request of the API; its status and its JSON."""
        headers = {"Authorization": f"Bearer {self.node.token}"}
        async with self.web.request(method, f"{self.node.url}/api/v1{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise WrongAnswers(f"{what}: {found!r} instead of {wanted!r}")


async def _timed(work: Awaitable[Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    found = await work
    return found, time.perf_counter() - began


async def _first(heard: Awaitable[Any], asking: asyncio.Future[Any]) -> Any:
    """What the station hears, unless what was asked for ends before that."""
    hearing = asyncio.ensure_future(heard)
    await asyncio.wait([hearing, asking], return_when=asyncio.FIRST_COMPLETED)
    if not hearing.done():
        raise WrongAnswers(f"nothing was sent: {asking.result()}")
    return hearing.result()


async def refused(it: Affected) -> float:
    """A socket that is not let in."""

    async def knock() -> int:
        try:
            async with wire(it.url):
                return 101
        except WSServerHandshakeError as error:
            return error.status

    status, took_s = await _timed(knock())
    _expect(it.hook, status, 401)
    return took_s


def says(action: str, payload: Mapping[str, Any], wanted: Callable[[list[Any]], Any], default: Any) -> Any:
    """A station that boots and then says something, and the part of the answer that is the default."""

    async def act(it: Affected) -> float:
        async with wire(it.url) as cp:
            boot, took_s = await _timed(cp.boot())
            _expect(f"boot of {it.hook}", boot["status"], "Accepted")
            if action == "BootNotification":
                return took_s
            await cp.say([2, "said", action, payload])
            frame, took_s = await _timed(cp.hear(PATIENT_S))
            _expect(it.hook, wanted(frame), default)
            return took_s

    return act


async def session(it: Affected) -> float:
    """A whole session; its slowest answer."""
    async with wire(it.url) as cp:
        slowest = (await _timed(cp.boot()))[1]
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        slowest = max(slowest, (await _timed(cp.result("StatusNotification", status)))[1])
        started, took_s = await _timed(cp.result("StartTransaction", START))
        _expect(it.hook, started["idTagInfo"]["status"] in fleet.AUTHORIZATION, True)
        slowest = max(slowest, took_s)
        number = started["transactionId"]
        for action, payload in (
            ("MeterValues", {**METER, "transactionId": number}),
            ("StopTransaction", {"transactionId": number, "meterStop": 9, "timestamp": "2026-11-24T11:00:00Z"}),
        ):
            slowest = max(slowest, (await _timed(cp.result(action, payload)))[1])
    return slowest


async def reserved(it: Affected) -> float:
    """A reservation of any connector: the time until the station hears of it."""
    async with wire(it.url) as cp:
        await cp.boot()
        for number in (1, 2):
            said = {"connectorId": number, "errorCode": "NoError", "status": "Available"}
            await cp.result("StatusNotification", said)
        payload = {"idTag": "TAG", "expiryDate": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}
        asked = {"station": it.name, "action": "ReserveNow", "payload": payload, "wait": 3}
        asking = asyncio.ensure_future(it.ask("POST", "/control/operations.send", asked))
        frame, took_s = await _timed(_first(cp.hear(), asking))
        _expect(it.hook, frame[3]["connectorId"], 1)
        await cp.say([3, frame[1], {"status": "Rejected"}])
        await asking
    return took_s


def asks(method: str, path: str, status: int, body: Callable[[Affected], Any] = lambda it: None) -> Any:
    """Somebody who asks the API, after the station booted."""

    async def act(it: Affected) -> float:
        async with wire(it.url) as cp:
            await cp.boot()
            (found, answer), took_s = await _timed(it.ask(method, path, body(it)))
        _expect(f"{it.hook}: {answer}", found, status)
        return took_s

    return act


def _status(frame: list[Any]) -> Any:
    if not isinstance(frame[2], dict):
        return frame[2]
    return frame[2]["idTagInfo"]["status"] if "idTagInfo" in frame[2] else frame[2]["status"]


BOOT: Final = says("BootNotification", {}, _status, "Accepted")
FIRMWARE: Final = {"status": "Installed"}
PING: Final = {"vendorId": "com.hangs", "messageId": "Ping"}
HOOKS: Final[dict[str, tuple[Any, float]]] = {
    "decide_connection": (refused, DEFAULT_S),
    "decide_boot": (BOOT, DEFAULT_S),
    "decide_authorization": (says("Authorize", {"idTag": "TAG"}, _status, "Invalid"), DEFAULT_S),
    "decide_connector": (reserved, DEFAULT_S),
    "on_connected": (BOOT, DEFAULT_S),
    "on_disconnected": (BOOT, DEFAULT_S),
    "on_booted": (BOOT, DEFAULT_S),
    "on_status_changed": (session, DEFAULT_S),
    "on_transaction_started": (session, DEFAULT_S),
    "on_transaction_metered": (session, DEFAULT_S),
    "on_transaction_stopped": (session, DEFAULT_S),
    "on_operation_finished": (reserved, DEFAULT_S),
    "on_reservation_changed": (reserved, DEFAULT_S),
    "on_message": (session, DEFAULT_S),
    "subscriber": (BOOT, DEFAULT_S),
    "action": (says("FirmwareStatusNotification", FIRMWARE, lambda f: f[2], "InternalError"), HANDLER_S),
    "data transfer": (says("DataTransfer", PING, _status, "Rejected"), VENDOR_S),
    "operation": (
        asks(
            "POST",
            "/control/operations.send",
            500,
            lambda it: {"station": it.name, "action": "ClearCache", "wait": 1},
        ),
        VENDOR_S,
    ),
    "job": (asks("POST", "/hangs/job", 200), DEFAULT_S),
    "route": (asks("GET", "/hangs/route", 500), DEFAULT_S),
    "diagnosis": (asks("POST", "/control/stations.why", 200, lambda it: {"station": it.name}), LOOK_S),
}
"""What makes the plugin hang in each hook, and how long its station (or who asks) may wait for the default answer."""


# ---------------------------------------------------------------------- the others


@dataclass(slots=True)
class Figures:
    """Seconds of the others' answers in windows without and with hanging, and of the affected ones by hook."""

    idle: list[float] = field(default_factory=list)
    hanging: list[float] = field(default_factory=list)
    affected: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The others' 99th percentile while the plugin hangs, divided by that while it does not."""
        return p99(self.hanging) / p99(self.idle)

    def late(self) -> list[str]:
        """Hooks whose affected station usually waited too long for its answer, or got none.

        Usually: the slowest of many is what a busy machine does to anybody, see the others' 99th percentile.
        """
        return [hook for hook, took in self.affected.items() if not took or median(took) > HOOKS[hook][1]]


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile."""
    return quantiles(seconds, n=100)[98]


class Run:
    """One run: the others speak all the time, the affected ones in every second phase."""

    def __init__(self, node: Control, hooks: Sequence[str], seconds: float) -> None:
        """Against this node, for so long; the round that has begun by then is played to its end."""
        self._node = node
        self._hooks = hooks
        self._until = time.perf_counter() + seconds
        self._phase: list[float] | None = None
        self._over = False
        self.figures = Figures(affected={hook: [] for hook in hooks})

    async def play(self) -> Figures:
        """All stations, until the time is over."""
        async with ClientSession() as web, asyncio.TaskGroup() as group:
            for number in range(STATIONS):
                group.create_task(self._other(number))
            await asyncio.sleep(SETTLE_S)
            while time.perf_counter() < self._until:
                await self._round(web)
            self._over = True
        return self.figures

    async def _round(self, web: ClientSession) -> None:
        """Hang until the slowest call has been given up, then let everybody alone for as long."""
        began = time.perf_counter()
        self._phase = self.figures.hanging
        async with asyncio.TaskGroup() as group:
            for number, hook in enumerate(self._hooks):
                await asyncio.sleep(AGAIN_S / len(self._hooks) if number else 0)
                group.create_task(self._affected(Affected(self._node, web, hook), began + PHASE_S))
        took_s = time.perf_counter() - began
        self._phase = self.figures.idle
        await asyncio.sleep(took_s)
        self._phase = None

    async def _other(self, number: int) -> None:
        await asyncio.sleep(number * PACE_S / STATIONS)
        async with wire(f"{self._node.url.replace('http', 'ws', 1)}/ocpp/{fleet.identity(number)}") as cp:
            await cp.boot()
            due = time.perf_counter()
            while not self._over:
                for action, payload in (("Heartbeat", {}), ("MeterValues", METER), ("Authorize", {"idTag": "TAG"})):
                    phase = self._phase
                    frame, took_s = await _timed(cp.call(action, dict(payload)))
                    _expect(action, frame[0], 3)
                    if phase is self._phase and phase is not None:
                        phase.append(took_s)
                    due += PACE_S
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _affected(self, it: Affected, until: float) -> None:
        act, _ = HOOKS[it.hook]
        while time.perf_counter() < until:
            began = time.perf_counter()
            self.figures.affected[it.hook].append(await act(it))
            await asyncio.sleep(max(0.0, AGAIN_S - time.perf_counter() + began))


def measure(hooks: Sequence[str], seconds: float) -> Figures:
    """One run against a node of its own; raises ``WrongAnswers``."""
    with (
        tempfile.TemporaryDirectory(prefix="arthexis-bench-") as folder,
        running(Path(folder)) as node,
        process.pinned(process.GENERATOR_CORE),
    ):
        try:
            return asyncio.run(Run(node, hooks, seconds).play())
        except ExceptionGroup as wrong:
            raise WrongAnswers("; ".join(map(repr, wrong.exceptions))) from wrong


def report(name: str, figures: Figures, say: Callable[[str], None]) -> bool:
    """Say what one run came to; whether it is within the bounds."""
    others = f"{p99(figures.idle) * 1e3:7.1f} ms idle, {p99(figures.hanging) * 1e3:7.1f} ms hanging"
    say(f"{name:<24} others' p99 {others}, ratio {figures.ratio:4.2f} (below {RATIO:g})")
    for hook, took in figures.affected.items():
        slowest = f"{median(took):5.2f} s, {max(took):.2f} at most, {len(took)} times" if took else "never answered"
        say(f"    {hook:<24} answered after {slowest} (within {HOOKS[hook][1]:g} s)")
    return figures.ratio < RATIO and not figures.late()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"one round instead of {SECONDS:g} seconds")
    parser.add_argument("--each", action="store_true", help="a run for each hook instead of one for all at once")
    parser.add_argument("--check", action="store_true", help="fail where a bound is not kept")
    parser.add_argument("--seconds", type=float, help="how long a run takes")
    chosen = parser.parse_args(arguments)
    seconds = chosen.seconds or (QUICK_S if chosen.quick else SECONDS)
    runs = [[hook] for hook in HOOKS] if chosen.each else [list(HOOKS)]
    try:
        kept = [report(run[0] if chosen.each else "all hooks at once", measure(run, seconds), print) for run in runs]
    except WrongAnswers as wrong:
        print(wrong)
        return WRONG
    return int(chosen.check and not all(kept))


if __name__ == "__main__":
    sys.exit(main())
