"""The job runs, by itself and when it is put."""

import asyncio
import json

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-nightwatch:nightwatch")


async def test_a_job_that_is_put_runs_once_its_commit_is_made(host, clock):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
    clock.advance(1800)
    await host.host.journal.write(lambda db: host.host.jobs.put(db, "nightwatch.look", {"hours": 0.25}))
    file = host.host.home / "silent.json"
    async with asyncio.timeout(5):
        while not file.exists() or not file.read_text("utf-8"):
            await asyncio.sleep(0.02)
    assert json.loads(file.read_text("utf-8")) == ["CP-1"]


async def test_it_waits_for_its_hour(host):
    states = {row["name"]: row["state"] for row in await host.ask("jobs.list")}
    assert states["nightwatch.look"] == "waiting"
