"""The same stories on SQLite and on PostgreSQL: what a station is told and what is stored do not depend on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from arthexis.db import events
from arthexis.testing import Node, node, wire
from arthexis.testing.wire import Wire
from tests.fleet import Books, Station
from tests.postgresql import Cluster

PLUGINS = ["arthexis-ocpp16:*"]
CRASHES = 2
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-11-24T10:00:00Z"}
SAMPLES = {"meterValue": [{"timestamp": "2026-11-24T10:01:00Z", "sampledValue": [{"value": "150"}]}]}


@asynccontextmanager
async def node_on(home: Path, url: str, **options: Any) -> AsyncIterator[Node]:
    async with node(home, plugins=PLUGINS, config={"database": {"url": url}}, **options) as running:
        yield running


@pytest.fixture
async def running(tmp_path: Path, database_url: str) -> AsyncIterator[Node]:
    async with node_on(tmp_path / "node", database_url) as started:
        yield started


async def charge(station: Wire) -> int:
    number: int = (await station.result("StartTransaction", START))["transactionId"]
    await station.result("MeterValues", {"connectorId": 1, "transactionId": number, **SAMPLES})
    stop = {"transactionId": number, "meterStop": 350, "timestamp": "2026-11-24T11:00:00Z", "reason": "Local"}
    await station.result("StopTransaction", stop)
    return number


def count(running: Node, table: str) -> int:
    return running.host.database.read_now(lambda db: int(db.core.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0))


async def test_a_charge_is_stored_as_it_was_told(running: Node) -> None:
    async with wire(running.station_url("CP-1")) as station:
        await station.boot()
        number = await charge(station)
    shown = await running.ask("transactions.show", transaction=number)
    assert (shown["station"], shown["energy_wh"], shown["stop_reason"], shown["open"]) == ("CP-1", 250, "Local", False)
    assert shown["started_at"].isoformat() == "2026-11-24T10:00:00+00:00"
    assert [reading["samples"] for reading in shown["meter_values"]] == [[{"value": "150"}]]
    assert shown["meter_values"][0]["sampled_at"].isoformat() == "2026-11-24T10:01:00+00:00"
    (found,) = await running.ask("stations.list")
    assert found["last_seen_at"].tzinfo is not None
    told = running.host.database.read_now(lambda db: events.after(db, 0))
    kinds = [event.kind for event in told if event.kind.startswith("transaction")]
    assert kinds == ["transaction.started", "transaction.metered", "transaction.stopped"]
    assert all(event.at.utcoffset().total_seconds() == 0 for event in told)  # type: ignore[union-attr]


async def test_what_is_sent_again_is_stored_once(running: Node) -> None:
    async with wire(running.station_url("CP-1")) as station:
        await station.boot()
        first = await station.result("StartTransaction", START)
        assert await station.result("StartTransaction", START) == first
    async with wire(running.station_url("CP-1")) as station:
        assert await station.result("StartTransaction", START) == first
        reading = {"connectorId": 1, "transactionId": first["transactionId"], **SAMPLES}
        for _ in range(3):
            await station.result("MeterValues", reading)
        stop = {"transactionId": first["transactionId"], "meterStop": 350, "timestamp": "2026-11-24T11:00:00Z"}
        for _ in range(3):
            assert await station.result("StopTransaction", {**stop, "transactionData": SAMPLES["meterValue"]}) == {}
    assert (count(running, "charging_transaction"), count(running, "meter_value")) == (1, 1)
    assert count(running, "event WHERE kind = 'transaction.stopped'") == 1


async def test_two_stations_race_for_one_tag_and_one_gets_it(running: Node) -> None:
    async with wire(running.station_url("CP-1")) as one, wire(running.station_url("CP-2")) as two:
        await asyncio.gather(one.boot(), two.boot())
        for number in range(5):
            start = {**START, "idTag": f"TAG-{number}", "timestamp": f"2026-11-24T10:0{number}:00Z"}
            answers = await asyncio.gather(*(s.result("StartTransaction", start) for s in (one, two)))
            assert sorted(a["idTagInfo"]["status"] for a in answers) == ["Accepted", "ConcurrentTx"]


async def test_a_restart_in_the_middle_is_one_transaction(tmp_path: Path, database_url: str) -> None:
    async with node_on(tmp_path / "node", database_url) as running, wire(running.station_url("CP-1")) as station:
        await station.boot()
        first = await station.result("StartTransaction", START)
    async with node_on(tmp_path / "node", database_url) as running, wire(running.station_url("CP-1")) as station:
        assert await station.result("StartTransaction", START) == first
        assert await charge(station) == first["transactionId"]
        assert count(running, "charging_transaction") == 1


ODD: dict[str, str] = {
    "NUL": "A\\u0000B",
    "NUL alone": "\\u0000",
    "a lone surrogate": "A\\ud800B",
    "a pair": "\\ud83d\\ude00",
    "a control": "\\u0007\\u001b",
    "a long text": "x" * 3_000,
    "not a character": "\\uffff\\ufffe",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_odd_texts_are_stored_and_acknowledged(running: Node, text: str) -> None:
    texts = json.dumps({"vendorId": "V", "info": "I"}).replace("V", text).replace("I", text)
    start = json.dumps(START).replace("TAG", text)
    reading = json.dumps({"connectorId": 1, "transactionId": 0, **SAMPLES}).replace('"150"', f'"{text}"')
    async with wire(running.station_url("CP-1")) as station:
        await station.boot()
        status = json.dumps({"connectorId": 1, "status": "Available", "errorCode": "NoError"})[:-1] + f", {texts[1:]}"
        for number, (action, payload) in enumerate(
            [("StatusNotification", status), ("StartTransaction", start), ("MeterValues", reading)]
        ):
            await station.say(f'[2, "odd{number}", "{action}", {payload}]')
            assert (await station.hear())[0] == 3, action
    assert count(running, "charging_transaction") == 1


@pytest.mark.parametrize("size", [2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(2**31) - 1, -(2**63) - 1])
async def test_any_number_is_stored_or_kept_raw_and_acknowledged(running: Node, size: int) -> None:
    async with wire(running.station_url("CP-1")) as station:
        await station.boot()
        start = {**START, "meterStart": size, "reservationId": size}
        assert (await station.call("StartTransaction", start))[0] == 3
        assert (await station.call("StartTransaction", {**START, "connectorId": size}))[0] == 3
        assert (await station.call("MeterValues", {"connectorId": 1, "transactionId": size, **SAMPLES}))[0] == 3
        assert (await station.call("MeterValues", {"connectorId": size, **SAMPLES}))[0] == 3
        stop = {"transactionId": size, "meterStop": size, "timestamp": "2026-11-24T11:00:00Z"}
        assert (await station.call("StopTransaction", stop))[0] == 3
        status = {"connectorId": size, "status": "Available", "errorCode": "NoError"}
        assert (await station.call("StatusNotification", status))[0] == 3


# ---------------------------------------------------------------------- PostgreSQL alone


async def test_two_nodes_on_one_database_decide_as_one(tmp_path: Path, cluster: Cluster) -> None:
    url = cluster.database()
    async with (
        node_on(tmp_path / "a", url) as a,
        node_on(tmp_path / "b", url) as b,
        wire(a.station_url("CP-1")) as one,
        wire(b.station_url("CP-2")) as two,
    ):
        await asyncio.gather(one.boot(), two.boot())
        for number in range(15):
            start = {**START, "idTag": f"TAG-{number}", "timestamp": f"2026-11-24T10:{number:02}:00Z"}
            answers = await asyncio.gather(*(s.result("StartTransaction", start) for s in (one, two)))
            assert sorted(answer["idTagInfo"]["status"] for answer in answers) == ["Accepted", "ConcurrentTx"]
        assert len({answer["transactionId"] for answer in answers}) == 2


async def test_a_crash_of_postgresql_under_load_loses_nothing_and_cuts_no_socket(
    tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.database()
    async with node_on(tmp_path / "node", url) as running:
        fleet = [Station(f"CP-{number}", running.station_url) for number in range(4)]
        runs = [asyncio.create_task(station.run()) for station in fleet]
        for _ in range(CRASHES):
            await asyncio.sleep(0.4)
            await asyncio.to_thread(cluster.stop, "immediate")
            await asyncio.sleep(0.2)
            await asyncio.to_thread(cluster.start)
        before = sum(len(station.said) for station in fleet)
        await asyncio.sleep(0.5)
        assert sum(len(station.said) for station in fleet) > before + 10, "it heals by itself"
        for station in fleet:
            station.finish()
        async with asyncio.timeout(30):
            await asyncio.gather(*runs)
        await running.settle()
        assert [station.reconnected for station in fleet] == [0, 0, 0, 0]
        assert Books(running.host.database, fleet).faults == []
        running.faults()


async def test_a_connection_that_is_terminated_is_made_anew(tmp_path: Path, cluster: Cluster) -> None:
    async with node_on(tmp_path / "node", cluster.database()) as running, wire(running.station_url("CP-1")) as station:
        await station.boot()
        for number in range(3):
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            with running.host.database.engine.connect() as core:
                core.exec_driver_sql(f"{end} AND pid <> pg_backend_pid()")
            start = {**START, "idTag": f"TAG-{number}", "timestamp": f"2026-11-24T10:0{number}:00Z"}
            assert (await station.result("StartTransaction", start))["idTagInfo"]["status"] == "Accepted"
            assert len(await running.ask("transactions.list")) == number + 1


async def test_a_commit_whose_end_was_not_heard_is_looked_up(tmp_path: Path, cluster: Cluster) -> None:
    """The server commits and dies before it says so: the function must not run again."""
    async with node_on(tmp_path / "node", cluster.database()) as running:
        journal, ran = running.host.journal, []
        writer = journal._writer
        raw = writer._db.raw

        def once(db: Any) -> str:
            ran.append(1)
            db.event("told", None, {})
            return "kept"

        class Deaf:
            """A connection that commits and then hears nothing any more."""

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def raw(self, sql: str) -> None:
                raw(sql)
                if sql == "COMMIT":
                    real.core.connection.driver_connection.close()
                    raise running.host.database.driver.OperationalError("server closed the connection")

        real = writer._db
        writer._db = Deaf()  # type: ignore[assignment]
        assert await journal.write(once) == "kept"
        assert len(ran) == 1
        assert count(running, "event WHERE kind = 'told'") == 1
