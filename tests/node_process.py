"""A node as a process of its own: started as a person starts it, killed as a power cut does, started again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

GREETING = re.compile(r"Stations connect to\s+ws://127\.0\.0\.1:(\d+)/ocpp/")
START_S = 30.0
STOP_S = 15.0


class NodeProcess:
    """``python -m arthexis start …`` on a data folder of its own; ``output`` holds every line it wrote."""

    def __init__(self, home: Path, *options: str, config: str = "", site: Path | None = None) -> None:
        """Prepare one; ``config`` is the text of its ``arthexis.toml``, ``site`` a folder of more distributions."""
        self.home = home
        self.options = options
        self.site = site
        self.port = 0
        self.output: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self._lines: Queue[str | None] = Queue()
        home.mkdir(parents=True, exist_ok=True)
        if config:
            (home / "arthexis.toml").write_text(config, "utf-8")

    @property
    def url(self) -> str:
        """``ws://127.0.0.1:<port>/ocpp``, the same after a restart."""
        return f"ws://127.0.0.1:{self.port}/ocpp"

    @property
    def environment(self) -> dict[str, str]:
        """What the node and its commands run with."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ARTHEXIS")}
        more = {"PYTHONPATH": str(self.site)} if self.site is not None else {}
        return {**clean, "ARTHEXIS_HOME": str(self.home), "PYTHONUNBUFFERED": "1", **more}

    def start(self) -> NodeProcess:
        """Start and wait for the greeting; the port is free the first time and the same from then on."""
        self._lines = Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "arthexis", "start", "--port", str(self.port), *self.options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process, self._lines), daemon=True).start()
        self.port = int(self._greeting())
        return self

    def _read(self, process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                lines.put(line)
        lines.put(None)

    def _greeting(self) -> str:
        until = time.monotonic() + START_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                line = None
            if line is None:
                self.kill()
                raise AssertionError("the node did not start:\n" + "".join(self.output))
            if found := GREETING.search(line):
                return found[1]

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut does; nothing is flushed or closed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> NodeProcess:
        """Start again on the same data and the same port."""
        return self.start()

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the node did not stop:\n" + "".join(self.output)) from None

    def command(
        self, *words: str, check: bool = True, timeout_s: float = 60.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``arthexis …`` on this node's data folder."""
        done = subprocess.run(
            [sys.executable, "-m", "arthexis", *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"arthexis {' '.join(words)} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
            )
        return done

    def ask(self, *words: str) -> Any:
        """Run ``arthexis … --json``; what it printed."""
        return json.loads(self.command(*words, "--json").stdout)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Read the stored rows themselves, beside the node or after its end."""
        with contextlib.closing(sqlite3.connect(self.home / "arthexis.db")) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query, values)]


def node_process(home: Path, *options: str, config: str = "") -> contextlib.AbstractContextManager[NodeProcess]:
    """A started node; at the end it is asked to stop, and killed if it does not."""
    return started(NodeProcess(home, *options, config=config))


@contextlib.contextmanager
def started(node: NodeProcess) -> Iterator[NodeProcess]:
    """A node that was prepared, started; at the end it is asked to stop, and killed if it does not."""
    node.start()
    try:
        yield node
        if node.running:
            assert node.stop() == 0
    finally:
        node.kill()
