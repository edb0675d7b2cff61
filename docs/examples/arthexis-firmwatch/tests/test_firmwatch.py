"""`arthexis why` names the firmware."""

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-firmwatch:firmwatch")


@pytest.mark.parametrize(("version", "named"), [("1.0.3", True), ("2.0.0", False)])
async def test_bad_firmware_is_named_with_what_to_do(host, version, named):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot(firmwareVersion=version)
        findings = (await host.ask("stations.why", station="CP-1"))["findings"]
    ours = [found for found in findings if found["said"].startswith("its firmware")]
    assert bool(ours) is named
    assert all(found["wrong"] and "UpdateFirmware" in found["command"] for found in ours)
