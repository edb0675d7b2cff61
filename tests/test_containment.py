"""Containment: what fails again and again rests and comes back, what guards is asked for ever, who blocks is named."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.errors import DomainError, PluginError, Unavailable
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
        [ailment] = acme.ailments.values()
        assert not ailment.well, "nothing has worked yet"
        await _comes_and_goes(running, 1)
        assert ailment.well
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


async def test_what_is_unavailable_is_tried_at_once_if_somebody_says_so(installed: Any, tmp_path: Path) -> None:
    source = """
from contextlib import asynccontextmanager
from arthexis import Unavailable, hookimpl
there = False
@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    if not there:
        raise Unavailable("no reader")
    yield
"""
    async with _running(installed, tmp_path, source) as running:
        acme = running.plugin("acme")
        assert (await running.ask("plugins.resume", name="acme"))["state"] == "unavailable"
        acme.module.there = True
        await running.ask("plugins.resume", name="acme")
        async with asyncio.timeout(3):
            while acme.state is not State.ACTIVE:
                await asyncio.sleep(0.01)


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


async def test_suspension_loses_no_money(installed: Any, tmp_path: Path) -> None:
    """An action is tried for ever: nobody else could answer, and a station gives a transaction up after some tries."""
    async with _running(installed, tmp_path, LISTENER + REPLACED, config=NO_START) as running:
        acme = running.plugin("acme")
        await _comes_and_goes(running, TIMES)
        assert acme.state is State.SUSPENDED
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
            for _ in range(2 * TIMES):
                assert await cp.error("StartTransaction", START) == "InternalError"
            acme.module.money = True
            answer = await cp.result("StartTransaction", START)
        assert answer["transactionId"] == 7
        logged = await running.ask("messages.list", station="CP-1")
        assert sum(row["action"] == "StartTransaction" for row in logged) == 2 * TIMES + 1
        running.faults()


NO_START = {"node": {"disable": ["arthexis-ocpp16:ocpp16.start_transaction"]}}
REPLACED = """
from arthexis import Action
money = False
async def start(station, call):
    if not money:
        raise RuntimeError("no till")
    from arthexis_ocpp16.messages import IdTagInfo
    return call.answer(transaction_id=7, id_tag_info=IdTagInfo(status="Accepted"))
@hookimpl
def register_actions():
    yield Action("StartTransaction", start)
"""


async def test_a_call_that_heeds_no_cancellation_is_not_made_without_end(installed: Any, tmp_path: Path) -> None:
    deaf = """
import asyncio
from arthexis import hookimpl
asked, done = 0, False
@hookimpl
async def decide_authorization(station, id_tag, starting):
    global asked
    asked += 1
    while not done:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""
    async with _running(installed, tmp_path, deaf) as running:
        acme = running.plugin("acme").module
        station = await running.host.database.read(lambda _: None)
        plugin, contain = running.plugin("acme"), running.host.contain
        for _ in range(25):
            _, error = await contain.timed(0.0, plugin, acme.decide_authorization, station, "TAG", True)
            assert isinstance(error, TimeoutError)
        assert acme.asked <= 21
        acme.done = True
        for task in asyncio.all_tasks():
            if task.get_name().startswith("acme: "):
                task.cancel()
        await asyncio.sleep(0.05)
        assert plugin.ailments["decide_authorization"].left == 0
        running.faults()


# ---------------------------------------------------------------------- who blocks

EAR = """
import logging, threading
named = threading.Event()
class Ear(logging.Handler):
    def emit(self, record):
        named.set()
logging.getLogger("arthexis.watchdog").addHandler(Ear())
"""
"""Blocks with ``named.wait(20)`` until the watchdog has said so, however busy the machine is."""

BLOCKS = (
    EAR
    + """
from arthexis import Registration, Route, hookimpl
@hookimpl
async def decide_boot(station, boot):
    if boot.charge_point_model == "Heavy":
        named.wait(20)
def _slow(db):
    named.wait(20)
async def write(request):
    await request.host.journal.write(_slow)
    return {}
@hookimpl
def register_routes():
    yield Route("POST", "/acme/slow", write, "viewer")
"""
)


async def test_who_blocks_the_loop_is_named_with_file_and_line(
    installed: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _running(installed, tmp_path, BLOCKS) as running, wire(running.station_url("CP-1")) as cp:
        await cp.boot(model="Heavy")
        await asyncio.sleep(0.05)
        acme = running.plugin("acme")
        assert acme.state is State.DEGRADED
        assert acme.reason.startswith("TimeoutError: blocked the event loop for at least ")
        assert acme.reason.endswith(" s in acme.py:13 (decide_boot)")
        assert list(acme.ailments) == ["decide_boot"]
        named = [r.getMessage() for r in caplog.records if r.name == "arthexis.watchdog"]
        assert named[0].startswith("plugin acme blocks the event loop in acme.py:13 (decide_boot) for at least 0.")
        assert "arthexis plugins disable acme:acme" in named[0]
        assert [str(error) for _, error in running.faults()] == [acme.reason.removeprefix("TimeoutError: ")]


async def test_a_journal_function_that_blocks_is_its_plugins(installed: Any, tmp_path: Path) -> None:
    async with _running(installed, tmp_path, BLOCKS) as running, ClientSession() as web:
        assert (await web.post(f"{running.url}/api/v1/acme/slow")).status == 200
        await asyncio.sleep(0.05)
        assert running.plugin("acme").reason.endswith("in acme.py:15 (_slow)")
        running.faults()


async def test_a_lifespan_that_blocks_is_named(installed: Any, tmp_path: Path) -> None:
    source = """
from contextlib import asynccontextmanager
from arthexis import hookimpl
@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    named.wait(20)
    yield
"""
    async with _running(installed, tmp_path, EAR + source) as running:
        assert [str(error).rpartition(" in ")[2] for _, error in running.faults()] == ["acme.py:14 (lifespan)"]
        assert running.plugin("acme").recent[0].hook == "event loop"
        assert running.plugin("acme").state is State.DEGRADED


async def test_a_loop_that_only_waits_blames_nobody(installed: Any, tmp_path: Path) -> None:
    waits = """
import asyncio
from arthexis import hookimpl
@hookimpl
async def on_booted(event):
    for _ in range(80):
        await asyncio.sleep(0.01)
"""
    async with _running(installed, tmp_path, waits) as running, wire(running.station_url("CP-1")) as cp:
        await cp.boot()
        await running.settle()
        assert running.faults() == []


async def test_many_short_calls_that_together_take_long_blame_nobody(installed: Any, tmp_path: Path) -> None:
    many = """
import time
from arthexis import Route, hookimpl
def _short(db):
    time.sleep(0.02)
async def route(request):
    for _ in range(80):
        request.host.journal.note(_short)
    return {}
@hookimpl
def register_routes():
    yield Route("POST", "/acme", route, "viewer")
"""
    async with _running(installed, tmp_path, many) as running, ClientSession() as web:
        assert (await web.post(f"{running.url}/api/v1/acme")).status == 200
        await running.settle()
        assert running.faults() == []


# ---------------------------------------------------------------------- junk, and what gets past

JUNK = """
from arthexis import Diagnosis, Finding, Operation, Route, hookimpl
class Rude(Exception):
    def __str__(self):
        raise SystemExit("never read me")
    __repr__ = __str__
def look(db, station):
    yield "it is the moon"
async def prepare(asked):
    return ["no", "mapping"]
async def raises(request):
    raise Rude
async def odd(request):
    return object()
@hookimpl
def register_diagnoses():
    yield Diagnosis("acme.moon", look)
@hookimpl
def register_operations():
    yield Operation("ClearCache", "Clear", prepare=prepare)
@hookimpl
def register_routes():
    yield Route("GET", "/acme/rude", raises, "viewer")
    yield Route("GET", "/acme/odd", odd, "viewer")
"""


async def test_junk_of_every_handler_is_told_apart_by_hook(installed: Any, tmp_path: Path) -> None:
    config = {"node": {"disable": ["arthexis-ocpp16:ocpp16.clear_cache"]}}
    async with _running(installed, tmp_path, JUNK, config=config) as running, ClientSession() as web:
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
        await running.ask("stations.why", station="CP-1")
        with pytest.raises(Exception, match="instead of members of the payload"):
            await running.ask("operations.send", station="CP-1", action="ClearCache", payload={})
        for path in ("rude", "odd"):
            async with web.get(f"{running.url}/api/v1/acme/{path}") as answer:
                assert answer.status == 500
                assert "plugin acme could not answer" in await answer.text()
        info = await running.ask("plugins.info", name="acme")
        assert {ailment["hook"]: ailment["last"] for ailment in info["ailments"]} == {
            "diagnosis acme.moon": "TypeError: yielded str instead of Finding",
            "operation ClearCache": "TypeError: answered list instead of members of the payload",
            "route GET /acme/rude": "Rude: (its text cannot be read)",
            "route GET /acme/odd": "TypeError: Encoding objects of type object is unsupported",
        }
        assert [fault["hook"] for fault in info["recent"]][-1] == "route GET /acme/odd"
        assert info["recent"][2]["where"] == "acme.py:12"
        running.faults()


async def test_a_task_past_the_node_is_counted_too(installed: Any, tmp_path: Path) -> None:
    stray = """
import asyncio
from arthexis import hookimpl
async def _stray():
    raise RuntimeError("nobody waits for me")
@hookimpl
async def decide_boot(station, boot):
    asyncio.create_task(_stray())
"""
    async with _running(installed, tmp_path, stray) as running, wire(running.station_url("CP-1")) as cp:
        await cp.boot()
        import gc

        gc.collect()
        await asyncio.sleep(0.05)
        assert [(p, str(e)) for p, e in running.faults()] == [("acme", "nobody waits for me")]
        assert list(running.plugin("acme").ailments) == ["task of its own"]


async def test_the_loops_exception_handler_stays_the_nodes(installed: Any, tmp_path: Path) -> None:
    source = """
import asyncio
from contextlib import asynccontextmanager
from arthexis import hookimpl
@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    yield
"""
    async with _running(installed, tmp_path, source) as running:
        assert running.host.loop.get_exception_handler() == running.host.unheard
        assert "changed the event loop's exception handler" in str(running.faults()[0][1])


async def test_a_diagnosis_that_hangs_holds_up_nothing_else(installed: Any, tmp_path: Path) -> None:
    source = """
import threading
from arthexis import Diagnosis, hookimpl
released = threading.Event()
def look(db, station):
    released.wait(60)
    yield
@hookimpl
def register_diagnoses():
    yield Diagnosis("acme.slow", look)
"""
    async with _running(installed, tmp_path, source) as running, wire(running.station_url("CP-1")) as cp:
        await cp.boot()
        asked = [asyncio.create_task(running.ask("stations.why", station="CP-1")) for _ in range(6)]
        await asyncio.sleep(0.3)
        async with asyncio.timeout(20):
            assert (await running.ask("stations.list"))[0]["identity"] == "CP-1"
        await asyncio.gather(*asked)
        running.plugin("acme").module.released.set()
        assert {str(error) for _, error in running.faults()} == {"no answer within 2 s"}


async def test_who_waited_while_another_blocked_the_loop_gets_the_time_again(installed: Any, tmp_path: Path) -> None:
    source = """
import asyncio, time
from arthexis import Registration, hookimpl
@hookimpl
async def decide_boot(station, boot):
    asyncio.get_running_loop().call_later(0.1, time.sleep, 1.0)
    await asyncio.sleep(0.2)
    await asyncio.sleep(0.2)
    return Registration("Pending")
"""
    async with _running(installed, tmp_path, source) as running, wire(running.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Pending"
        assert running.faults() == []


# ---------------------------------------------------------------------- what rests, and what an operator sees and does

WORKS = """
from arthexis import Job, Operation, Route, hookimpl
broken, done = True, []
def _try(what):
    done.append(what)
    if broken:
        raise RuntimeError("no wire")
async def job(ctx, args):
    _try("job")
async def prepare(asked):
    _try("operation")
async def route(request):
    _try("route")
    return {}
@hookimpl
def register_jobs():
    yield Job("acme.job", job, retries=0)
@hookimpl
def register_operations():
    yield Operation("ClearCache", "Clear", prepare=prepare)
@hookimpl
def register_routes():
    yield Route("GET", "/acme", route, "viewer")
"""
NO_CLEAR = {"node": {"disable": ["arthexis-ocpp16:ocpp16.clear_cache"]}}


async def _put(running: Node) -> int:
    return int(await running.host.journal.write(lambda db: running.host.jobs.put(db, "acme.job")))


async def _ended(running: Node, job: int) -> str:
    async with asyncio.timeout(10):
        while (row := next(r for r in await running.ask("jobs.list") if r["id"] == job))["state"] in WAITS:
            await asyncio.sleep(0.02)
    return str(row["state"])


WAITS = {"waiting", "running"}


async def test_a_job_that_is_suspended_waits_and_costs_no_try(installed: Any, tmp_path: Path) -> None:
    async with _running(installed, tmp_path, WORKS, config=NO_CLEAR) as running:
        acme = running.plugin("acme")
        for _ in range(TIMES):
            assert await _ended(running, await _put(running)) == "failed"
        assert acme.state is State.SUSPENDED
        acme.module.broken = False
        waiting = await _put(running)
        await asyncio.sleep(0.3)
        assert len(acme.module.done) == TIMES
        await running.ask("plugins.resume", name="acme")
        assert await _ended(running, waiting) == "done"
        running.faults()


async def test_an_operation_that_is_suspended_is_refused_with_the_cure(installed: Any, tmp_path: Path) -> None:
    async with _running(installed, tmp_path, WORKS, config=NO_CLEAR) as running:
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
        for _ in range(TIMES):
            with pytest.raises(PluginError, match="no wire"):
                await running.ask("operations.send", station="CP-1", action="ClearCache")
        with pytest.raises(Unavailable, match="operation ClearCache is suspended") as refused:
            await running.ask("operations.send", station="CP-1", action="ClearCache")
        assert refused.value.cure.endswith("arthexis plugins resume acme")
        assert running.plugin("acme").module.done == ["operation"] * TIMES
        running.faults()


async def test_the_api_and_the_first_page_show_what_is_suspended_and_resume_it(installed: Any, tmp_path: Path) -> None:
    async with _running(installed, tmp_path, WORKS, config=NO_CLEAR) as running, ClientSession() as web:
        api = f"{running.url}/api/v1"
        answers = [(await web.get(f"{api}/acme")).status for _ in range(TIMES + 1)]
        assert answers == [500] * TIMES + [503]
        shown = await (await web.get(f"{api}/plugins/acme")).json()
        assert (shown["state"], shown["errors"]) == ("suspended", TIMES)
        assert [(a["hook"], a["faults"], a["well"]) for a in shown["ailments"]] == [("route GET /acme", TIMES, False)]
        assert shown["ailments"][0]["suspended_until"] > shown["ailments"][0]["last_at"]
        assert [fault["where"] for fault in shown["recent"]] == ["acme.py:7"] * TIMES
        page = await (await web.get(running.url)).text()
        assert "<li class=suspended>" in page
        assert "arthexis plugins resume acme" in page
        running.plugin("acme").module.broken = False
        resumed = await (await web.post(f"{api}/plugins/acme/resume")).json()
        assert resumed["state"] == "active"
        assert (await web.get(f"{api}/acme")).status == 200
        assert (await web.post(f"{api}/plugins/nobody/resume")).status == 404
        running.faults()


async def test_what_an_author_raises_on_purpose_is_no_fault(installed: Any, tmp_path: Path) -> None:
    polite = """
from arthexis import DomainError, Route, Unavailable, hookimpl
async def refuses(request):
    raise DomainError("not today")
async def waits(request):
    raise Unavailable("no wire")
@hookimpl
def register_routes():
    yield Route("GET", "/acme/refuses", refuses, "viewer")
    yield Route("GET", "/acme/waits", waits, "viewer")
"""
    async with _running(installed, tmp_path, polite) as running, ClientSession() as web:
        for _ in range(2 * TIMES):
            assert (await web.get(f"{running.url}/api/v1/acme/refuses")).status == 409
            assert (await web.get(f"{running.url}/api/v1/acme/waits")).status == 503
        assert running.plugin("acme").state is State.ACTIVE


async def test_a_route_has_its_time(installed: Any, tmp_path: Path) -> None:
    slow = """
import asyncio
from arthexis import Route, hookimpl
async def route(request):
    await asyncio.sleep(0.4)
    return {}
@hookimpl
def register_routes():
    yield Route("GET", "/acme/hurried", route, "viewer", timeout_s=0.1)
    yield Route("GET", "/acme/patient", route, "viewer", timeout_s=None)
"""
    async with _running(installed, tmp_path, slow) as running, ClientSession() as web:
        assert (await web.get(f"{running.url}/api/v1/acme/hurried")).status == 500
        assert (await web.get(f"{running.url}/api/v1/acme/patient")).status == 200
        assert [str(error) for _, error in running.faults()] == ["no answer within 0.1 s"]


async def test_a_fault_that_was_not_asked_about_fails_a_test_whatever_kind_it_is(
    installed: Any, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="acme: TimeoutError: blocked the event loop"):
        async with _running(installed, tmp_path, BLOCKS) as running, wire(running.station_url("CP-1")) as cp:
            await cp.boot(model="Heavy")
