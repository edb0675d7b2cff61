"""Faults put into a node from outside, at the border of its libraries: Python imports this file when a process starts.

The environment says which: ``FAIL_SLOW_COMMIT=0.01`` makes the disk slow (so many seconds before each COMMIT of the
driver), ``FAIL_KILL=before-commit:7`` ends the process (``kill -9`` to itself) at the seventh time it gets there.
The points are ``before-commit``, ``after-commit`` and ``before-send`` (of a WebSocket frame). Commits count from the
moment the node listens, so that migrations do not. ``before-queued`` and ``after-queued``, ``-sent`` and ``-ended`` are
the commits in which an operation becomes that.
"""

from __future__ import annotations

import importlib.abc
import os
import signal
import sqlite3
import sys
import time
from typing import Any

SLOW_S = float(os.environ.get("FAIL_SLOW_COMMIT", "0"))
POINT, _, NUMBER = os.environ.get("FAIL_KILL", "").partition(":")
counts: dict[str, int] = {}
steps: list[str] = []


def reach(point: str) -> None:
    """Count that a point was reached, and die there if it is the one."""
    if point != POINT or "aiohttp.web" not in sys.modules:
        return
    counts[point] = counts.get(point, 0) + 1
    if counts[point] == int(NUMBER):
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def step_of(sql: str) -> list[str]:
    """What an operation becomes by this statement, if it does."""
    if sql.startswith("INSERT INTO operation "):
        return ["queued"]
    if sql.startswith("UPDATE operation "):
        return ["ended"] if "finished_at=" in sql else ["sent"] if "sent_at=" in sql else []
    return []


class Cursor(sqlite3.Cursor):
    """A cursor whose COMMIT is slow, or the last thing that happens."""

    def execute(self, sql: str, *values: Any) -> Any:
        if sql != "COMMIT":
            steps.extend(step_of(sql))
            return super().execute(sql, *values)
        time.sleep(SLOW_S)
        made, steps[:] = list(steps), []
        for step in ("commit", *made):
            reach(f"before-{step}")
        result = super().execute(sql, *values)
        for step in ("commit", *made):
            reach(f"after-{step}")
        return result


class Connection(sqlite3.Connection):
    """A connection that has such cursors."""

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)


plain = sqlite3.connect


def connect(*args: Any, **options: Any) -> Any:
    """Connect as ever, but for the kind of connection."""
    return plain(*args, **{"factory": Connection, **options})


class Watch(importlib.abc.MetaPathFinder):
    """Wraps the sending of WebSocket frames once the web library is there."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "arthexis.web.app":
            from aiohttp.http_websocket import WebSocketWriter

            sent = WebSocketWriter.send_frame

            async def send_frame(self: Any, *args: Any, **options: Any) -> None:
                reach("before-send")
                await sent(self, *args, **options)

            WebSocketWriter.send_frame = send_frame  # type: ignore[method-assign]


if SLOW_S or POINT:
    sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[assignment]
if POINT == "before-send":
    sys.meta_path.insert(0, Watch())
