"""Let stations of unknown makers wait (Pending), until an operator has looked at them."""

from arthexis import Registration, hookimpl

MAKERS = {"acme", "arthexis", "voltwerk", "sunbox"}


@hookimpl
async def decide_boot(station, boot):
    if boot.charge_point_vendor.lower() not in MAKERS:
        return Registration("Pending", interval_s=300)
    return None
