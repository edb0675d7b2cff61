"""The defects measured in the system that this one replaces, each where its cure is proven or proven here.

2 test_status_notification (one connector says nothing of another), 3 and 4 test_authorize (never promoted; only the
very same tag), 5 test_stop_transaction (an unknown number), 14 test_start_transaction (a retry) and test_meter_values
(of no transaction), 16 test_boot_notification. The others follow.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from arthexis_ocpp16.testing import meter, start, status, stop

from arthexis import CallFailed, Station
from arthexis.testing import Node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
Run = Callable[..., AbstractAsyncContextManager[Node]]


async def test_4_the_start_of_a_known_card_is_another_card(host: Node) -> None:
    await host.ask("tags.add", id_tag="04A2FF00112233", status="Blocked")
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for tag in ("04A2FF00", "04A2FF0011223344", "04A2FF001122339"):
            assert (await cp.result("Authorize", {"idTag": tag}))["idTagInfo"]["status"] == "Accepted"
        assert (await cp.result("Authorize", {"idTag": "04a2ff00112233"}))["idTagInfo"]["status"] == "Blocked"


async def test_6_an_unknown_action_is_not_answered_with_an_empty_result(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        assert await cp.error("DoSomething", {"a": 1}) == "NotImplemented"
        assert await cp.error("SignCertificate", {"csr": "x"}) == "NotImplemented"


async def test_7_malformed_frames_close_nothing_and_leak_no_place(run: Run) -> None:
    """A site of many stations behind one address is never locked out."""
    async with run(config={"stations": {"max_stations": 3}}) as host:
        for round_ in range(4):
            async with (
                wire(host.station_url("A")) as a,
                wire(host.station_url("B")) as b,
                wire(host.station_url("C")) as c,
            ):
                for cp in (a, b, c):
                    for broken in ("", "[", "{}", "[1]", '[2,"x"]', "[2,[],[],[]]", "\x00", "x" * 70_000):
                        await cp.say(broken)
                    assert (await cp.boot())["status"] == "Accepted", round_
            await host.settle()


async def test_8_an_answer_that_comes_at_once_is_never_lost(run: Run, install: Callable[[str], str]) -> None:
    """The call is registered before it is sent: of thirty instant answers thirty arrive."""
    probe = install("""
from arthexis import DataTransfer, hookimpl


async def ask_back(station, data, ctx):
    answers = [await ctx.call.ask("GetConfiguration", {"key": [str(n)]}) for n in range(30)]
    return [answer["unknownKey"] for answer in answers]


@hookimpl
def register_data_transfers():
    yield DataTransfer("probe", None, ask_back)
""")
    async with run(plugins=[probe]) as host, wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.say([2, "go", "DataTransfer", {"vendorId": "probe"}])
        for n in range(30):
            call = await cp.hear()
            assert (call[0], call[2], call[3]) == (2, "GetConfiguration", {"key": [str(n)]})
            await cp.say([3, call[1], {"unknownKey": [n]}])
        answer = await cp.hear()
        assert answer[2]["data"] == "[" + ",".join(f"[{n}]" for n in range(30)) + "]"


async def test_9_an_open_transaction_can_be_stopped_after_a_restart(run: Run) -> None:
    async with run() as host, wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        number = (await cp.result("StartTransaction", start()))["transactionId"]
    async with run() as host, wire(host.station_url("CP-1")) as cp:
        assert await cp.result("StopTransaction", stop(number, reason="Reboot")) == {}
        (row,) = await host.ask("transactions.list")
        assert (row["id"], row["open"], row["energy_wh"], row["stop_reason"]) == (number, False, 7000, "Reboot")


async def test_12_units_are_in_the_names_and_energy_is_a_difference_of_watt_hours(host: Node) -> None:
    """Ten credits less five kWh were -4990, because Wh were taken from kWh."""
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        number = (await cp.result("StartTransaction", start(meterStart="10 kWh")))["transactionId"]
        await cp.result("StopTransaction", stop(number, meterStop=15_000))
    row = await host.ask("transactions.show", transaction=number)
    assert (row["meter_start_wh"], row["meter_stop_wh"], row["energy_wh"]) == (10_000, 15_000, 5_000)


async def test_13_a_reservation_s_number_is_kept_and_reserves_nothing_by_itself(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for place, connector in enumerate((1, 2)):
            said = start(connectorId=connector, idTag=f"T{place}", reservationId=9)
            assert (await cp.result("StartTransaction", said))["idTagInfo"]["status"] == "Accepted"
    assert [row["reservation_id"] for row in await host.ask("transactions.list")] == [9, 9]


async def test_14_values_for_an_unknown_number_open_no_transaction(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for number in (1, 77, 2**31 - 1):
            await cp.result("MeterValues", meter("1", transactionId=number))
    assert await host.ask("transactions.list") == []


async def test_15_what_we_send_is_valid_when_it_refuses_too(play: Callable[..., object], host: Node) -> None:
    """A refused start had no transactionId; the wire of these tests checks every answer against its schema."""
    await host.ask("tags.add", id_tag="THIEF", status="Blocked", parent_id_tag="GANG")
    async with play() as cp:  # type: ignore[attr-defined]
        told = await cp.result("StartTransaction", start(idTag="THIEF"))
        assert told["transactionId"] > 0
        assert await cp.result("StatusNotification", status("Faulted", errorCode="OtherError")) == {}


async def test_a_call_of_ours_to_a_station_that_goes_away_ends(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        link = host.host.links["cp-1"]
        assert isinstance(link.station, Station)
        asked = host.host.spawn(_failing(link.ask("Reset", {"type": "Soft"})), "asking")
        assert (await cp.hear())[2] == "Reset"
        cp.drop()
        assert await asked == "station gone"


async def _failing(asking: object) -> str:
    try:
        await asking  # type: ignore[misc]
    except CallFailed as failed:
        return failed.outcome
    return "answered"
