"""Containment: what fails again and again rests and comes back, what guards is asked for ever, who blocks is named."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.errors import DomainError
from arthexis.plugins.states import State
from arthexis.testing import FrozenClock, Node, node, wire

CORE = "arthexis-ocpp16:*"
TAG = {"idTag": "TAG"}
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
TIMES = 5

LISTENER = """
from arthexis import hookimpl
broken, told = True, []
@hookimpl
async def on_connected(station):
    told.append(station.id)
    if broken:
        raise RuntimeError("no wire")
"""


async def _comes_and_goes(running: Node, times: int) -> None:
    """A station connects so many times, and every listener is told."""
    for _ in range(times):
        async with wire(running.station_url("CP-1")):
            await asyncio.sleep(0)
        await running.settle()


def _running(installed: Any, tmp_path: Path, source: str, **more: Any) -> Any:
    return node(tmp_path / "node", plugins=(CORE, installed(source).pattern), **more)


# ---------------------------------------------------------------------- suspended, tried, back


async def test_a_hook_that_fails_again_and_again_rests(installed: Any, tmp_path: Path) -> None:
    async with _running(installed, tmp_path, LISTENER) as running:
        await _comes_and_goes(running, TIMES + 2)
        acme = running.plugin("acme")
        assert len(acme.module.told) == TIMES
        assert (acme.state, acme.errors) == (State.SUSPENDED, TIMES)
        assert acme.reason.startswith("on_connected (tried again at ")
        assert acme.reason.endswith("failed again and again: RuntimeError: no wire")
        assert "arthexis plugins resume acme" in acme.cure
        assert len(running.faults()) == TIMES


async def test_it_comes_back_by_itself_once_it_works(installed: Any, tmp_path: Path, clock: FrozenClock) -> None:
    async with _running(installed, tmp_path, LISTENER, clock=clock) as running:
        acme = running.plugin("acme")
        await _comes_and_goes(running, TIMES)
        acme.module.broken = False
        clock.advance(29)
        await _comes_and_goes(running, 1)
        assert (acme.state, len(acme.module.told)) == (State.SUSPENDED, TIMES)
        clock.advance(2)
        await _comes_and_goes(running, 1)
        assert (acme.state, len(acme.module.told)) == (State.DEGRADED, TIMES + 1)
        clock.advance(60)
        await _comes_and_goes(running, 1)
        assert acme.state is State.ACTIVE
        running.faults()


async def test_each_pause_is_twice_as_long(installed: Any, tmp_path: Path, clock: FrozenClock) -> None:
    async with _running(installed, tmp_path, LISTENER, clock=clock) as running:
        acme = running.plugin("acme")
        await _comes_and_goes(running, TIMES)
        for pause_s in (30, 60, 120):
            ailment = acme.ailments["on_connected"]
            assert (ailment.until_at - clock.now()).total_seconds() == pause_s
            clock.advance(pause_s + 1)
            tried = len(acme.module.told)
            await _comes_and_goes(running, 2)
            assert len(acme.module.told) == tried + 1, "one try, and it rests again"
        running.faults()


async def test_resume_brings_it_back_at_once(installed: Any, tmp_path: Path) -> None:
    async with _running(installed, tmp_path, LISTENER) as running:
        acme = running.plugin("acme")
        await _comes_and_goes(running, TIMES)
        acme.module.broken = False
        assert (await running.ask("plugins.resume", name="acme"))["state"] == "active"
        await _comes_and_goes(running, 1)
        assert (acme.state, acme.errors, len(acme.module.told)) == (State.ACTIVE, TIMES, TIMES + 1)
        running.faults()


async def test_only_what_runs_can_be_resumed(installed: Any, tmp_path: Path) -> None:
    broken = "from arthexis import hookimpl\n@hookimpl\ndef register_routes():\n    raise RuntimeError('no')\n"
    async with _running(installed, tmp_path, broken) as running:
        running.excuse("acme")
        with pytest.raises(DomainError, match="acme is failed: register_routes: RuntimeError: no") as refused:
            await running.ask("plugins.resume", name="acme")
        assert "arthexis plugins disable" in refused.value.cure


@pytest.mark.parametrize("faults", [0, 9])
async def test_when_a_hook_rests_is_a_setting(installed: Any, tmp_path: Path, faults: int) -> None:
    settings = {"node": {"suspend_after": faults}}
    async with _running(installed, tmp_path, LISTENER, config=settings) as running:
        await _comes_and_goes(running, 8)
        assert running.plugin("acme").state is State.DEGRADED
        running.faults()


async def test_faults_that_are_far_apart_suspend_nothing(installed: Any, tmp_path: Path, clock: FrozenClock) -> None:
    async with _running(installed, tmp_path, LISTENER, clock=clock) as running:
        for _ in range(3 * TIMES):
            await _comes_and_goes(running, 1)
            clock.advance(20)
        assert running.plugin("acme").state is State.DEGRADED
        running.faults()


async def test_only_the_hook_that_fails_rests(installed: Any, tmp_path: Path) -> None:
    more = """
from arthexis import Route
async def hello(request):
    return {"hello": "world"}
@hookimpl
def register_routes():
    yield Route("GET", "/acme", hello, "viewer")
"""
    async with _running(installed, tmp_path, LISTENER + more) as running, ClientSession() as web:
        await _comes_and_goes(running, TIMES)
        assert running.plugin("acme").state is State.SUSPENDED
        assert (await web.get(f"{running.url}/api/v1/acme")).status == 200
        running.faults()


# ---------------------------------------------------------------------- what never rests

GUARD = """
from arthexis import Admission, Authorization, Registration, hookimpl
broken, asked = True, 0
def _answer(answer):
    global asked
    asked += 1
    if broken:
        raise RuntimeError("no list of thieves")
    return answer
@hookimpl
async def decide_authorization(station, id_tag, starting):
    return _answer(Authorization("Blocked"))
"""


async def test_a_guard_is_asked_for_ever_and_its_failure_is_a_no(installed: Any, tmp_path: Path) -> None:
    async with _running(installed, tmp_path, GUARD) as running:
        acme = running.plugin("acme").module
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
            for _ in range(2 * TIMES):
                assert (await cp.result("Authorize", TAG))["idTagInfo"]["status"] == "Invalid"
            acme.broken = False
            assert (await cp.result("Authorize", TAG))["idTagInfo"]["status"] == "Blocked"
        assert acme.asked == 2 * TIMES + 1
        assert running.plugin("acme").state is State.DEGRADED
        assert len(running.faults()) == 2 * TIMES


async def test_one_station_switches_no_guard_off_for_another(installed: Any, tmp_path: Path) -> None:
    guard = """
from arthexis import Admission, hookimpl
@hookimpl
async def decide_connection(request):
    return Admission(request.station_id != int(request.station_id[-1]) // 1)
"""
    async with _running(installed, tmp_path, guard) as running, ClientSession() as web:
        for _ in range(2 * TIMES):
            async with web.get(running.station_url("CRAZY").replace("ws", "http"), headers=UPGRADE) as refused:
                assert refused.status == 401
        async with wire(running.station_url("CP-1")) as cp:
            assert (await cp.boot())["status"] == "Accepted"
        assert len(running.faults()) == 2 * TIMES


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "ocpp1.6",
}
