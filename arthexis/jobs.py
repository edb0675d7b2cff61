"""Jobs: work declared once by a plugin, run in this process from a durable table, tried again where it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from arthexis.contributions import Job
from arthexis.db import jobs as rows
from arthexis.db.jobs import Due
from arthexis.db.statements import Connection
from arthexis.errors import NotFound, Unavailable
from arthexis.lifespans import context_of
from arthexis.plugins.contain import told
from arthexis.plugins.states import Plugin

if TYPE_CHECKING:
    from arthexis.host import Host

log = logging.getLogger("arthexis.jobs")

AT_ONCE: Final = 8
MOST_SLEEP_S: Final = 60.0
MOST_BACKOFF_S: Final = 3_600.0
AGAIN_S: Final = 1.0
LOOK_AGAIN_S: Final = 5.0
"""While jobs are suspended they are looked at this often."""
JUMP_S: Final = 2.0
EVERY: Final = "every"
"""The key under which a job with an interval waits for its next turn."""


def label(name: str) -> str:
    """What a job is called among the hooks of its plugin."""
    return f"job {name}"


class Jobs:
    """The in-process runner: one waiting task, at most ``AT_ONCE`` running ones."""

    def __init__(self, host: Host) -> None:
        """Know what plugins declare; nothing runs before ``start``."""
        self._host = host
        self._woken = asyncio.Event()
        self._running: dict[asyncio.Task[Any], int] = {}
        self._offset_s = 0.0
        self.declared: dict[str, tuple[Plugin, Job]] = {
            job.name: (plugin, job) for plugin, job in host.composition.jobs
        }

    async def start(self) -> None:
        """Take up what a node that died left running, and begin."""
        host, at = self._host, self._host.clock.now()
        self._offset_s = self._offset()
        await host.journal.write(lambda db: rows.recover(db, at))
        for name, (_, job) in self.declared.items():
            if job.every_s is not None:
                await host.journal.write(self._next(name, at + timedelta(seconds=job.every_s), first=True))
        host.spawn(self._run(), "jobs")

    def put(
        self,
        db: Connection,
        name: str,
        args: Mapping[str, Any] | None = None,
        *,
        run_at: datetime | None = None,
        key: str | None = None,
    ) -> int:
        """Have a job run once this commit is made; see ``arthexis.db.jobs.put``. Raises ``NotFound``."""
        if name not in self.declared:
            raise NotFound(
                f"no job {name}", place="jobs", cure=f"There are {', '.join(sorted(self.declared)) or 'none'}"
            )
        number = rows.put(db, name, self._host.clock.now(), args or {}, run_at=run_at, key=key)
        db.afterward(self.wake)
        return number

    def wake(self) -> None:
        """Look again: a job may be due."""
        self._woken.set()

    async def _run(self) -> None:
        """Take what is due, sleep until something is."""
        while self.declared:
            names = [name for name, (plugin, _) in self.declared.items() if self._may_run(plugin, name)]
            self._woken.clear()
            try:
                pause_s = await self._turn(names)
                if len(names) < len(self.declared):
                    pause_s = min(pause_s, LOOK_AGAIN_S)
            except Unavailable as failure:
                log.warning("jobs wait: %s", failure)
                pause_s = AGAIN_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _may_run(self, plugin: Plugin, name: str) -> bool:
        """Whether a job is taken when it is due; one that is suspended waits in its row."""
        return plugin.standing and not self._host.contain.rests(plugin, label(name))

    async def _turn(self, names: list[str]) -> float:
        """Start what is due; for how many seconds nothing else will be."""
        host, now = self._host, self._host.clock.now()
        await self._mind_the_clock(now)
        busy = list(self._running.values())
        next_at = await host.database.read(lambda db: rows.next_at(db, names, busy))
        if next_at is None:
            return MOST_SLEEP_S
        free = AT_ONCE - len(self._running)
        if next_at > now or free <= 0:
            return min(MOST_SLEEP_S, max(AGAIN_S if free <= 0 else 0.0, (next_at - now).total_seconds()))
        for due in await host.journal.write(lambda db: rows.take(db, names, now, free, busy)):
            task = host.spawn(self._one(due), f"job {due.name}")
            self._running[task] = due.id
            task.add_done_callback(self._ended)
        return 0.0

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task, None)
        self._woken.set()

    async def _mind_the_clock(self, now: datetime) -> None:
        """After the clock was set back, what comes regularly must not wait for the old time to come again."""
        offset_s, self._offset_s = self._offset_s, self._offset()
        if self._offset_s < offset_s - JUMP_S:
            await self._host.journal.write(lambda db: self._bring_forward(db, now))

    def _bring_forward(self, db: Connection, now: datetime) -> None:
        for name, (_, job) in self.declared.items():
            if job.every_s is not None:
                rows.not_after(db, name, EVERY, now + timedelta(seconds=job.every_s))

    def _offset(self) -> float:
        """Wall clock less monotonic clock, in seconds: it changes only when somebody sets the clock."""
        return self._host.clock.now().timestamp() - self._host.clock.monotonic()

    async def _one(self, due: Due) -> None:
        """Run one job and say how it ended."""
        plugin, job = self.declared[due.name]
        context = context_of(self._host, plugin)
        _, error = await self._host.contain.timed(
            job.timeout_s, plugin, job.handler, context, due.args, hook=label(due.name)
        )
        now = self._host.clock.now()
        if error is None:
            await self._stored(lambda db: rows.end(db, due.id, rows.DONE, now))
        elif due.tries <= job.retries:
            pause = timedelta(seconds=min(job.backoff_s * 2 ** min(due.tries - 1, 32), MOST_BACKOFF_S))
            await self._stored(lambda db: rows.again(db, due.id, now + pause, told(error)))
        else:
            log.error("job %s failed for good: %s", due.name, told(error))
            await self._stored(lambda db: _fail(db, due, now, told(error)))
        if job.every_s is not None and due.key == EVERY and (error is None or due.tries > job.retries):
            await self._stored(self._next(due.name, now + timedelta(seconds=job.every_s), first=False))

    def _next(self, name: str, run_at: datetime, *, first: bool) -> Callable[[Connection], None]:
        """What puts a recurring job's next turn; at a start, one that waits already keeps its time."""

        def put(db: Connection) -> None:
            waiting = [row for row in rows.rows(db, name=name, state=rows.WAITING) if row["key"] == EVERY]
            if not (first and waiting):
                rows.put(db, name, self._host.clock.now(), {}, run_at=run_at, key=EVERY)
            elif first:
                rows.not_after(db, name, EVERY, run_at)

        return put

    async def _stored(self, store: Callable[[Connection], None]) -> None:
        """Write how a job ended, however long the database cannot be written: a row left as running waits for ever."""
        while True:
            try:
                await self._host.journal.write(store)
            except Unavailable as failure:
                log.warning("the end of a job waits to be stored: %s", failure)
                await asyncio.sleep(AGAIN_S)
            else:
                return


def _fail(db: Connection, due: Due, at: datetime, said: str) -> None:
    """A job has failed for good; whoever listens is told."""
    rows.end(db, due.id, rows.FAILED, at, said)
    db.event("job.failed", None, {"job": due.id, "name": due.name, "error": said})
