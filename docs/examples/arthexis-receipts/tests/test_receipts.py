"""Every session gets its receipt, also one that ended while nobody wrote receipts."""

import asyncio
import json

from arthexis.testing import node, wire

OCPP, OURS = "arthexis-ocpp16:*", "arthexis-receipts:receipts"


async def charge(running, energy_wh):
    async with wire(running.station_url("CP-1")) as station:
        await station.boot()
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
        number = (await station.result("StartTransaction", start))["transactionId"]
        stop = {"transactionId": number, "meterStop": energy_wh, "timestamp": "2026-11-24T11:00:00Z"}
        await station.result("StopTransaction", stop)
        return number


async def receipt_of(running, number):
    file = running.host.home / "receipts" / f"{number}.json"
    async with asyncio.timeout(5):
        while not file.exists() or not file.read_text("utf-8"):
            await asyncio.sleep(0.02)
    return json.loads(file.read_text("utf-8"))


async def test_a_session_that_ended_while_the_plugin_was_off_gets_its_receipt_too(tmp_path):
    async with node(tmp_path, plugins=[OCPP, OURS]) as running:
        first = await receipt_of(running, await charge(running, 100))
    async with node(tmp_path, plugins=[OCPP]) as running:
        number = await charge(running, 200)
    assert not (tmp_path / "receipts" / f"{number}.json").exists()
    async with node(tmp_path, plugins=[OCPP, OURS]) as running:
        second = await receipt_of(running, number)
    assert (first["station"], first["energy_wh"], second["energy_wh"]) == ("CP-1", 100, 200)
