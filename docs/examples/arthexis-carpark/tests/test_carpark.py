"""What a node is that takes the role."""

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.node(config={"node": {"role": "carpark"}})


async def test_the_role_brings_its_plugins_and_settings(host):
    assert host.plugin("ocpp16.authorize").required
    async with wire(host.station_url("CP-1")) as station:
        assert (await station.boot())["interval"] == 120
        assert (await station.result("Authorize", {"idTag": "GUEST"}))["idTagInfo"]["status"] == "Accepted"
