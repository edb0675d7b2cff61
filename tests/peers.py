"""Two charge points that others wrote: what we tell them is checked by their own schemas, and they answer as scripted.

``ocpp`` is the Python package (in the simulator's station), ``ocpp-rpc`` the one of npm in its strict mode.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from arthexis_simulator import Station, station
from arthexis_simulator.answers import Refusal, Script, Silence
from ocpp.exceptions import OCPPError
from ocpp.messages import Call, validate_payload

FOREIGN = Path(__file__).parent / "foreign"
HEAR_S = 20.0
NAMES = ("ocpp", "ocpp-rpc")


class Impossible(Exception):
    """This peer cannot play here; the message says what is missing."""


class Peer(Protocol):
    """A charge point under script. ``heard`` is every CALL it got, ``objections`` what its schemas refused."""

    heard: list[tuple[str, Any]]
    objections: list[str]

    async def call(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Send a CALL; the payload of its answer, after its schema was checked."""

    async def answer(self, kind: str, value: Any = None) -> None:
        """Answer the next CALL so: result (payload), raw (anything), error (code, description), silence, drop."""


class Package:
    """The package ``ocpp``: every request and every answer is held against its JSON schemas."""

    def __init__(self, simulated: Station) -> None:
        self._station = simulated
        self._next: list[tuple[str, Any]] = []
        self.heard: list[tuple[str, Any]] = []
        self.objections: list[str] = []
        for action in OPERATIONS:
            simulated.answer(action, self._script(action))

    def _script(self, action: str) -> Any:
        async def script(payload: Any) -> Script:
            self.heard.append((action, payload))
            await self._check(Call("1", action, payload))
            kind, value = self._next.pop(0)
            message_id = self._station.log[-1].message[1]
            if kind == "raw":
                await self._station.say(json.dumps([3, message_id, value]))
            elif kind == "drop":
                await self._station.drop()
            elif kind == "error":
                return Refusal(*value)
            elif kind == "result":
                answer: Mapping[str, Any] = value
                return answer
            return Silence()

        return script

    async def _check(self, frame: Any) -> None:
        try:
            await validate_payload(frame, "1.6")
        except OCPPError as error:
            self.objections.append(f"{frame.action} {frame.payload}: {error}")

    async def call(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        while not self._station.connected:
            await asyncio.sleep(0.02)
        answer: dict[str, Any] = await self._station.send(action, payload)
        frame = Call("1", action, answer)
        frame.message_type_id = 3
        await self._check(frame)
        return answer

    async def answer(self, kind: str, value: Any = None) -> None:
        self._next.append((kind, value))


class Strict:
    """``ocpp-rpc`` in strict mode, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[tuple[str, Any]] = []
        self.objections: list[str] = []

    async def read(self) -> None:
        """Take what it prints until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if told.get("direction") == "<":
                frame = json.loads(told["text"])
                if frame[0] == 2:
                    self.heard.append((frame[2], frame[3]))
            elif "invalid" in told or "bad" in told:
                self.objections.append(str(told))
            elif {"serving", "ready", "called"} & set(told):
                self._told.put_nowait(told)

    async def hear(self) -> dict[str, Any]:
        """The next thing it says of what it was told to do."""
        async with asyncio.timeout(HEAR_S):
            return await self._told.get()

    async def _do(self, line: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.hear()

    async def call(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        return dict((await self._do({"call": [action, payload]}))["called"])

    async def answer(self, kind: str, value: Any = None) -> None:
        await self._do({"answer": [kind, value]})


OPERATIONS = (
    *("CancelReservation", "ChangeAvailability", "ChangeConfiguration", "ClearCache", "ClearChargingProfile"),
    *("DataTransfer", "GetCompositeSchedule", "GetConfiguration", "GetDiagnostics", "GetLocalListVersion"),
    *("RemoteStartTransaction", "RemoteStopTransaction", "ReserveNow", "Reset", "SendLocalList"),
    *("SetChargingProfile", "TriggerMessage", "UnlockConnector", "UpdateFirmware"),
)


@asynccontextmanager
async def peer(name: str, url: str, identity: str, folder: Path) -> AsyncIterator[Peer]:
    """One of ``NAMES``, connected to the node at ``url`` (http) and not yet booted; raises ``Impossible``."""
    if name == "ocpp":
        async with station(url, identity, reconnects=True) as simulated:
            yield Package(simulated)
        return
    endpoint = f"{url.replace('http', 'ws', 1)}/ocpp"
    file = folder / f"{identity}.json"
    file.write_text(json.dumps({"endpoint": endpoint, "identity": identity, "steps": [["serve"]]}), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *foreign_command(), str(file), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    strict = Strict(process)
    reading = asyncio.create_task(strict.read())
    try:
        await strict.hear()
        yield strict
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def foreign_command() -> list[str]:
    """The command that runs the client of ``tests/foreign``, its packages installed; raises ``Impossible``."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Impossible("ocpp-rpc cannot play: node or npm is missing (Debian: apt install nodejs npm)")
    wanted = json.loads((FOREIGN / "package.json").read_text("utf-8"))["dependencies"]["ocpp-rpc"]
    installed = FOREIGN / "node_modules" / "ocpp-rpc" / "package.json"
    if not installed.exists() or json.loads(installed.read_text("utf-8"))["version"] != wanted:
        npm = [str(shutil.which("npm")), "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"]
        done = subprocess.run(npm, cwd=FOREIGN, capture_output=True, text=True, timeout=120, env=dict(os.environ))
        if done.returncode != 0:
            raise Impossible(f"ocpp-rpc cannot be installed by npm: {done.stderr.strip()[-300:]}")
    return [str(shutil.which("node")), str(FOREIGN / "client.js")]
