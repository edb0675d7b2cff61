"""The nineteen operations of OCPP 1.6, called by a real node: each answer, and that it is really done."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from arthexis_simulator import Station

from arthexis.testing import Node

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


@pytest.fixture
async def cp(stations) -> Station:
    """CP-1 with two connectors, booted, its time a thousand times as fast."""
    station = await stations("CP-1", connectors=2, speed=1000)
    await station.boot()
    return station


async def transaction(cp: Station, connector: int = 1) -> int:
    """Wait until a session is charging there; its transaction's id."""
    await cp.expect_sent("MeterValues")
    found = cp.connectors[connector].transaction
    assert found is not None
    assert found.id is not None
    return found.id


def statuses(cp: Station, connector: int) -> list[str]:
    return [told["status"] for told in cp.sent("StatusNotification") if told["connectorId"] == connector]


async def test_remote_start_really_starts_and_remote_stop_really_stops(cp: Station, ask, host: Node) -> None:
    assert await ask("RemoteStartTransaction", idTag="TAG", connectorId=1) == {"status": "Accepted"}
    number = await transaction(cp)
    assert await ask("RemoteStopTransaction", transactionId=number) == {"status": "Accepted"}
    stopped = await cp.expect_sent("StopTransaction")
    assert (stopped["transactionId"], stopped["reason"]) == (number, "Remote")
    await cp.expect_sent("StatusNotification", 4)
    assert statuses(cp, 1) == ["Preparing", "Charging", "Finishing", "Available"]
    shown = await host.ask("transactions.show", transaction=number)
    assert (shown["id_tag"], shown["stop_reason"], shown["open"]) == ("TAG", "Remote", False)


async def test_a_remote_start_is_rejected_where_no_connector_is_free(cp: Station, ask) -> None:
    assert await ask("RemoteStartTransaction", idTag="TAG", connectorId=9) == {"status": "Rejected"}
    await ask("RemoteStartTransaction", idTag="TAG", connectorId=1)
    assert await ask("RemoteStartTransaction", idTag="TAG2", connectorId=1) == {"status": "Rejected"}
    assert await ask("RemoteStartTransaction", idTag="TAG2") == {"status": "Accepted"}
    assert await ask("RemoteStopTransaction", transactionId=99) == {"status": "Rejected"}


async def test_a_remote_start_authorizes_first_if_the_key_says_so(cp: Station, ask) -> None:
    await ask("ChangeConfiguration", key="AuthorizeRemoteTxRequests", value="true")
    await ask("RemoteStartTransaction", idTag="TAG")
    await transaction(cp)
    assert cp.sent("Authorize") == [{"idTag": "TAG"}]


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_reset_stops_disconnects_and_boots_again(cp: Station, ask, kind: str, reason: str) -> None:
    await ask("RemoteStartTransaction", idTag="TAG")
    number = await transaction(cp)
    before = cp.socket
    assert await ask("Reset", type=kind) == {"status": "Accepted"}
    await cp.expect_sent("BootNotification", 2)
    stopped = await cp.expect_sent("StopTransaction")
    assert (stopped["transactionId"], stopped["reason"]) == (number, reason)
    assert cp.socket is not before
    order = [f.message[2] for f in cp.log if f.direction == ">" and f.message[0] == 2]
    stop, boot = order.index("StopTransaction"), order.index("BootNotification", 1)
    assert (stop < boot) == (kind == "Soft")


async def test_configuration_is_read_and_changed_on_a_table_of_keys(cp: Station, ask) -> None:
    everything = await ask("GetConfiguration")
    assert {"key": "NumberOfConnectors", "readonly": True, "value": "2"} in everything["configurationKey"]
    assert "AuthorizationKey" not in {item["key"] for item in everything["configurationKey"]}
    some = await ask("GetConfiguration", key=["heartbeatinterval", "NoSuchKey"])
    assert [item["key"] for item in some["configurationKey"]] == ["HeartbeatInterval"]
    assert some["unknownKey"] == ["NoSuchKey"]
    changes = {
        ("MeterValueSampleInterval", "10"): "Accepted",
        ("MeterValueSampleInterval", "-1"): "Rejected",
        ("AuthorizeRemoteTxRequests", "perhaps"): "Rejected",
        ("NumberOfConnectors", "5"): "Rejected",
        ("MeterValuesSampledData", "SoC,Smell"): "Rejected",
        ("MeterValuesSampledData", "SoC,Energy.Active.Import.Register"): "Accepted",
        ("NoSuchKey", "1"): "NotSupported",
    }
    for (key, value), status in changes.items():
        assert await ask("ChangeConfiguration", key=key, value=value) == {"status": status}, key
    assert cp.configuration["MeterValueSampleInterval"] == "10"
    assert cp.configuration["MeterValuesSampledData"] == "SoC,Energy.Active.Import.Register"


@pytest.mark.node(open_mode=False)
async def test_a_new_authorization_key_is_used_from_the_next_connection_on(station: Station, ask, host: Node) -> None:
    await station.boot()
    assert await ask("ChangeConfiguration", key="AuthorizationKey", value="0a" * 20) == {"status": "Accepted"}
    assert station.key == b"\x0a" * 20
    async with asyncio.timeout(5):
        while not await host.ask("stations.pending"):
            await asyncio.sleep(0.01)
    station.key = bytes.fromhex((await host.ask("stations.key", station="CP-1"))["key_hex"])
    async with asyncio.timeout(5):
        while not station.connected:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("message", ["BootNotification", "Heartbeat", "MeterValues", "StatusNotification"])
async def test_trigger_message_really_sends_the_message(cp: Station, ask, message: str) -> None:
    before = len(cp.sent(message))
    assert await ask("TriggerMessage", requestedMessage=message) == {"status": "Accepted"}
    await cp.expect_sent(message, before + 1)


@pytest.mark.parametrize("of", ["Diagnostics", "Firmware"])
async def test_triggered_progress_is_idle_when_nothing_goes_on(cp: Station, ask, of: str) -> None:
    await ask("TriggerMessage", requestedMessage=f"{of}StatusNotification")
    assert await cp.expect_sent(f"{of}StatusNotification") == {"status": "Idle"}


async def test_trigger_message_for_one_connector_and_for_none_there_is(cp: Station, ask) -> None:
    answer = await ask("TriggerMessage", requestedMessage="StatusNotification", connectorId=2)
    assert answer == {"status": "Accepted"}
    assert (await cp.expect_sent("StatusNotification"))["connectorId"] == 2
    answer = await ask("TriggerMessage", requestedMessage="StatusNotification", connectorId=7)
    assert answer == {"status": "Rejected"}


async def test_unlocking_ends_the_transaction(cp: Station, ask) -> None:
    assert await ask("UnlockConnector", connectorId=9) == {"status": "NotSupported"}
    assert await ask("UnlockConnector", connectorId=1) == {"status": "Unlocked"}
    await ask("RemoteStartTransaction", idTag="TAG", connectorId=1)
    await transaction(cp)
    assert await ask("UnlockConnector", connectorId=1) == {"status": "Unlocked"}
    assert (await cp.expect_sent("StopTransaction"))["reason"] == "UnlockCommand"


async def test_a_connector_out_of_service_refuses_and_one_in_use_is_scheduled(cp: Station, ask) -> None:
    assert await ask("ChangeAvailability", connectorId=1, type="Inoperative") == {"status": "Accepted"}
    await cp.expect_sent("StatusNotification")
    assert statuses(cp, 1) == ["Unavailable"]
    assert await ask("RemoteStartTransaction", idTag="TAG", connectorId=1) == {"status": "Rejected"}
    await ask("RemoteStartTransaction", idTag="TAG", connectorId=2)
    number = await transaction(cp, 2)
    assert await ask("ChangeAvailability", connectorId=2, type="Inoperative") == {"status": "Scheduled"}
    await ask("RemoteStopTransaction", transactionId=number)
    await cp.expect_sent("StatusNotification", 5)
    assert statuses(cp, 2)[-1] == "Unavailable"
    assert await ask("ChangeAvailability", connectorId=9, type="Operative") == {"status": "Rejected"}


def soon(seconds: float = 3600) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_a_reserved_connector_is_kept_for_its_tag(cp: Station, ask, host: Node) -> None:
    wish: dict[str, Any] = {"connectorId": 1, "idTag": "TAG", "reservationId": 5, "expiryDate": soon(86_400)}
    assert await ask("ReserveNow", **wish) == {"status": "Accepted"}
    assert (await cp.expect_sent("StatusNotification"))["status"] == "Reserved"
    assert await ask("ReserveNow", **{**wish, "reservationId": 6}) == {"status": "Occupied"}
    assert await ask("RemoteStartTransaction", idTag="OTHER", connectorId=1) == {"status": "Rejected"}
    assert await ask("RemoteStartTransaction", idTag="tag", connectorId=1) == {"status": "Accepted"}
    assert (await cp.expect_sent("StartTransaction"))["reservationId"] == 5
    shown = await host.ask("transactions.show", transaction=await transaction(cp))
    assert shown["reservation_id"] == 5


async def test_a_reservation_is_cancelled_or_expires(cp: Station, ask) -> None:
    wish: dict[str, Any] = {"connectorId": 2, "idTag": "TAG", "reservationId": 5, "expiryDate": soon(86_400)}
    await ask("ReserveNow", **wish)
    assert await ask("CancelReservation", reservationId=4) == {"status": "Rejected"}
    assert await ask("CancelReservation", reservationId=5) == {"status": "Accepted"}
    await cp.expect_sent("StatusNotification", 2)
    expires = (cp.clock.now() + timedelta(seconds=300)).isoformat()
    await ask("ReserveNow", **{**wish, "expiryDate": expires})
    await cp.expect_sent("StatusNotification", 4)
    assert statuses(cp, 2) == ["Reserved", "Available", "Reserved", "Available"]
    assert await ask("ReserveNow", **{**wish, "connectorId": 0}) == {"status": "Rejected"}


async def test_the_local_list_is_replaced_and_changed(ask, cp: Station) -> None:
    def entry(tag: str, status: str | None = "Accepted") -> dict[str, Any]:
        return {"idTag": tag, **({"idTagInfo": {"status": status}} if status else {})}

    async def send(version: int, kind: str, *entries: dict[str, Any]) -> str:
        sent = await ask("SendLocalList", listVersion=version, updateType=kind, localAuthorizationList=list(entries))
        return sent["status"]

    assert await ask("GetLocalListVersion") == {"listVersion": 0}
    assert await send(3, "Full", entry("A"), entry("B")) == "Accepted"
    assert await send(3, "Differential", entry("C")) == "VersionMismatch"
    assert await send(4, "Differential", entry("C", "Blocked"), entry("a", None)) == "Accepted"
    assert await send(5, "Full", entry("A", None)) == "Failed"
    assert await ask("GetLocalListVersion") == {"listVersion": 4}
    assert cp.local_list.tags == {"b": {"status": "Accepted"}, "c": {"status": "Blocked"}}


def limit(purpose: str, watts: float, number: int = 1, **more: Any) -> dict[str, Any]:
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}]}
    return {
        "chargingProfileId": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
        **more,
    }


async def test_a_charging_profile_really_limits_the_car(cp: Station, ask) -> None:
    none_yet = await ask("SetChargingProfile", connectorId=1, csChargingProfiles=limit("TxProfile", 4_200.5))
    assert none_yet == {"status": "Rejected"}
    await ask("RemoteStartTransaction", idTag="TAG", connectorId=1)
    number = await transaction(cp)
    wrong = limit("TxProfile", 4_200.5, transactionId=number + 1)
    assert await ask("SetChargingProfile", connectorId=1, csChargingProfiles=wrong) == {"status": "Rejected"}
    right = limit("TxProfile", 4_200.5, transactionId=number)
    cp.connectors[1].meter.soc = 0.2
    assert await ask("SetChargingProfile", connectorId=1, csChargingProfiles=right) == {"status": "Accepted"}
    told = await cp.expect_sent("MeterValues", len(cp.sent("MeterValues")) + 3)
    values = {v["measurand"]: float(v["value"]) for v in told["meterValue"][0]["sampledValue"]}
    assert 0 < values["Power.Active.Import"] <= 4_200.5
    composite = await ask("GetCompositeSchedule", connectorId=1, duration=60, chargingRateUnit="W")
    assert composite["status"] == "Accepted"
    assert composite["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 4_200.5}]
    assert await ask("ClearChargingProfile", id=1) == {"status": "Accepted"}
    assert await ask("ClearChargingProfile", id=1) == {"status": "Unknown"}
    assert await ask("GetCompositeSchedule", connectorId=9, duration=60) == {"status": "Rejected"}


async def test_a_remote_start_may_bring_its_profile(cp: Station, ask) -> None:
    profile = limit("TxProfile", 3_500.0)
    assert await ask("RemoteStartTransaction", idTag="TAG", chargingProfile=profile) == {"status": "Accepted"}
    await transaction(cp)
    assert cp.limit_w(1, cp.clock.now(), cp.connectors[1].transaction.began) == 3_500.0


@pytest.fixture
async def depot():
    """A server that keeps what is put there and gives firmware away: (its URL, what it got)."""
    got: dict[str, str] = {}

    async def put(request: web.Request) -> web.Response:
        got[request.path] = await request.text()
        return web.Response()

    async def get(_request: web.Request) -> web.Response:
        return web.Response(body=b"firmware")

    app = web.Application()
    app.router.add_put("/logs/{name}", put)
    app.router.add_get("/{name}.bin", get)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    await runner.cleanup()


def progress(cp: Station, of: str) -> list[str]:
    return [told["status"] for told in cp.sent(f"{of}StatusNotification")]


async def test_diagnostics_are_really_uploaded(cp: Station, ask, depot) -> None:
    url, got = depot
    answer = await ask("GetDiagnostics", location=f"{url}/logs/")
    await cp.expect_sent("DiagnosticsStatusNotification", 2)
    assert progress(cp, "Diagnostics") == ["Uploading", "Uploaded"]
    assert "BootNotification" in got[f"/logs/{answer['fileName']}"]
    await ask("GetDiagnostics", location=f"{url}/nowhere")
    await cp.expect_sent("DiagnosticsStatusNotification", 4)
    assert progress(cp, "Diagnostics")[2:] == ["Uploading", "UploadFailed"]


async def test_firmware_is_fetched_installed_and_booted(cp: Station, ask, depot) -> None:
    url, _ = depot
    when = (cp.clock.now() + timedelta(seconds=100)).isoformat()
    assert await ask("UpdateFirmware", location=f"{url}/acme-2.0.bin", retrieveDate=when) == {}
    await cp.expect_sent("FirmwareStatusNotification", 4)
    assert progress(cp, "Firmware") == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert cp.sent("BootNotification")[-1]["firmwareVersion"] == "acme-2.0"
    await ask("UpdateFirmware", location=f"{url}/nowhere", retrieveDate=soon(-10))
    await cp.expect_sent("FirmwareStatusNotification", 6)
    assert progress(cp, "Firmware")[4:] == ["Downloading", "DownloadFailed"]


async def test_clear_cache_and_data_transfer(cp: Station, ask) -> None:
    await cp.authorize("TAG")
    assert cp.cache
    assert await ask("ClearCache") == {"status": "Accepted"}
    assert not cp.cache
    assert await ask("DataTransfer", vendorId="com.acme", data=json.dumps({})) == {"status": "UnknownVendorId"}
