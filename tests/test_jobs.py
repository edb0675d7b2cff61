"""Jobs: done once they are due, again where they fail, and after a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from arthexis.contributions import Job
from arthexis.db import jobs as rows
from arthexis.jobs import Jobs
from arthexis.plugins.states import Plugin
from arthexis.testing import FrozenClock, Node


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


async def test_a_job_put_anew_while_it_runs_runs_again_afterwards_and_never_beside_itself(host: Node) -> None:
    running_now, most, done = 0, 0, []
    began, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        began.set()
        await go_on.wait()
        running_now -= 1
        done.append(args["turn"])

    jobs = await running(host, Job("test.one", handler))
    number = await host.host.journal.write(lambda db: jobs.put(db, "test.one", {"turn": 1}, key="k"))
    await began.wait()
    assert await host.host.journal.write(lambda db: jobs.put(db, "test.one", {"turn": 2}, key="k")) == number
    await asyncio.sleep(0.1)
    go_on.set()
    assert (await ended(host, number))["state"] == "done"
    assert (done, most) == ([1, 2], 1)


async def test_a_job_that_takes_too_long_is_ended_and_tried_again(host: Node) -> None:
    tries = 0

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await asyncio.sleep(60)

    jobs = await running(host, Job("test.slow", handler, timeout_s=0.05, backoff_s=0.01))
    number = await host.host.journal.write(lambda db: jobs.put(db, "test.slow"))
    row = await ended(host, number)
    assert (row["state"], row["tries"]) == ("done", 2)
    assert [type(error) for _, error in host.faults()] == [TimeoutError]


async def test_an_error_whose_text_cannot_be_read_fails_the_job_all_the_same(host: Node) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        raise Mute

    jobs = await running(host, Job("test.mute", handler, retries=0))
    number = await host.host.journal.write(lambda db: jobs.put(db, "test.mute"))
    row = await ended(host, number)
    assert (row["state"], host.faults()[0][0]) == ("failed", "test")
    assert "Mute" in row["error"]
    await host.ask("jobs.retry", job=number)
    assert (await ended(host, number))["tries"] == 1
    host.faults()


async def test_the_end_of_a_job_is_stored_once_the_disk_is_back(host: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    came = asyncio.Event()

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        host.host.journal.most_waiting = 0
        came.set()

    jobs = await running(host, Job("test.full", handler))
    monkeypatch.setattr("arthexis.jobs.AGAIN_S", 0.05)
    number = await host.host.journal.write(lambda db: jobs.put(db, "test.full"))
    await came.wait()
    await asyncio.sleep(0.2)
    host.host.journal.most_waiting = 50_000
    assert (await ended(host, number))["state"] == "done"


async def test_a_clock_that_is_set_back_does_not_stop_what_comes_regularly(host: Node, clock: FrozenClock) -> None:
    turns = asyncio.Semaphore(0)

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        turns.release()

    jobs = await running(host, Job("test.hourly", handler, every_s=3600.0))
    clock.set(clock.now() - timedelta(days=1))
    jobs.wake()
    async with asyncio.timeout(5):
        while (await host.ask("jobs.list"))[0]["run_at"] > clock.now() + timedelta(hours=1):
            await asyncio.sleep(0.01)
    clock.advance(3600)
    jobs.wake()
    async with asyncio.timeout(5):
        await turns.acquire()


async def test_thousands_that_wait_all_run_once_and_few_at_a_time(host: Node) -> None:
    seen: list[int] = []
    at_once = most = 0

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        seen.append(args["n"])

    jobs = await running(host, Job("test.many", handler))
    await host.host.journal.write(lambda db: [jobs.put(db, "test.many", {"n": n}) for n in range(2_000)])
    async with asyncio.timeout(30):
        while len(seen) < 2_000:
            await asyncio.sleep(0.02)
    assert sorted(seen) == list(range(2_000))
    assert most <= 8


async def test_a_job_whose_plugin_is_off_waits_for_it(host: Node) -> None:
    ran = asyncio.Event()

    async def handler(_ctx: Any, args: dict[str, Any]) -> None:
        ran.set()

    await running(host, Job("test.other", handler))
    await host.host.journal.write(lambda db: rows.put(db, "test.gone", host.host.clock.now(), {}))
    host.host.jobs.wake()
    await asyncio.sleep(0.2)
    assert [row["state"] for row in await host.ask("jobs.list")] == ["waiting"]
    assert not ran.is_set()
    await running(host, Job("test.gone", handler))
    async with asyncio.timeout(5):
        await ran.wait()
