"""A charge point that others wrote, ``ocpp-rpc`` in strict mode: it finds nothing to object to, and is stored whole.

Its strict mode checks every frame of ours against the JSON schemas, so that an answer with a wrong member fails here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.needs import lacks
from tests.node_process import NodeProcess, node_process
from tests.peers import Impossible, foreign_command
from tests.rendering import domain_rows, said, stored_log

TIMEOUT_S = 60.0
Steps = list[list[Any]]


@pytest.fixture(scope="session")
def foreign() -> list[str]:
    """The command that plays a scenario. Where CI runs it must play; elsewhere its tests are skipped, saying why."""
    try:
        return foreign_command()
    except Impossible as reason:
        lacks(str(reason))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with node_process(tmp_path / "node", "--strict") as process:
        process.command("tags", "add", "TAG")
        yield process


class Client:
    """The foreign client at work; ``told`` is everything it printed."""

    def __init__(self, command: list[str], node: NodeProcess, steps: Steps, folder: Path) -> None:
        key = node.ask("stations", "add", "CP-1")["key_hex"]
        scenario = {"endpoint": node.url, "identity": "CP-1", "keyHex": key, "steps": steps}
        file = folder / "scenario.json"
        file.write_text(json.dumps(scenario), "utf-8")
        self.told: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [*command, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def until_waiting(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if "waiting" in self.told[-1]:
                return
        raise AssertionError(f"it ended: {self.told[-3:]}")

    def finish(self) -> None:
        """Let it go on to its end, which must be a good one."""
        rest, errors = self.process.communicate("go\n", timeout=TIMEOUT_S)
        self.told += [json.loads(line) for line in rest.splitlines()]
        assert self.process.returncode == 0, errors

    @property
    def frames(self) -> list[tuple[str, str]]:
        return [(told["direction"], told["text"]) for told in self.told if "direction" in told]

    @property
    def objections(self) -> list[dict[str, Any]]:
        return [told for told in self.told if "invalid" in told or "bad" in told]


def session() -> Steps:
    """Boot, statuses, authorize, start, ten meter values, stop."""
    boot = {"chargePointVendor": "Foreign", "chargePointModel": "RPC", "firmwareVersion": "2.2.1", "imsi": "26201"}
    free = {"connectorId": 0, "errorCode": "NoError", "status": "Available", "timestamp": "2026-11-24T09:59:00Z"}
    busy = {**free, "connectorId": 1, "status": "Preparing", "info": "cable in", "vendorId": "org.foreign"}
    start = {"connectorId": 1, "idTag": "TAG", "meterStart": 500, "timestamp": "2026-11-24T10:00:00+00:00"}
    stop = {"transactionId": "$transactionId", "meterStop": 2500, "timestamp": "2026-11-24T10:11:00.5Z", "idTag": "TAG"}
    return [
        ["call", "BootNotification", boot],
        ["call", "StatusNotification", free],
        ["call", "StatusNotification", busy],
        ["call", "Authorize", {"idTag": "TAG"}],
        ["call", "StartTransaction", start],
        *(["call", "MeterValues", metered(minute)] for minute in range(1, 11)),
        ["call", "StopTransaction", {**stop, "reason": "EVDisconnected"}],
    ]


def metered(minute: int) -> dict[str, Any]:
    register = {"value": str(500 + 200 * minute), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    current = [
        {"value": "15.9", "measurand": "Current.Import", "phase": phase, "unit": "A", "location": "Outlet"}
        for phase in ("L1", "L2", "L3")
    ]
    soc = {"value": f"{40 + minute}", "measurand": "SoC", "unit": "Percent", "location": "EV", "format": "Raw"}
    sampled = [{**register, "context": "Sample.Periodic"}, *current, soc]
    meter_value = [{"timestamp": f"2026-11-24T10:{minute:02d}:00Z", "sampledValue": sampled}]
    return {"connectorId": 1, "transactionId": "$transactionId", "meterValue": meter_value}


def test_a_strict_foreign_client_charges_and_is_stored_frame_by_frame(
    foreign: list[str], node: NodeProcess, tmp_path: Path
) -> None:
    client = Client(foreign, node, session(), tmp_path)
    client.finish()
    assert client.objections == []
    assert {"open": "ocpp1.6"} in client.told
    assert stored_log(node, "CP-1") == client.frames
    assert domain_rows(node) == said(client.frames)
    assert [row["energy_wh"] for row in node.rows("select energy_wh from charging_transaction")] == [2000]


def test_a_foreign_client_finishes_its_session_after_kill_minus_9(
    foreign: list[str], node: NodeProcess, tmp_path: Path
) -> None:
    steps = session()
    steps.insert(9, ["wait"])
    client = Client(foreign, node, steps, tmp_path)
    client.until_waiting()
    node.kill()
    node.restart()
    client.finish()
    assert client.objections == []
    assert [(row["energy_wh"], row["open"]) for row in node.rows("select * from charging_transaction")] == [(2000, 0)]
    assert len(node.rows("select id from meter_value")) == 10
    assert domain_rows(node) == said(client.frames)
