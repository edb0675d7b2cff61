"""A soft reset reaches the station, a hard one does not."""

import asyncio

import pytest

from arthexis import DomainError
from arthexis.testing import wire

pytestmark = pytest.mark.plugins(
    "arthexis-ocpp16:ocpp16.protocol", "arthexis-ocpp16:ocpp16.boot_notification", "arthexis-gentlereset:gentlereset"
)


async def test_only_a_soft_reset_is_sent(host):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        reset = {"station": "CP-1", "action": "Reset", "wait": 5}
        with pytest.raises(DomainError, match="breaks off"):
            await host.ask("operations.send", **reset, payload={"type": "Hard"})
        asked = asyncio.create_task(host.ask("operations.send", **reset, payload={"type": "Soft"}))
        frame = await station.hear()
        assert frame[2:] == ["Reset", {"type": "Soft"}]
        await station.say([3, frame[1], {"status": "Accepted"}])
        assert (await asked)["state"] == "Accepted"
