"""The benchmarks can be trusted: the generator catches what is wrong, the arithmetic is right, a missed bound fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from arthexis.plugins import compose
from benchmarks import errors, generator, hanging, idle, instructions, pipeline, process, run
from benchmarks.discard import discard
from benchmarks.generator import Outcome, Plan, Run
from benchmarks.ratios import TARGETS, Row, Target
from benchmarks.servers import echo

Spoil = Callable[[bytes, bytes], list[bytes]]


def honest(_: bytes, answer: bytes) -> list[bytes]:
    return [answer]


def once(action: bytes, spoil: Spoil) -> Spoil:
    """Spoil the first answer to an action, and only that."""
    left = [spoil]

    def spoiled(frame: bytes, answer: bytes) -> list[bytes]:
        return left.pop()(frame, answer) if left and b'"' + action + b'"' in frame else [answer]

    return spoiled


@asynccontextmanager
async def server(spoil: Spoil, *, drops: bool = False, protocol: str = "ocpp1.6") -> AsyncIterator[str]:
    """The echo server, whose answers go through ``spoil``; its URL. With ``drops`` an empty list cuts the socket."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(protocol,), decode_text=False)
        await socket.prepare(request)
        while (message := await socket.receive()).type is WSMsgType.TEXT:
            answers = spoil(message.data, echo.answer(message.data))
            for answer in answers:
                await socket.send_frame(answer, WSMsgType.TEXT)
            if not answers and drops:
                break
        return socket

    application = web.Application()
    application.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    port = process.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"ws://127.0.0.1:{port}/ocpp/{{}}"
    finally:
        await runner.cleanup()


async def play(url: str, *, stations: int = 5) -> Outcome:
    plan = Plan(url, stations=stations, seconds=0.2, warmup_s=0.05, pid=os.getpid())
    return await Run(plan).outcome()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "ANSWER_S", 0.3)


async def test_right_answers_are_no_faults() -> None:
    async with server(honest) as url:
        outcome = await play(url, stations=17)
    assert (outcome.connected, outcome.faults, outcome.shown) == (17, {}, [])
    assert outcome.replies == sum(outcome.by_action.values()) > 17
    assert 0.4 < outcome.by_action["MeterValues"] / outcome.replies < 0.75
    assert outcome.server_cpu_s > 0
    assert outcome.us_per_message == 1e6 * outcome.server_cpu_s / outcome.replies


@pytest.mark.parametrize(
    ("action", "spoil", "fault"),
    [
        (b"MeterValues", lambda frame, answer: [], "never answered"),
        (b"StatusNotification", lambda frame, answer: [answer, answer], "answers another message"),
        (b"Heartbeat", lambda frame, answer: [b'[3,"0-0",{}]'], "answers another message"),
        (b"Heartbeat", lambda frame, answer: [b"[4" + answer[2:-1] + b',"",{}]'], "Heartbeat: refused"),
        (b"Heartbeat", lambda frame, answer: [b"[2" + answer[2:]], "Heartbeat: no CALLRESULT"),
        (b"Heartbeat", lambda frame, answer: [answer[:-1] + b",1]"], "Heartbeat: no CALLRESULT"),
        (b"Heartbeat", lambda frame, answer: [b"{"], "not a frame"),
        (b"Heartbeat", lambda frame, answer: [b"{}"], "not a frame"),
        (b"Heartbeat", lambda frame, answer: [answer.replace(b"T12", b" 12")], "Heartbeat: wrong answer"),
        (b"MeterValues", lambda frame, answer: [answer.replace(b"{}", b'{"a":1}')], "MeterValues: wrong answer"),
        (b"Authorize", lambda frame, answer: [answer.replace(b"Accepted", b"Sure")], "Authorize: wrong answer"),
        (b"Authorize", lambda frame, answer: [answer.replace(b"idTagInfo", b"x")], "Authorize: wrong answer"),
        (b"StartTransaction", lambda f, a: [a.replace(b"Accepted", b"Invalid")], "StartTransaction: wrong answer"),
        (b"StopTransaction", lambda f, a: [a.replace(b"{}", b"[]")], "StopTransaction: wrong answer"),
    ],
)
async def test_what_is_wrong_is_a_fault(action: bytes, spoil: Spoil, fault: str) -> None:
    async with server(once(action, spoil)) as url:
        outcome = await play(url)
    assert outcome.faults.get(fault) == 1
    assert outcome.shown[0].startswith(fault)


async def test_an_answer_that_nobody_asked_for_is_a_fault() -> None:
    """The last answer of all comes twice."""
    async with server(lambda frame, answer: [answer, answer]) as url:
        outcome = await Run(Plan(url, stations=1, seconds=0)).outcome()
    assert outcome.faults == {"an answer nobody asked for": 1}


async def test_a_transaction_id_given_twice_is_a_fault() -> None:
    def same(frame: bytes, answer: bytes) -> list[bytes]:
        if b'"StartTransaction"' not in frame:
            return [answer]
        return [answer.partition(b"{")[0] + b'{"transactionId":7,"idTagInfo":{"status":"Accepted"}}]']

    async with server(same) as url:
        outcome = await play(url)
    assert outcome.faults["a transaction id given twice"] >= 4


async def test_a_lost_connection_is_a_fault() -> None:
    async with server(once(b"MeterValues", lambda frame, answer: []), drops=True) as url:
        outcome = await play(url)
    assert outcome.faults == {"connection lost": 1}


async def test_another_subprotocol_is_a_fault() -> None:
    async with server(honest, protocol="ocpp2.0.1") as url:
        outcome = await play(url, stations=1)
    assert outcome.faults == {"another subprotocol": 1}


async def test_a_server_that_is_not_there_is_a_fault() -> None:
    outcome = await play(f"ws://127.0.0.1:{process.free_port()}/{{}}", stations=2)
    assert (outcome.connected, outcome.replies, outcome.us_per_message) == (0, 0, float("inf"))
    assert sum(outcome.faults.values()) == 2


def test_the_generator_says_by_its_exit_status_whether_all_was_well(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"ws://127.0.0.1:{process.free_port()}/{{}}"
    assert generator.main([url, "--stations", "1", "--seconds", "0.1"]) == 1
    assert '"connected": 0' in capsys.readouterr().out


# ---------------------------------------------------------------------- arithmetic


def row(name: str, *us: float) -> Row:
    return Row(name, name, False, "none", False, us, tuple(1e6 / value for value in us))


def test_a_ratio_is_the_median_of_the_ratios_of_each_repeat() -> None:
    rows = {"a": row("a", 100.0, 300.0, 200.0), "d": row("d", 10.0, 10.0, 100.0)}
    target = Target("a", "d", 10.0, at_least=True)
    assert target.ratio(rows) == 10.0
    assert target.met(rows)
    assert not replace(target, bound=10.1).met(rows)
    assert replace(target, at_least=False).met(rows)
    assert "MISSED" in replace(target, bound=9.9, at_least=False).line(rows)


def test_what_was_reached_is_held_while_the_target_is_not() -> None:
    rows = {"a": row("a", 120.0), "d": row("d", 10.0)}
    target = Target("a", "d", 25.0, at_least=True, held=9.0)
    assert not target.met(rows)
    assert target.kept(rows)
    assert not replace(target, held=13.0).kept(rows)
    assert not replace(target, held=None).kept(rows)
    assert "LOST" in replace(target, held=13.0).line(rows)


def test_a_row_knows_its_median_and_spread() -> None:
    assert row("a", 1.0, 4.0, 2.0).median_us == 2.0
    assert row("a", 1.0, 4.0, 2.0).spread == 1.5


def test_the_targets_are_those_of_the_project() -> None:
    told = {(t.upper, t.lower, t.bound, t.at_least) for t in TARGETS}
    assert told == {("a", "d1", 25.0, True), ("d1", "c", 1.5, False), ("b", "d2", 60.0, True)}


def figures(**us: float) -> Callable[..., dict[str, float]]:
    def measure(contender: run.Contender, seconds: float) -> dict[str, float]:
        return {"us_per_message": us[contender.row.name], "replies": 100, "seconds": 1.0}

    return measure


GOOD = {"a": 250.0, "b": 1200.0, "c": 7.0, "d1": 10.0, "d2": 20.0, "m": 15.0}


@pytest.mark.parametrize(
    ("changed", "kib", "arguments", "status"),
    [
        ({}, 19.0, ["--check"], 0),
        ({"d1": 10.1, "d2": 20.1, "c": 6.6}, 19.0, ["--check"], 0),
        ({"d1": 27.8}, 19.0, ["--check"], 1),
        ({"d2": 42.9}, 19.0, ["--check"], 1),
        ({"c": 1.6}, 19.0, ["--check"], 1),
        ({}, 20.1, ["--check"], 0),
        ({}, 22.1, ["--check"], 1),
        ({"d1": 99.0}, 99.0, [], 0),
    ],
)
def test_a_check_fails_by_ratios_and_bytes_only(
    changed: dict[str, float], kib: float, arguments: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "measure", figures(**{**GOOD, **changed}))
    monkeypatch.setattr(idle, "kib_each", lambda stations: kib)
    assert run.main(["--repeats", "2", *arguments]) == status


def test_a_wrong_answer_fails_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(contender: run.Contender, seconds: float) -> dict[str, float]:
        raise errors.WrongAnswers("d1: {'never answered': 1}")

    monkeypatch.setattr(run, "measure", wrong)
    assert run.main(["--check"]) == run.WRONG


@pytest.mark.parametrize(("counted", "status"), [(99_999.0, 0), (100_001.0, 1)])
def test_too_many_instructions_fail_the_check(
    counted: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(instructions, "count", lambda names: dict.fromkeys(names, counted))
    assert instructions.main(["--check"]) == status
    assert ("MISSED" in capsys.readouterr().out) == bool(status)


def test_instructions_are_the_difference_of_two_runs() -> None:
    difference = instructions.LONG - instructions.SHORT
    assert instructions.per_round(5_000_000, 5_000_000 + 90_000 * difference) == 90_000


def test_without_valgrind_the_cure_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert instructions.main(["--check"]) == instructions.UNCOUNTED
    assert "apt-get install valgrind" in capsys.readouterr().err


# ---------------------------------------------------------------------- what is measured


@pytest.mark.parametrize("name", pipeline.SAID)
def test_every_counted_message_is_answered(name: str) -> None:
    pipeline.main(name, 20)


async def test_only_a_database_in_memory_may_lose_what_is_written(host) -> None:
    with pytest.raises(ValueError, match="in memory"):
        discard(host.host.journal)


def test_the_cpu_of_children_is_counted() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
    before = process.cpu_s(os.getpid())
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert child.pid in process.family(os.getpid())
        assert process.cpu_s(os.getpid()) - before > 0.25
        assert process.rss_kib(os.getpid()) > process.rss_kib(child.pid) > 1_000
        child.communicate(b"\n")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no processes")
def test_server_and_generator_have_a_core_each_and_ours_stays_free() -> None:
    ours = os.sched_getaffinity(0)
    cores = []
    for core in (process.SERVER_CORE, process.GENERATOR_CORE):
        with process.pinned(core):
            cores.append(os.sched_getaffinity(0))
    assert os.sched_getaffinity(0) == ours
    if len(ours) > 1:
        assert [len(each) for each in cores] == [1, 1]
        assert cores[0] != cores[1]


def test_a_server_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with (
        pytest.raises(RuntimeError, match="no such thing"),
        process.server(command, process.free_port(), tmp_path / "log"),
    ):
        pass


def test_the_real_servers_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["a", "b", "c", "d1", "d2", "m"]
    assert run.main(["--only", ",".join(names), "--repeats", "1", "--seconds", "0.3"]) == 0
    said = capsys.readouterr().out
    table = said[said.index("uvloop") :].splitlines()[1 : len(names) + 1]
    assert [line.split()[0] for line in table] == names
    assert [line.count("station keys") for line in table] == [0, 0, 0, 1, 1, 1]
    assert said.count("at least") == 2


def test_idle_stations_are_counted_in_bytes() -> None:
    assert 1 < idle.kib_each(100) < 100


def test_a_plugin_that_hangs_is_tried_in_every_hook() -> None:
    untold = {"lifespan", "on_plugin_changed", "on_tag_scanned"}  # of no station: the first two hang all the time
    assert set(compose.HOOKS) - untold == {hook for hook in hanging.HOOKS if "_" in hook}
    assert hanging.HOOKS.keys() > {"action", "data transfer", "operation", "job", "route", "subscriber", "diagnosis"}


def test_what_a_hanging_plugin_costs_the_others_is_held(capsys: pytest.CaptureFixture[str]) -> None:
    calm = [0.01] * 100
    spoilt = hanging.Figures(idle=calm, hanging=[0.03] * 100, affected={"decide_boot": [0.8]})
    late = hanging.Figures(idle=calm, hanging=calm, affected={"decide_boot": [1.1]})
    silent = hanging.Figures(idle=calm, hanging=calm, affected={"decide_boot": []})
    well = hanging.Figures(idle=calm, hanging=[0.019] * 100, affected={"decide_boot": [0.9]})
    assert [hanging.report("one", run, print) for run in (spoilt, late, silent, well)] == [False, False, False, True]
    assert "decide_boot" in capsys.readouterr().out
