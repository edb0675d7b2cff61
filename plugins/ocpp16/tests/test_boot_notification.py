"""BootNotification: who a station is, every time it said so, and whether it may talk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import pytest
import sqlalchemy as sa
from arthexis_ocpp16.testing import boot, meter, start, status, stop

from arthexis.charging.tables import station_boot
from arthexis.testing import FrozenClock, Node, Wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
Run = Callable[..., AbstractAsyncContextManager[Node]]
Play = Callable[..., AbstractAsyncContextManager[Wire]]

NINE = {
    "chargePointVendor": "Acme",
    "chargePointModel": "Wallbox 11",
    "chargePointSerialNumber": "SN-1",
    "chargeBoxSerialNumber": "BOX-1",
    "firmwareVersion": "1.2.3",
    "iccid": "8931",
    "imsi": "90170",
    "meterType": "EM-1",
    "meterSerialNumber": "M-1",
}
KEPT = {
    "vendor": "Acme",
    "model": "Wallbox 11",
    "serial_number": "SN-1",
    "charge_box_serial_number": "BOX-1",
    "firmware_version": "1.2.3",
    "iccid": "8931",
    "imsi": "90170",
    "meter_type": "EM-1",
    "meter_serial_number": "M-1",
}
DECIDES = """
from arthexis import Registration, hookimpl

@hookimpl
async def decide_boot(station, boot):
    return {"Hold": Registration("Pending", 7), "No": Registration("Rejected", 9)}.get(boot.charge_point_model)
"""


async def test_all_nine_fields_and_their_history_are_kept(host: Node, play: Play) -> None:
    """Defect 16: BootNotification stored nothing."""
    async with play(booted=False) as cp:
        await cp.result("BootNotification", NINE)
        await cp.result("BootNotification", {**NINE, "firmwareVersion": "2.0.0"})
    shown = await host.ask("stations.show", station="CP-1")
    assert {name: shown[name] for name in KEPT} == {**KEPT, "firmware_version": "2.0.0"}

    def history(db: object) -> list[dict[str, object]]:
        rows = db.core.execute(sa.select(station_boot.c.boot).order_by(station_boot.c.id))  # type: ignore[attr-defined]
        return [msgspec.json.decode(row.boot) for row in rows]

    assert await host.host.database.read(history) == [KEPT, {**KEPT, "firmware_version": "2.0.0"}]


async def test_the_answer_tells_the_time_and_the_interval(host: Node, clock: FrozenClock, play: Play) -> None:
    """Rule 10: currentTime in every answer; a boot of some seconds later is not answered with the old time."""
    async with play(booted=False) as cp:
        first = await cp.result("BootNotification", boot(), "1000001")
        assert first == {"status": "Accepted", "currentTime": "2026-11-24T12:00:00.000Z", "interval": 300}
        clock.advance(10)
        again = await cp.result("BootNotification", boot(), "1000002")
        assert again["currentTime"] == "2026-11-24T12:00:10.000Z"


@pytest.mark.parametrize(("model", "said", "interval"), [("Hold", "Pending", 7), ("No", "Rejected", 9)])
async def test_a_plugin_decides_and_until_it_accepts_nothing_else_is_processed(
    run: Run, install: Callable[[str], str], model: str, said: str, interval: int
) -> None:
    """Rule 8 and N3: SecurityError for everything but a boot; the answer holds until the next boot, on any socket."""
    probe = install(DECIDES)
    async with run(plugins=[probe]) as host, playing(host) as cp:
        told = await cp.result("BootNotification", boot(chargePointModel=model))
        assert (told["status"], told["interval"]) == (said, interval)
        for action, payload in (
            ("Authorize", {"idTag": "TAG"}),
            ("Heartbeat", {}),
            ("StatusNotification", status()),
            ("StartTransaction", start()),
            ("MeterValues", meter("1")),
            ("StopTransaction", stop(1)),
        ):
            assert await cp.error(action, payload) == "SecurityError"
        assert await host.ask("transactions.list") == []
    async with run(plugins=[probe]) as host, playing(host) as cp:
        assert await cp.error("Heartbeat") == "SecurityError"
        assert (await cp.result("BootNotification", boot(chargePointModel=model)))["status"] == said
        assert await cp.error("Heartbeat") == "SecurityError"
        assert (await cp.result("BootNotification", boot()))["status"] == "Accepted"
        assert "currentTime" in await cp.result("Heartbeat")


def playing(host: Node) -> AbstractAsyncContextManager[Wire]:
    from arthexis.testing import wire

    return wire(host.station_url("CP-1"))


async def test_acceptance_outlives_the_socket_and_the_node(run: Run) -> None:
    """Rule 9: a station should not boot again after a reconnect, and its open transaction stays open."""
    async with run() as host:
        async with playing(host) as cp:
            await cp.boot()
            number = (await cp.result("StartTransaction", start()))["transactionId"]
            cp.drop()
        async with playing(host) as cp:
            assert await cp.result("MeterValues", meter("1500", transactionId=number)) == {}
    async with run() as host, playing(host) as cp:
        assert await cp.result("StopTransaction", stop(number)) == {}
        (row,) = await host.ask("transactions.list")
        assert (row["id"], row["energy_wh"], row["open"]) == (number, 7000, False)


async def test_what_was_refused_before_the_boot_is_tried_anew_after_it(run: Run, install: Callable[[str], str]) -> None:
    """The same frame with the same id: its CALLERROR must not be repeated from memory."""
    async with run(plugins=[install(DECIDES)]) as host, playing(host) as cp:
        await cp.result("BootNotification", boot(chargePointModel="Hold"))
        assert await cp.error("StartTransaction", start(), "7") == "SecurityError"
        await host.ask("stations.approve", station="CP-1")
        await cp.result("BootNotification", boot())
        assert (await cp.result("StartTransaction", start(), "7"))["transactionId"] > 0


async def test_a_station_that_waits_for_approval_may_boot_and_nothing_else(run: Run) -> None:
    async with run(open_mode=False, admit_pending_minutes=1) as host, playing(host) as cp:
        assert (await cp.result("BootNotification", NINE))["status"] == "Pending"
        assert await cp.error("StartTransaction", start()) == "SecurityError"
        (waiting,) = await host.ask("stations.pending")
        assert (waiting["identity"], waiting["boot"]) == ("CP-1", KEPT)
        await host.ask("stations.approve", station="CP-1", no_key=True)
        assert (await cp.result("BootNotification", NINE))["status"] == "Accepted"
        assert (await host.ask("stations.show", station="CP-1"))["model"] == "Wallbox 11"


async def test_a_station_that_never_boots_is_heard_in_repair_mode_and_not_in_strict_mode(run: Run) -> None:
    """Q19: some never send a BootNotification."""
    async with run(open_mode=False) as host:
        await host.ask("stations.add", station="CP-1", no_key=True)
        async with playing(host) as cp:
            assert "currentTime" in await cp.result("Heartbeat")
            await host.ask("stations.set", station="CP-1", mode="strict")
            assert await cp.error("Heartbeat") == "SecurityError"


async def test_an_over_long_field_is_clipped_in_the_column_and_whole_in_the_log(host: Node, play: Play) -> None:
    async with play(booted=False) as cp:
        await cp.result("BootNotification", boot(chargePointVendor="V" * 33, firmwareVersion="f" * 300))
    shown = await host.ask("stations.show", station="CP-1")
    assert (shown["vendor"], shown["firmware_version"]) == ("V" * 20, "f" * 50)
    (logged,) = await host.ask("messages.list")
    assert "V" * 33 in logged["frame"]
    assert logged["repairs"] == ["chargePointVendor: clipped to 20 of 33", "firmwareVersion: clipped to 50 of 300"]
