"""What a plugin opens is closed again, whatever happens on the way."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from arthexis import lifespans
from arthexis.errors import Unavailable
from arthexis.jobs import Jobs
from arthexis.plugins.states import State
from arthexis.testing import Node, node, wire

HEAD = """
import asyncio
from contextlib import asynccontextmanager
from arthexis import DomainError, Unavailable, hookimpl
heard = []

@hookimpl
@asynccontextmanager
async def lifespan(ctx):
"""
QUICK = {"node": {"plugin_timeout_s": 0.3}}


def plugin(site: Any, body: str, name: str = "acme") -> str:
    return str(site.add(HEAD + "\n".join(f"    {line}" for line in body.splitlines()), name))


def heard(name: str = "acme") -> list[Any]:
    return list(sys.modules[name].heard)


def inventory() -> tuple[int, set[str], set[str]]:
    """Open files and sockets, threads and tasks of this process."""
    files = len(os.listdir("/proc/self/fd"))
    tasks = {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    return files, {thread.name for thread in threading.enumerate()}, tasks


async def until(holds: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_ten_starts_and_stops_leave_nothing_behind(site: Any, tmp_path: Path) -> None:
    body = "ctx.spawn(asyncio.sleep(3600), 'nap')\nserver = await asyncio.start_server(print, '127.0.0.1', 0)"
    acme = plugin(site, f"{body}\nyield\nserver.close()")

    async def once() -> None:
        async with (
            node(tmp_path, plugins=["arthexis-ocpp16:*", acme]) as running,
            wire(running.station_url("CP")) as cp,
        ):
            await cp.boot()

    await once()
    await asyncio.sleep(0.05)
    before = inventory()
    for _ in range(10):
        await once()
    await asyncio.sleep(0.05)
    assert inventory() == before


async def test_plugins_are_opened_in_order_and_closed_in_reverse(site: Any, tmp_path: Path) -> None:
    body = "import builtins\nbuiltins.order.append('+{0}')\nyield\nbuiltins.order.append('-{0}')"
    import builtins

    builtins.order = order = []  # type: ignore[attr-defined]
    try:
        plugins = [plugin(site, body.format(name), name) for name in ("one", "two")]
        async with node(tmp_path, plugins=plugins):
            pass
    finally:
        del builtins.order  # type: ignore[attr-defined]
    assert [step[1:] for step in order[:2]] == [step[1:] for step in order[:1:-1]]
    assert [step[0] for step in order] == ["+", "+", "-", "-"]


async def test_what_is_unavailable_is_tried_again(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifespans, "RETRY_S", 0.05)
    body = "heard.append(1)\nif len(heard) < 3:\n    raise Unavailable('no reader', cure='Plug one in')"
    acme = plugin(site, f"{body}\nyield\nheard.append('closed')")
    async with node(tmp_path, plugins=[acme]) as running:
        told = running.plugin("acme").to_dict()
        assert (told["state"], told["reason"], told["cure"]) == ("unavailable", "no reader", "Plug one in")
        await until(lambda: running.plugin("acme").state is State.ACTIVE)
    assert heard() == [1, 1, 1, "closed"]


async def test_what_goes_away_and_comes_back_is_said_by_the_plugin(site: Any, tmp_path: Path) -> None:
    acme = plugin(site, "heard.append(ctx)\nyield\nheard.append('closed')")
    async with node(tmp_path / "node", plugins=[acme]) as running:
        [ctx] = heard()
        ctx.lacks(Unavailable("the reader was unplugged", cure="Plug it in"))
        found = running.plugin("acme")
        assert (found.state, found.reason, found.cure) == (State.UNAVAILABLE, "the reader was unplugged", "Plug it in")
        assert len(heard()) == 1, "nothing is closed or opened again"
        ctx.has_all()
        assert (found.state, found.reason) == (State.ACTIVE, "")
    assert heard()[1:] == ["closed"]


async def test_stopping_while_something_is_unavailable_ends_the_waiting(site: Any, tmp_path: Path) -> None:
    acme = plugin(site, "raise Unavailable('no reader')\nyield")
    async with node(tmp_path, plugins=[acme]) as running:
        assert running.plugin("acme").state is State.UNAVAILABLE


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ConnectionError('no')\nyield", "its start failed: ConnectionError: no"),
        ("await asyncio.sleep(60)\nyield", "its start failed: no start within 0.3 s"),
        (
            "try:\n    await asyncio.sleep(60)\nexcept asyncio.CancelledError:\n    await asyncio.sleep(1)\nyield",
            "no start within 0.3 s",
        ),
        ("raise SystemExit(3)\nyield", "its start failed: SystemExit: 3"),
        ("raise asyncio.CancelledError\nyield", "its start failed: CancelledError"),
        ("if False:\n    yield", "its start failed: RuntimeError: generator didn't yield"),
    ],
)
async def test_a_start_that_fails_says_why_and_the_node_runs(site: Any, tmp_path: Path, body: str, reason: str) -> None:
    acme = plugin(site, body)
    async with node(tmp_path, plugins=["arthexis-ocpp16:*", acme], config=QUICK) as running:
        found = running.plugin("acme")
        assert (found.state, found.stage) == (State.FAILED, State.ACTIVE)
        assert reason in found.reason
        assert found.cure == "Mend it, or run: arthexis plugins disable acme:acme"
        running.excuse("acme")
        async with wire(running.station_url("CP-1")) as cp:
            assert (await cp.boot())["status"] == "Accepted"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("yield\nraise OSError('stuck')", "stuck"),
        ("yield\nawait asyncio.sleep(60)", "did not close within 0.3 s"),
        ("yield\nyield", "generator didn't stop"),
    ],
)
async def test_a_stop_that_fails_is_counted_and_the_node_stops(site: Any, tmp_path: Path, body: str, said: str) -> None:
    acme, other = plugin(site, body), plugin(site, "yield\nheard.append('closed')", "other")
    kept: list[Node] = []
    with pytest.raises(AssertionError, match=said):
        async with node(tmp_path, plugins=[other, acme], config=QUICK) as running:
            kept.append(running)
    assert kept[0].plugin("acme").state is State.STOPPED
    assert heard("other") == ["closed"]


@pytest.mark.parametrize(
    "error",
    ["LookupError('lost')", "SystemExit(3)", "KeyboardInterrupt", "Unavailable('no disk')", "DomainError('not so')"],
)
async def test_a_task_of_a_plugin_that_raises_is_counted_and_the_node_runs(
    site: Any, tmp_path: Path, error: str
) -> None:
    acme = plugin(site, f"async def work():\n    raise {error}\nctx.spawn(work(), 'work')\nyield")
    async with node(tmp_path, plugins=["arthexis-ocpp16:*", acme]) as running:
        await until(lambda: running.plugin("acme").errors == 1)
        assert [name for name, _ in running.faults()] == ["acme"]
        async with wire(running.station_url("CP-1")) as cp:
            assert (await cp.boot())["status"] == "Accepted"


async def test_a_task_that_is_deaf_to_its_cancellation_does_not_hold_up_the_stop(site: Any, tmp_path: Path) -> None:
    nap = (
        "        try:\n            await asyncio.sleep(0.05)\n        except asyncio.CancelledError:\n            pass"
    )
    work = f"ended = []\nasync def work():\n    while not ended:\n{nap}"
    body = f"{work}\nctx.spawn(work(), 'work')\nheard.append(ended)\nyield"
    began = 0.0
    async with node(tmp_path, plugins=[plugin(site, body)], config=QUICK):
        asyncio.get_running_loop().call_later(5, lambda: heard()[0].append(1))
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 3
    heard()[0].append(1)
    await asyncio.sleep(0.1)


async def test_a_node_that_cannot_start_closes_what_it_opened(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_jobs: Jobs) -> None:
        raise Unavailable("the database went away")

    monkeypatch.setattr(Jobs, "start", refuse)
    before = {task.get_name() for task in asyncio.all_tasks()}
    with pytest.raises(Unavailable, match="went away"):
        async with node(tmp_path, plugins=[plugin(site, "yield\nheard.append('closed')")]):
            pass
    assert heard() == ["closed"]
    assert {task.get_name() for task in asyncio.all_tasks()} == before


async def test_a_stop_while_a_lifespan_opens_leaves_nothing_open(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifespans, "RETRY_S", 0.01)
    body = "heard.append(1)\nif len(heard) == 1:\n    raise Unavailable('no')\nawait asyncio.sleep(0.3)"
    acme = plugin(site, f"{body}\nheard.append('open')\nyield\nheard.append('closed')")
    before = {task.get_name() for task in asyncio.all_tasks()}
    async with node(tmp_path, plugins=[acme]):
        await until(lambda: heard() == [1, 1])
    await asyncio.sleep(0.4)
    assert heard() == [1, 1]
    assert {task.get_name() for task in asyncio.all_tasks()} == before


async def test_a_lifespan_is_left_by_the_task_that_entered_it(site: Any, tmp_path: Path) -> None:
    acme = plugin(site, "heard.append(asyncio.current_task())\nyield\nheard.append(asyncio.current_task())")
    async with node(tmp_path, plugins=[acme]):
        pass
    assert heard()[0] is heard()[1]
