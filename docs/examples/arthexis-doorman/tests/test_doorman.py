"""Each decision, over a real socket."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import WSServerHandshakeError

from arthexis import format_utc
from arthexis.testing import wire

OCPP = "arthexis-ocpp16:*"


@pytest.mark.plugins(OCPP, "arthexis-doorman:doorman.hours")
@pytest.mark.node(config={"plugins": {"doorman.hours": {"closed": ["CP-9"]}}})
async def test_a_station_that_is_worked_on_may_not_connect(host):
    with pytest.raises(WSServerHandshakeError):
        async with wire(host.station_url("cp-9")):
            pass
    async with wire(host.station_url("CP-1")) as station:
        assert (await station.boot())["status"] == "Accepted"


@pytest.mark.plugins(OCPP, "arthexis-doorman:doorman.makers")
async def test_a_station_of_an_unknown_maker_waits(host):
    async with wire(host.station_url("CP-1")) as station:
        unknown = await station.boot(vendor="Nobody")
        assert (unknown["status"], unknown["interval"]) == ("Pending", 300)
        assert (await station.boot(vendor="ACME"))["status"] == "Accepted"


@pytest.mark.plugins(OCPP, "arthexis-doorman:doorman.guests")
@pytest.mark.node(open_mode=False)
async def test_guests_may_charge_and_lost_cards_may_not(host):
    for identity in ("CP-1", "STAFF-1"):
        await host.ask("stations.add", station=identity, no_key=True)
    for tag in ("DEADBEEF", "ANNE"):
        await host.ask("tags.add", id_tag=tag)
    told = {}
    for identity in ("CP-1", "STAFF-1"):
        async with wire(host.station_url(identity)) as station:
            await station.boot()
            for tag in ("guest", "deadbeef", "ANNE"):
                told[identity, tag] = (await station.result("Authorize", {"idTag": tag}))["idTagInfo"]["status"]
    assert told == {
        ("CP-1", "guest"): "Accepted",
        ("CP-1", "deadbeef"): "Blocked",
        ("CP-1", "ANNE"): "Accepted",
        ("STAFF-1", "guest"): "Invalid",
        ("STAFF-1", "deadbeef"): "Blocked",
        ("STAFF-1", "ANNE"): "Accepted",
    }


@pytest.mark.plugins(OCPP, "arthexis-doorman:doorman.order")
async def test_the_highest_free_connector_is_reserved(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        for connector in (1, 2, 3):
            status = {"connectorId": connector, "status": "Available", "errorCode": "NoError"}
            await station.result("StatusNotification", status)
        wish = {"idTag": "ANNE", "expiryDate": format_utc(datetime.now(UTC) + timedelta(hours=1))}
        asked = asyncio.create_task(
            host.ask("operations.send", station="CP-1", action="ReserveNow", payload=wish, wait=5)
        )
        frame = await station.hear()
        assert frame[3]["connectorId"] == 3
        await station.say([3, frame[1], {"status": "Accepted"}])
        assert (await asked)["state"] == "Accepted"
