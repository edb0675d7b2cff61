"""The command as a person types it, in a process of its own, beside a running node."""

import asyncio
import json
import os
import sys

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-kwh:kwh")


async def charge(host, tag, energy_wh):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        start = {"connectorId": 1, "idTag": tag, "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
        number = (await station.result("StartTransaction", start))["transactionId"]
        stop = {"transactionId": number, "meterStop": energy_wh, "timestamp": "2026-11-24T11:00:00Z"}
        await station.result("StopTransaction", stop)


async def run(host, *words):
    environment = {**os.environ, "ARTHEXIS_HOME": str(host.host.home), "ARTHEXIS_CONFIG": ""}
    command = [sys.executable, "-m", "arthexis", *words]
    done = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    out, _ = await done.communicate()
    assert done.returncode == 0
    return out.decode()


async def test_energy_is_added_up_by_tag(host):
    await charge(host, "ANNE", 1500)
    await charge(host, "BOB", 250)
    await charge(host, "ANNE", 500)
    assert json.loads(await run(host, "kwh", "--json")) == [
        {"tag": "ANNE", "kwh": "2.000"},
        {"tag": "BOB", "kwh": "0.250"},
    ]
