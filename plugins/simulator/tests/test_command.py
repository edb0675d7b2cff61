"""``arthexis simulate`` as a person uses it: in a process of its own, against a node in another."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.node_process import NodeProcess, node_process

FAST = ("--speed", "6000")


@pytest.fixture(scope="module")
def open_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with node_process(tmp_path_factory.mktemp("open"), "--open") as node:
        yield node


@pytest.fixture(scope="module")
def closed_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with node_process(tmp_path_factory.mktemp("closed")) as node:
        yield node


def simulate(node: NodeProcess, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return node.command("simulate", *words, check=False, stdin=stdin)


def transactions(node: NodeProcess, station: str) -> list[dict[str, Any]]:
    """The stored transactions of the stations whose identity begins so."""
    query = "select t.*, identity from charging_transaction t join station s on s.id = t.station_id"
    return [row for row in node.rows(query) if row["identity"].startswith(station)]


def test_the_command_of_the_first_page_charges_a_car(open_node: NodeProcess) -> None:
    done = simulate(open_node, "--stations", "1", "--sessions", "1", *FAST)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"1 station at http://127\.0\.0\.1:\d+, 6000 times as fast as real time", lines[0])
    assert re.fullmatch(r"SIM-001: session 1/1, transaction \d+, \d\.\d\d kWh", lines[1])
    assert re.fullmatch(r"1 station, 1 of 1 sessions, \d\.\d\d kWh, \d+ messages answered in [\d.]+ s", lines[2])
    assert lines[3].startswith("latency  p50 ")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_every_session_of_every_station_is_stored_with_the_energy_that_was_told(open_node: NodeProcess) -> None:
    done = simulate(open_node, "--stations", "3", "--sessions", "2", "--prefix", "FLEET-", "--json", *FAST)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["stations"], told["sessions"], told["sessions_planned"]) == (3, 6, 6)
    assert (told["refused"], told["unanswered"], told["interrupted"]) == ({}, {}, False)
    assert told["answered"]["StartTransaction"] == told["answered"]["StopTransaction"] == 6
    assert set(told["latency_ms"]) == {"p50", "p95", "p99", "max"}
    rows = transactions(open_node, "FLEET-")
    assert len(rows) == 6
    assert not any(row["open"] or row["flags"] != "[]" for row in rows)
    assert sum(row["energy_wh"] for row in rows) == pytest.approx(told["energy_wh"], abs=6)
    limit = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert all(row["stopped_at_raw"] <= limit for row in rows), "sessions lie in the past, not in the future"


def test_power_and_energy_agree_in_what_the_node_stored(open_node: NodeProcess) -> None:
    done = simulate(open_node, "--prefix", "PHYS-", "--seed", "3", *FAST)
    assert done.returncode == 0
    [row] = transactions(open_node, "PHYS-001")
    readings = open_node.ask("transactions", "show", str(row["id"]))["meter_values"]
    registers = [float(value(reading, "Energy.Active.Import.Register")) for reading in readings]
    assert registers == sorted(registers)
    assert len(readings) == 20
    for before, after, reading in zip(registers, registers[1:], readings[1:], strict=False):
        assert float(value(reading, "Power.Active.Import")) / 60 == pytest.approx(after - before, abs=1.1)
    assert row["meter_stop_wh"] == registers[-1]


def value(reading: dict[str, Any], measurand: str) -> str:
    return next(sample["value"] for sample in reading["samples"] if sample["measurand"] == measurand)


def test_on_a_closed_node_stations_and_tags_are_added_and_only_those(closed_node: NodeProcess) -> None:
    for _ in range(2):
        done = simulate(closed_node, "--stations", "2", *FAST)
        assert done.returncode == 0, done.stdout + done.stderr
    assert {row["identity"] for row in closed_node.rows("select identity from station")} == {"SIM-001", "SIM-002"}
    assert {row["id_tag"] for row in closed_node.rows("select id_tag from tag")} == {"TAG-SIM-001", "TAG-SIM-002"}
    assert len(transactions(closed_node, "SIM-")) == 4


def test_an_unknown_station_named_by_url_is_refused_and_says_so(closed_node: NodeProcess) -> None:
    done = simulate(closed_node, "--url", closed_node.url, "--prefix", "STRANGER-", *FAST)
    assert done.returncode == 1
    assert "STRANGER-001" in done.stdout
    assert "refused: connection: " in done.stdout
    assert "answered 401" in done.stdout


def test_a_refused_tag_makes_it_end_with_one(closed_node: NodeProcess) -> None:
    key = closed_node.ask("stations", "add", "REF-001")["key_hex"]
    url = ("--url", closed_node.url, "--key", key)
    done = simulate(closed_node, *url, "--prefix", "REF-", "--id-tag", "NOBODY", *FAST)
    assert done.returncode == 1
    assert "refused: Authorize NOBODY: Invalid (1 times)" in done.stdout


def test_without_a_node_it_says_what_to_do(tmp_path: Path) -> None:
    done = NodeProcess(tmp_path / "none").command("simulate", check=False)
    assert done.returncode == 6
    assert "no node runs here" in done.stderr
    assert "arthexis start --open" in done.stderr


def test_nobody_at_the_url_is_unreachable(open_node: NodeProcess, unused_tcp_port: int) -> None:
    done = simulate(open_node, "--url", f"ws://127.0.0.1:{unused_tcp_port}/ocpp", *FAST)
    assert done.returncode == 6


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("late:each-5@0.1", "faults   late 4"),
        ("silent:each-10", "faults   silent 2"),
        ("malformed:each-10", "faults   malformed 2"),
        ("reject", "faults   reject 0 (no operation came that could be rejected)"),
        ("drop", "faults   drop 1"),
        ("reboot", "faults   reboot 1"),
    ],
)
def test_with_a_fault_every_session_is_finished_all_the_same(open_node: NodeProcess, fault: str, told: str) -> None:
    prefix = f"{fault[:4].upper()}-"
    done = simulate(open_node, "--fault", fault, "--prefix", prefix, *FAST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert told in done.stdout.splitlines()
    [row] = transactions(open_node, f"{prefix}001")
    assert not row["open"]
    assert row["stop_reason"] == ("PowerLoss" if fault == "reboot" else "EVDisconnected")


def test_a_fault_that_is_none_is_a_usage_error(open_node: NodeProcess) -> None:
    done = simulate(open_node, "--fault", "explode")
    assert done.returncode == 2
    assert "late, reject, silent, malformed, reboot, drop" in done.stderr


def test_a_node_that_is_killed_and_comes_back_gets_every_session_as_one_transaction(tmp_path: Path) -> None:
    with node_process(tmp_path / "killed", "--open") as node:
        command = [sys.executable, "-m", "arthexis", "simulate", "--stations", "2", "--speed", "400", "--json"]
        running = subprocess.Popen(command, env=node.environment, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: len(node.rows("select id from meter_value")) > 8)
        node.kill()
        node.restart()
        told = json.loads(running.communicate(timeout=60)[0])
        assert (running.returncode, told["sessions"], told["unanswered"]) == (0, 2, {})
        assert told["reconnections"] == 2
        rows = transactions(node, "SIM-")
        assert [(row["open"], row["stop_reason"]) for row in rows] == [(0, "EVDisconnected")] * 2
        assert len(node.rows("select id from meter_value")) == 40


def test_a_node_that_does_not_come_back_is_given_up(tmp_path: Path) -> None:
    with node_process(tmp_path / "gone", "--open") as node:
        command = [sys.executable, "-m", "arthexis", "simulate", "--speed", "60", "--patience", "1"]
        running = subprocess.Popen(command, env=node.environment, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: node.rows("select id from meter_value"))
        node.kill()
        out, _ = running.communicate(timeout=30)
        assert running.returncode == 1
        assert "unanswered: session given up: the node is gone (1 times)" in out


def test_ctrl_c_stops_the_sessions_properly(open_node: NodeProcess) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "arthexis", "simulate", "--prefix", "STOP-", "--speed", "60"],
        env=open_node.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: transactions(open_node, "STOP-001"))
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "interrupted; open sessions were stopped" in out
    assert "Traceback" not in out + err
    [row] = transactions(open_node, "STOP-001")
    assert (row["open"], row["stop_reason"]) == (0, "Other")


def wait_for(found: Any, timeout_s: float = 15.0) -> None:
    until = time.monotonic() + timeout_s
    while not found():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed, and Windows has none")
def test_on_a_terminal_progress_moves_and_is_taken_away(open_node: NodeProcess) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "arthexis", "simulate", "--prefix", "TTY-", *FAST]
    running = subprocess.Popen(command, env=open_node.environment, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown = read_all(ours)
    assert running.wait(20) == 0
    assert re.search(r"\[\.{20}\] 0/1 sessions, 1 charging, \d+ messages answered, 0 refused or unanswered", shown)
    assert shown.rstrip().splitlines()[-1].lstrip("\r").startswith("latency")


def read_all(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 4096)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


def test_a_single_call_prints_its_answer(open_node: NodeProcess) -> None:
    payload = json.dumps({"vendorId": "com.nobody", "data": "1"})
    done = simulate(open_node, "call", "CP-1", "DataTransfer", "--payload", payload)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"status": "UnknownVendorId"})


def test_a_single_call_that_is_refused_ends_with_one_and_says_the_code(open_node: NodeProcess) -> None:
    done = simulate(open_node, "call", "CP-1", "MakeCoffee", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["outcome"], told["code"]) == (1, "CALLERROR", "NotImplemented")
    assert [direction for direction, _ in told["frames"]] == [">", "<"]
    done = simulate(open_node, "call", "CP-1", "MakeCoffee")
    assert done.stderr.startswith("MakeCoffee: CALLERROR NotImplemented")


def test_a_single_call_to_a_closed_node_needs_the_key(closed_node: NodeProcess) -> None:
    key = closed_node.ask("stations", "add", "CP-7")["key_hex"]
    refused = simulate(closed_node, "call", "CP-7", "Heartbeat")
    assert refused.returncode == 6
    assert "--key" in refused.stderr
    done = simulate(closed_node, "call", "CP-7", "Heartbeat", "--key", key, "--boot")
    assert (done.returncode, list(json.loads(done.stdout))) == (0, ["currentTime"])


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("{", "that is no JSON: Expecting property name enclosed in double quotes: line 1 column 2"),
        ("@{folder}/broken.json", "that is no JSON: Expecting ',' delimiter: line 2 column 1"),
        ("@{folder}/absent.json", "absent.json: No such file"),
    ],
)
def test_a_payload_that_is_no_json_is_a_usage_error_that_names_the_place(
    open_node: NodeProcess, tmp_path: Path, payload: str, said: str
) -> None:
    (tmp_path / "broken.json").write_text('{"vendorId": "com.acme"\n"data": 1}', "utf-8")
    done = simulate(open_node, "call", "CP-1", "Heartbeat", "--payload", payload.replace("{folder}", str(tmp_path)))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_payload_may_come_from_a_file_or_standard_input(open_node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "payload.json").write_text('{"vendorId": "com.nobody"}', "utf-8")
    call = ("call", "CP-1", "DataTransfer", "--payload")
    for payload, typed in ((f"@{tmp_path / 'payload.json'}", ""), ("-", '{"vendorId": "com.nobody"}')):
        done = simulate(open_node, *call, payload, stdin=typed)
        assert (done.returncode, json.loads(done.stdout)) == (0, {"status": "UnknownVendorId"}), done.stderr


def test_a_single_call_boots_where_the_node_wants_it_first(closed_node: NodeProcess) -> None:
    key = closed_node.ask("stations", "add", "CP-8")["key_hex"]
    closed_node.command("stations", "set", "CP-8", "--mode", "strict")
    call = ("call", "CP-8", "DataTransfer", "--payload", '{"vendorId": "com.nobody"}', "--key", key, "--json")
    refused = simulate(closed_node, *call, "--no-boot")
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "SecurityError")
    found = json.loads(simulate(closed_node, *call).stdout)
    assert (found["outcome"], found["code"], found["payload"]) == ("CALLRESULT", None, {"status": "UnknownVendorId"})
    said = [json.loads(text)[2] for direction, text in found["frames"] if direction == ">"]
    assert said == ["DataTransfer", "BootNotification", "DataTransfer"]


def test_a_single_call_without_a_node_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "arthexis", "simulate", "call", "CP-1", "Heartbeat"],
        env={**os.environ, "ARTHEXIS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (6, "")
    assert "no node runs here" in done.stderr
    assert "--url" in done.stderr
