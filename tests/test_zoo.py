"""The zoo: a node with every broken plugin at once serves a charge and says of each where it stopped and what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from arthexis.testing import wire

ZOO = Path(__file__).parent / "zoo"
HOOKS = "Compare its hooks with docs/hooks.md"
OR_OFF = ", or run: arthexis plugins disable "
OFF = "Mend it, or run: arthexis plugins disable "

# name -> state, stage, reason, cure
TABLE: dict[str, tuple[str, str | None, str, str]] = {
    "zoo.asserts_on_import": ("failed", "imported", "its import failed: AssertionError: arithmetic", OFF),
    "zoo.async_register": (
        "failed",
        "registered",
        "register_actions is asynchronous, but is called while composing",
        f"Write: def register_actions():{OR_OFF}zoo-async-register:zoo.async_register",
    ),
    "zoo.bad_route": ("failed", "registered", "register_routes: TypeError: path must be written like", OFF),
    "zoo.bare_lifespan": (
        "failed",
        "registered",
        "lifespan is no async context manager",
        f"Put @asynccontextmanager under @hookimpl{OR_OFF}zoo-bare-lifespan:zoo.bare_lifespan",
    ),
    "zoo.broken_settings": ("failed", "configured", "its settings cannot be read: NotImplementedError", OFF),
    "zoo.cancels_in_action": ("degraded", None, "CancelledError", "Run: arthexis plugins info zoo.cancels_in_action"),
    "zoo.exits_on_import": ("failed", "imported", "its import failed: SystemExit: good night", OFF),
    "zoo.face": ("active", None, "", ""),
    "zoo.failing_migration": (
        "failed",
        "migrated",
        "its migration failed and was undone: RuntimeError: the disk of the author was different",
        "Mend the revision",
    ),
    "zoo.hangs_in_action": (
        "degraded",
        None,
        "TimeoutError: FirmwareStatusNotification took too long",
        "Run: arthexis plugins info zoo.hangs_in_action",
    ),
    "zoo.hangs_in_decision": (
        "degraded",
        None,
        "TimeoutError: no answer within 0.8 s",
        "Run: arthexis plugins info zoo.hangs_in_decision",
    ),
    "zoo.hangs_in_lifespan": ("failed", "active", "its start failed: no start within 1 s", OFF),
    "zoo.hangs_in_listener": (
        "degraded",
        None,
        "TimeoutError: no answer within 5 s",
        "Run: arthexis plugins info zoo.hangs_in_listener",
    ),
    "zoo.hangs_in_register": ("failed", "registered", "register_services: TimeoutError: no end within 1 s", OFF),
    "zoo.hangs_on_import": ("failed", "imported", "its import failed: TimeoutError: no end within 1 s", OFF),
    "zoo.healthy": ("active", None, "", ""),
    "zoo.interrupts_on_import": ("failed", "imported", "its import failed: KeyboardInterrupt", OFF),
    "zoo.junk_action": (
        "failed",
        "registered",
        "register_actions: TypeError: handler of Heartbeat must be a coroutine function (async def)",
        OFF,
    ),
    "zoo.junk_decision": (
        "degraded",
        None,
        "TypeError: answered str instead of Registration",
        "Run: arthexis plugins info zoo.junk_decision",
    ),
    "zoo.misspelt_hook": (
        "failed",
        "registered",
        "there is no hook on_transaction_strated",
        f"Did you mean on_transaction_started? Mend it{OR_OFF}zoo-misspelt-hook:zoo.misspelt_hook",
    ),
    "zoo.missing_attribute": (
        "failed",
        "imported",
        "its import failed: AttributeError: module 'zoo_missing_attribute' has no attribute 'plugin'",
        OFF,
    ),
    "zoo.missing_module": (
        "failed",
        "imported",
        "its import failed: ModuleNotFoundError: No module named 'zoo_never_shipped'",
        OFF,
    ),
    "zoo.no_migrations": (
        "failed",
        "registered",
        "register_tables: there is no folder migrations in zoo_nobody",
        f"Name the folder of its revisions{OR_OFF}zoo-no-migrations:zoo.no_migrations",
    ),
    "zoo.no_module": ("failed", "imported", "its import failed: TypeError: zoo_no_module:plugin is no module", OFF),
    "zoo.odd_exception": ("failed", "imported", "its import failed: Odd: (its text cannot be read)", OFF),
    "zoo.other_face": ("failed", "registered", "Plugin already registered under a different name", HOOKS),
    "zoo.raises_in_lifespan": ("failed", "active", "its start failed: ConnectionError: no such reader", OFF),
    "zoo.raises_in_listener": (
        "degraded",
        None,
        "CancelledError",
        "Run: arthexis plugins info zoo.raises_in_listener",
    ),
    "zoo.raises_in_register": ("failed", "registered", "register_data_transfers: LookupError: the other half", OFF),
    "zoo.raises_on_import": ("failed", "imported", "its import failed: RuntimeError: no coffee no work", OFF),
    "zoo.returns_none": (
        "failed",
        "registered",
        "register_routes: TypeError: returned None; yield what it contributes, or leave the hook out",
        OFF,
    ),
    "zoo.sync_decision": (
        "failed",
        "registered",
        "decide_boot is no coroutine function",
        f"Write: async def decide_boot(...){OR_OFF}zoo-sync-decision:zoo.sync_decision",
    ),
    "zoo.sync_listener": (
        "failed",
        "registered",
        "on_booted is no coroutine function",
        f"Write: async def on_booted(...){OR_OFF}zoo-sync-listener:zoo.sync_listener",
    ),
    "zoo.syntax_error": ("failed", "imported", "its import failed: SyntaxError: invalid syntax", OFF),
    "zoo.thief": (
        "failed",
        "registered",
        "actions: zoo-thief:zoo.thief and arthexis-ocpp16:ocpp16.heartbeat both offer the same",
        "Choose one: arthexis plugins enable zoo-thief:zoo.thief --instead-of arthexis-ocpp16:ocpp16.heartbeat",
    ),
    "zoo.twice_the_same": (
        "failed",
        "registered",
        "register_data_transfers: ValueError: yielded the same DataTransfer twice",
        OFF,
    ),
    "zoo.unavailable": ("unavailable", None, "no reader on /dev/zoo0", "Plug one in"),
    "zoo.wraps_hook": (
        "failed",
        "registered",
        "register_actions is a wrapper, and the host does not call wrappers",
        f"Implement the hook itself{OR_OFF}zoo-wraps-hook:zoo.wraps_hook",
    ),
    "zoo.wrong_settings": (
        "failed",
        "configured",
        "interval_s: expected `int`, got 'soon'",
        "plugins.zoo.wrong_settings.interval_s; the default is 300",
    ),
    "zoo.wrong_signature": (
        "failed",
        "registered",
        "decide_boot has no argument weather; it has station, boot",
        f"Write: async def decide_boot(station, boot){OR_OFF}zoo-wrong-signature:zoo.wrong_signature",
    ),
    "zoo.blocks_the_loop": (
        "degraded",
        None,
        "TimeoutError: blocked the event loop for at least ",
        "Run: arthexis plugins info zoo.blocks_the_loop",
    ),
    "zoo.endless_register": (
        "failed",
        "registered",
        "register_routes: ValueError: yields without end (more than 1000)",
        OFF,
    ),
    "zoo.exits_at_exit": ("active", None, "", ""),
    "zoo.exits_in_task": (
        "degraded",
        None,
        "SystemExit: I leave and take you with me",
        "Run: arthexis plugins info zoo.exits_in_task",
    ),
    "zoo.hostile_names": ("failed", "registered", "register_data_transfers: TypeError: vendor_id must be text", OFF),
    "zoo.huge_reason": ("unavailable", None, "why why why", "because because"),
    "zoo.interrupts_in_listener": (
        "degraded",
        None,
        "KeyboardInterrupt: enough",
        "Run: arthexis plugins info zoo.interrupts_in_listener",
    ),
    "zoo.junk_data_transfer": (
        "degraded",
        None,
        "TypeError: Encoding objects of type object is unsupported",
        "Run: arthexis plugins info zoo.junk_data_transfer",
    ),
    "zoo.leaves_threads": ("active", None, "", ""),
    "zoo.raises_each_time": (
        "suspended",
        None,
        "failed again and again: ConnectionError: the line is dead",
        "Mend it and run: arthexis plugins resume zoo.raises_each_time",
    ),
    "zoo.raises_group": (
        "degraded",
        None,
        "BaseExceptionGroup: all at once (3 sub-exceptions)",
        "Run: arthexis plugins info zoo.raises_group",
    ),
    "zoo.recovers": ("degraded", None, "ConnectionError: not yet", "Run: arthexis plugins info zoo.recovers"),
    "zoo.swallows_cancellation": (
        "degraded",
        None,
        "TimeoutError: no answer within 5 s",
        "Run: arthexis plugins info zoo.swallows_cancellation",
    ),
    "zoo.takes_exception_handler": (
        "degraded",
        None,
        "PluginError: it changed the event loop's exception handler",
        "Run: arthexis plugins info zoo.takes_exception_handler",
    ),
    "zoo.unspeakable_error": (
        "degraded",
        None,
        "Unspeakable: (its text cannot be read)",
        "Run: arthexis plugins info zoo.unspeakable_error",
    ),
    "zoo.lies_in_error": (
        "degraded",
        None,
        "RuntimeError: an error of class Liar",
        "Run: arthexis plugins info zoo.lies_in_error",
    ),
    "zoo.lies_in_module": ("failed", "registered", "ask me not what I am", HOOKS),
    "zoo.lies_in_register": ("failed", "registered", "register_jobs: TypeError: yielded Liar instead of Job", OFF),
    "zoo.yields_junk": ("failed", "registered", "register_actions: TypeError: yielded str instead of Action", OFF),
    "ocpp16.heartbeat": (
        "failed",
        "registered",
        "actions: arthexis-ocpp16:ocpp16.heartbeat and zoo-thief:zoo.thief both offer the same",
        "Choose one: arthexis plugins enable arthexis-ocpp16:ocpp16.heartbeat --instead-of zoo-thief:zoo.thief",
    ),
}


@pytest.fixture
def zoo(arthexis: Any, site: Any) -> Any:
    """A configured node with every animal switched on; it does not run yet."""
    enabled = [
        pattern for folder in sorted(p.name for p in ZOO.iterdir() if p.is_dir()) for pattern in site.animal(folder)
    ]
    off = [f"arthexis-ocpp16:ocpp16.{name}_status_notification" for name in ("firmware", "diagnostics")]
    arthexis.write(
        f"[node]\nenable = {enabled!r}\ndisable = {off!r}\nplugin_timeout_s = 1.0\nsuspend_s = 0.5\n"
        "[stations]\nhandler_timeout_s = 1.0\n"
        "[plugins.zoo.wrong_settings]\ninterval_s = 'soon'\n[plugins.zoo.broken_settings]\nthread = 1\n"
    )
    return arthexis


async def test_the_host_starts_with_the_whole_zoo_and_charges_a_car(zoo: Any) -> None:
    process = zoo.start("--open")
    async with wire(zoo.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Accepted"
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
        number = (await cp.result("StartTransaction", start))["transactionId"]
        assert await cp.error("Heartbeat") == "NotSupported"
        assert await cp.error("FirmwareStatusNotification", {"status": "Installed"}) == "InternalError"
        assert await cp.error("DiagnosticsStatusNotification", {"status": "Idle"}) == "InternalError"
        ping = {"vendorId": "com.zoo", "messageId": "Ping", "data": "x"}
        assert (await cp.result("DataTransfer", ping))["data"] == '{"pong":"x"}'
        assert (await cp.result("DataTransfer", {**ping, "messageId": "Junk"}))["status"] == "Rejected"
        await asyncio.sleep(1)
        stop = {"transactionId": number, "meterStop": 9, "timestamp": "2026-11-24T11:00:00Z"}
        assert await cp.result("StopTransaction", stop) == {}
    assert zoo("transactions", "show", str(number), "--json").json["energy_wh"] == 9
    listed = await _listed_once_degraded(zoo, "zoo.swallows_cancellation")
    for name, (state, stage, reason, cure) in TABLE.items():
        told = listed[name]
        assert (name, told["state"], told["stage"]) == (name, state, stage), told
        assert reason in told["reason"], told
        assert told["cure"].startswith(cure), told
    twins = zoo("plugins", "info", "zoo.twin", "--json")
    assert (twins.status, twins.error["problem"]) == (4, "zoo.twin comes from several distributions")
    one = zoo("plugins", "info", "zoo-twin-a:zoo.twin", "--json").json
    assert one["reason"] == "zoo-twin-a:zoo.twin and zoo-twin-b:zoo.twin have the same name"
    assert one["cure"] == "Choose one: arthexis plugins enable zoo-twin-a:zoo.twin --instead-of zoo-twin-b:zoo.twin"
    async with ClientSession() as session:
        page = await (await session.get(zoo.url)).text()
    assert "AssertionError: arithmetic" in page
    told = zoo("plugins", "info", "zoo.raises_each_time").out
    assert "\nailments\n" in told
    assert "\non_message  " in told
    assert "zoo_raises_each_time.py:8" in told
    assert zoo("plugins", "resume", "zoo.raises_each_time").out.startswith("zoo.raises_each_time is active")
    again = zoo("plugins", "resume", "zoo.yields_junk", "--json")
    assert (again.status, again.error["cure"]) == (5, TABLE["zoo.yields_junk"][3] + "zoo-yields-junk:zoo.yields_junk")
    assert zoo("stop").status == 0
    assert process.wait(10) == 0


async def _listed_once_degraded(zoo: Any, name: str) -> dict[str, dict[str, Any]]:
    for _ in range(20):
        listed = {plugin["name"]: plugin for plugin in zoo("plugins", "list", "--json").json}
        if listed[name]["state"] == "degraded":
            break
        await asyncio.sleep(0.5)
    return listed


def test_every_animal_is_in_the_table(site: Any) -> None:
    names = {p.partition(":")[2] for folder in ZOO.iterdir() if folder.is_dir() for p in site.animal(folder.name)}
    assert names - {"zoo.twin"} == {name for name in TABLE if name.startswith("zoo.")}
