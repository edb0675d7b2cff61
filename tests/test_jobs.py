"""Jobs: done once they are due, again where they fail, and after a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from arthexis.contributions import Job
from arthexis.jobs import Jobs
from arthexis.plugins.states import Plugin
from arthexis.testing import Node


async def ended(host: Node, number: int) -> dict[str, Any]:
    """The job's row once it is over."""
    async with asyncio.timeout(5):
        while True:
            row = next(row for row in await host.ask("jobs.list") if row["id"] == number)
            if row["state"] in {"done", "failed"}:
                return row
            await asyncio.sleep(0.01)


async def running(host: Node, *jobs: Job) -> Jobs:
    """The node's runner with these jobs of a plugin called test."""
    plugin = Plugin("test", "arthexis-test", "1", "test")
    host.host.composition.contributions["register_jobs"] = [(plugin, job) for job in jobs]
    host.host.jobs = Jobs(host.host)
    await host.host.jobs.start()
    return host.host.jobs


async def test_a_job_runs_after_the_commit_that_put_it(host: Node) -> None:
    done: list[dict[str, Any]] = []

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        done.append(args)

    jobs = await running(host, Job("test.now", handler))
    number = await host.host.journal.write(lambda db: jobs.put(db, "test.now", {"a": 1}))
    assert (await ended(host, number))["state"] == "done"
    assert done == [{"a": 1}]


async def test_a_failed_write_puts_no_job(host: Node) -> None:
    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        raise AssertionError("must not run")

    jobs = await running(host, Job("test.never", handler))

    def store(db: Any) -> None:
        jobs.put(db, "test.never")
        raise LookupError("no")

    with pytest.raises(LookupError):
        await host.host.journal.write(store)
    assert await host.ask("jobs.list") == []


async def test_a_job_that_fails_is_tried_again_and_then_given_up(host: Node) -> None:
    tries: list[int] = []

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        tries.append(1)
        raise RuntimeError("no luck")

    jobs = await running(host, Job("test.bad", handler, retries=2, backoff_s=0.01))
    number = await host.host.journal.write(lambda db: jobs.put(db, "test.bad"))
    row = await ended(host, number)
    assert (row["state"], row["tries"], len(tries)) == ("failed", 3, 3)
    assert "no luck" in row["error"]
    assert len(host.faults()) == 3


async def test_a_key_moves_a_waiting_job_instead_of_doubling_it(host: Node) -> None:
    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        return None

    jobs = await running(host, Job("test.later", handler))
    later = host.host.clock.now() + timedelta(hours=1)
    for _ in range(3):
        await host.host.journal.write(lambda db: jobs.put(db, "test.later", run_at=later, key="one"))
    assert [row["state"] for row in await host.ask("jobs.list")] == ["waiting"]


async def test_a_job_with_an_interval_comes_again(host: Node) -> None:
    turns = asyncio.Semaphore(0)

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        turns.release()

    await running(host, Job("test.often", handler, every_s=0.05))
    async with asyncio.timeout(5):
        for _ in range(3):
            await turns.acquire()


async def test_a_job_that_ends_while_nothing_can_be_stored_has_its_next_turn(
    host: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arthexis.jobs.AGAIN_S", 0.02)
    journal, turns = host.host.journal, list[int]()

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        turns.append(1)
        if len(turns) == 1:
            monkeypatch.setattr(journal, "most_waiting", 0)
            host.host.loop.call_later(0.1, monkeypatch.setattr, journal, "most_waiting", 50_000)

    await running(host, Job("test.often", handler, every_s=0.05))
    async with asyncio.timeout(5):
        while len(turns) < 3:
            await asyncio.sleep(0.01)
