"""A node as a real process: started as a person starts it, killed by its pid, started again where it was."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

START_S = 30.0
STOP_S = 30.0


class NodeDied(Exception):
    """The process ended before it listened; the message is what it printed."""


class NodeProcess:
    """``arthexis start --open`` in a data folder of its own; ``options`` follow on its command line.

    ``async with NodeProcess(home) as p`` starts it and makes sure that it is gone at the end. ``source`` is the folder
    whose ``arthexis`` package runs; the checkout of the tests unless named.
    """

    def __init__(
        self, home: Path, *options: str, env: Mapping[str, str] | None = None, source: Path | None = None
    ) -> None:
        self.home = home
        self.log = home / "node.log"
        self.port = 0
        self.starts = 0
        self._options = options
        self._env = {**os.environ, "ARTHEXIS_HOME": str(home), "PYTHONUNBUFFERED": "1", **(env or {})}
        if source is not None:
            self._env["PYTHONPATH"] = os.pathsep.join([str(source), self._env.get("PYTHONPATH", "")])
        self._source = source
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.kill()

    @property
    def pid(self) -> int:
        """The process's number, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self.port}"

    def station_url(self, identity: str) -> str:
        """Where a station of this identity connects."""
        return f"ws://127.0.0.1:{self.port}/ocpp/{identity}"

    def output(self) -> str:
        """Everything the node has printed since the first start."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    async def start(self) -> None:
        """Start, and wait until it listens; the port is that of the first start. Raises ``NodeDied``."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        begins = len(self.output())
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "arthexis", "start", "--open", "--port", str(self.port), *self._options),
                env=self._env,
                cwd=self._source,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(START_S):
            while (found := re.search(r"ws://127\.0\.0\.1:(\d+)/", self.output()[begins:])) is None:
                if self._process.returncode is not None:
                    raise NodeDied(self.output()[begins:])
                await asyncio.sleep(0.01)
        self.port = int(found[1])

    def set_env(self, **more: str) -> None:
        """Change the environment of the next start."""
        self._env |= more

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """``kill -9``, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def stop(self) -> int:
        """Ask it to stop (SIGTERM) and wait; its exit status."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it has ended by itself; its exit status."""
        assert self._process is not None
        async with asyncio.timeout(STOP_S):
            return await self._process.wait()
