"""StatusNotification: every status of every connector is kept, the newest one shows."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from arthexis_ocpp16.messages import ChargePointErrorCode, ChargePointStatus
from arthexis_ocpp16.testing import status

from arthexis.testing import FrozenClock, Node, Wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def now(host: Node, connector: int = 1) -> str:
    """What the connector shows."""
    shown = await host.ask("stations.show", station="CP-1")
    return next(str(c["status"]) for c in shown["connectors"] if c["number"] == connector)


async def history(host: Node) -> list[dict[str, Any]]:
    """The statuses of the station, the oldest first."""
    return list((await host.ask("stations.show", station="CP-1"))["statuses"])[::-1]


async def test_everything_is_kept_per_connector_and_for_the_station_itself(host: Node, cp: Wire) -> None:
    said = {"info": "door open", "vendorId": "com.acme", "vendorErrorCode": "E42", "timestamp": "2026-11-24T10:00:00Z"}
    await cp.result("StatusNotification", status("Faulted", 0, errorCode="OtherError", **said))
    await cp.result("StatusNotification", status("Charging", 2))
    first, second = await history(host)
    kept = [first[name] for name in ("connector", "status", "error_code", "info", "vendor_id", "vendor_error_code")]
    assert kept == [0, "Faulted", "OtherError", "door open", "com.acme", "E42"]
    assert (first["at"], first["at_raw"]) == (datetime(2026, 11, 24, 10, tzinfo=UTC), said["timestamp"])
    assert (second["connector"], second["status"], second["at_raw"]) == (2, "Charging", None)
    assert (await now(host, 0), await now(host, 2)) == ("Faulted", "Charging")


async def test_every_status_and_every_error_code_is_known(host: Node, cp: Wire) -> None:
    for place, said in enumerate(get_args(ChargePointStatus)):
        assert await cp.result("StatusNotification", status(said, place)) == {}
    for place, code in enumerate(get_args(ChargePointErrorCode)):
        assert await cp.result("StatusNotification", status("Faulted", 100 + place, errorCode=code)) == {}
    shown = await host.ask("stations.show", station="CP-1")
    assert [c["status"] for c in shown["connectors"][:9]] == list(get_args(ChargePointStatus))
    assert [c["error_code"] for c in shown["connectors"][9:]] == list(get_args(ChargePointErrorCode))


async def test_one_connector_says_nothing_of_another(host: Node, cp: Wire) -> None:
    """Defect 2: Available on connector 2 made connector 1's running session vanish."""
    await cp.result("StatusNotification", status("Charging", 1))
    await cp.result("StatusNotification", status("Available", 2))
    await cp.result("StatusNotification", status("Available", 0))
    assert (await now(host, 1), await now(host, 2), await now(host, 0)) == ("Charging", "Available", "Available")
    assert "CP-1" in [s["identity"] for s in await host.ask("stations.list") if s["connected"]]


async def test_an_older_status_does_not_overwrite_a_newer_one(host: Node, cp: Wire) -> None:
    """Rule 11; it is in the history all the same, and changes nothing."""
    await cp.result("StatusNotification", status("Charging", timestamp="2026-11-24T10:05:00Z"))
    await cp.result("StatusNotification", status("Preparing", timestamp="2026-11-24T10:04:59Z"))
    assert await now(host) == "Charging"
    assert [row["status"] for row in await history(host)] == ["Charging", "Preparing"]
    await host.settle()
    assert [event.data["status"] for event in await host.events("status.changed")] == ["Charging"]


async def test_of_equal_times_the_last_to_arrive_counts(host: Node, cp: Wire) -> None:
    for said in ("Preparing", "Charging", "SuspendedEV"):
        await cp.result("StatusNotification", status(said, timestamp="2026-11-24T10:00:00Z"))
    assert await now(host) == "SuspendedEV"


async def test_every_order_of_arrival_ends_alike(host: Node, cp: Wire) -> None:
    said = [
        status(name, timestamp=f"2026-11-24T10:0{n}:00Z")
        for n, name in enumerate(("Preparing", "Charging", "Finishing", "Available"))
    ]
    for place, order in enumerate(itertools.permutations(said)):
        for one in order:
            await cp.result("StatusNotification", {**one, "connectorId": place + 1})
        assert await now(host, place + 1) == "Available"


@pytest.mark.parametrize("mad", ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "", "yesterday", None])
async def test_a_mad_clock_orders_nothing(host: Node, clock: FrozenClock, cp: Wire, mad: str | None) -> None:
    """Fault 11: what arrives last counts, and the mad time blocks no later status."""
    at = clock.now().isoformat()
    await cp.result("StatusNotification", status("Preparing", timestamp=at))
    await cp.result("StatusNotification", status("Charging", timestamp=mad))
    assert await now(host) == "Charging"
    await cp.result("StatusNotification", status("Available", timestamp=at))
    assert await now(host) == "Available"
    assert (await history(host))[1]["at_raw"] == mad


async def test_a_clock_some_minutes_ahead_still_orders(host: Node, clock: FrozenClock, cp: Wire) -> None:
    ahead = clock.now() + timedelta(minutes=4)
    await cp.result("StatusNotification", status("Charging", timestamp=ahead.isoformat()))
    await cp.result("StatusNotification", status("Preparing", timestamp=(ahead - timedelta(minutes=1)).isoformat()))
    assert await now(host) == "Charging"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"errorCode": "Error"}, ("Available", "OtherError")),
        ({"status": "Occupied"}, ("Preparing", "NoError")),
        ({"status": "Finishing", "errorCode": "OverCurrentFailure"}, ("Finishing", "OverCurrentFailure")),
        ({"status": "SUSPENDED_EVSE"}, ("SuspendedEVSE", "NoError")),
        ({"connectorId": "1"}, ("Available", "NoError")),
        ({"connectorStatus": "Available", "status": None}, ("Available", "NoError")),
    ],
)
async def test_what_stations_call_it_is_understood_and_kept(
    host: Node, cp: Wire, said: dict[str, Any], meant: tuple[str, str]
) -> None:
    """Q29: the word that was used is in the repairs beside the row."""
    await cp.result("StatusNotification", {**status(), **said})
    (kept,) = await history(host)
    assert (kept["status"], kept["error_code"]) == meant
    if meant[1] == "OtherError":
        assert "'Error' read as 'OtherError'" in kept["repairs"]


async def test_the_info_is_clipped_in_the_column_and_whole_in_the_log(host: Node, cp: Wire) -> None:
    await cp.result("StatusNotification", status(info="i" * 300))
    assert (await history(host))[0]["info"] == "i" * 50
    assert "i" * 300 in (await host.ask("messages.list"))[-1]["frame"]
