"""Who would be asked, and a trace of who was: told from the composition, without secrets, at no cost when off."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import pytest

from arthexis.errors import NotFound
from arthexis.explain import explain
from arthexis.plugins.compose import Selection, compose
from arthexis.testing import wire

ACME = """
import asyncio
from contextlib import asynccontextmanager
import click
from arthexis import Authorization, Command, DataTransfer, Job, Notifier, Route, Subscriber, hookimpl

async def price(station, data):
    return {"pricePerKwh": 0.31}

async def any_message(station, data, ctx):
    raise LookupError("password hunter2")

@hookimpl
def register_data_transfers():
    yield DataTransfer("com.acme", "GetPrice", price)
    yield DataTransfer("com.acme", None, any_message)

@hookimpl
async def decide_authorization(id_tag):
    return Authorization("Accepted") if id_tag.startswith("VIP") else None

async def prices(request):
    return []

@hookimpl
def register_routes():
    yield Route("GET", "/acme/prices", prices, "viewer", "List the prices")

async def work(ctx, args):
    pass

@hookimpl
def register_jobs():
    yield Job("acme.work", work, every_s=60.0, timeout_s=7.0)

async def page(notification):
    pass

@hookimpl
def register_notifiers():
    yield Notifier("acme.pager", page, "Pages the night shift")

async def read(event):
    pass

@hookimpl
def register_subscribers():
    yield Subscriber("acme.reader", frozenset({"transaction.started"}), read)

@click.command()
def prices_command():
    pass

@hookimpl
def register_commands():
    yield Command("acme-prices", "acme:prices_command", "Show the prices")

@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    yield

@hookimpl
async def on_connected(station):
    pass
"""
PLUGINS = ("arthexis-ocpp16:*", "acme:acme")


@pytest.fixture
def acme(site: Any) -> Any:
    return site.add(textwrap.dedent(ACME))


def named(found: dict[str, Any], kind: str) -> dict[str, Any]:
    [meaning] = [meaning for meaning in found["meanings"] if meaning["kind"] == kind]
    return dict(meaning)


def shown(meaning: dict[str, Any]) -> list[tuple[str, str, float | None]]:
    return [(asked["plugin"], asked["code"], asked["within_s"]) for asked in meaning["asked"]]


@pytest.mark.plugins(*PLUGINS)
async def test_an_action_is_told_with_its_handler_its_decisions_and_its_default(acme: Any, host: Any) -> None:
    action = named(explain(host.host, "Authorize"), "action")
    assert shown(action) == [("arthexis-ocpp16:ocpp16.authorize", "arthexis_ocpp16.authorize.authorize", 10.0)]
    assert action["otherwise"] == "CALLERROR NotSupported"
    [decision] = action["asks"]
    assert (decision["name"], decision["together_s"]) == ("decide_authorization", 3.0)
    assert shown(decision) == [("acme:acme", "acme.decide_authorization", 0.8)]
    assert decision["on_fault"].startswith("Invalid")


@pytest.mark.plugins(*PLUGINS)
async def test_every_kind_of_name_is_told(acme: Any, host: Any) -> None:
    for name, kind, code, within_s in (
        ("com.acme/GetPrice", "data transfer", "acme.price for GetPrice", 5.0),
        ("COM.ACME/other", "data transfer", "acme.any_message for any", 5.0),
        ("GET /acme/prices", "route", "acme.prices", 60.0),
        ("/api/v1/acme/prices", "route", "acme.prices", 60.0),
        ("acme.work", "job", "acme.work", 7.0),
        ("transaction.started", "event", "acme.read", 30.0),
        ("acme.pager", "notifier", "acme.page", 10.0),
        ("acme-prices", "command", "acme:prices_command", None),
        ("decide_authorization", "hook", "acme.decide_authorization", 0.8),
        ("on_connected", "hook", "acme.on_connected", 5.0),
        ("register_notifiers", "hook", "acme.register_notifiers", 10.0),
    ):
        assert shown(named(explain(host.host, name), kind)) == [("acme:acme", code, within_s)], name
    reserve = named(explain(host.host, "ReserveNow"), "operation")
    assert [inner["name"] for inner in reserve["asks"]] == ["decide_connector"]
    assert {m["kind"] for m in explain(host.host, "DataTransfer")["meanings"]} == {"action", "operation"}


@pytest.mark.plugins(*PLUGINS)
async def test_a_hook_that_is_suspended_is_shown_as_not_asked(acme: Any, host: Any) -> None:
    [plugin] = host.host.composition.named("acme")
    for _ in range(5):
        host.host.contain.count(plugin, LookupError("again"), "on_connected")
    [asked] = named(explain(host.host, "on_connected"), "hook")["asked"]
    assert asked["skipped"].startswith("it is suspended until ")
    assert len(host.faults()) == 5


@pytest.mark.plugins(*PLUGINS)
async def test_a_vendor_whom_nobody_knows_is_explained_by_what_its_station_is_told(
    acme: Any, host: Any, station: Any
) -> None:
    [meaning] = explain(host.host, "com.nobody/x")["meanings"]
    await station.boot()
    answer = await station.send("DataTransfer", {"vendorId": "com.nobody", "messageId": "x"})
    assert (meaning["kind"], meaning["asked"]) == ("data transfer", ())
    assert meaning["otherwise"] == answer["status"] == "UnknownVendorId"


@pytest.mark.plugins(*PLUGINS)
async def test_what_a_plugin_offers_is_told_apart(acme: Any, host: Any) -> None:
    offers = (await host.ask("plugins.info", name="acme"))["offers"]
    assert offers["data_transfers"] == ["com.acme/GetPrice", "com.acme/*"]
    assert offers["routes"] == ["GET /api/v1/acme/prices"]


@pytest.mark.plugins(*PLUGINS)
async def test_a_name_that_means_nothing_gets_the_closest(acme: Any, host: Any) -> None:
    for wrong, meant in (
        ("autorize", "Authorize"),
        ("decide_authorisation", "decide_authorization"),
        ("Rest", "Reset"),
    ):
        with pytest.raises(NotFound) as refused:
            explain(host.host, wrong)
        assert meant in refused.value.cure


async def test_what_actions_say_they_ask_is_what_they_ask() -> None:
    composition = compose(Selection(("arthexis-ocpp16:*",)), lambda plugin, struct: struct and struct())
    for plugin, asking in [*composition.actions, *composition.operations]:
        source = inspect.getsource(plugin.module)
        assert tuple(dict.fromkeys(re.findall(r"host\.(decide_\w+)\(", source))) == asking.asks, asking.name


def test_the_command_asks_the_running_node_and_says_when_none_runs(acme: Any, arthexis: Any) -> None:
    arthexis.write(f"[node]\nenable = ['{acme}']\n")
    cold = arthexis("plugins", "explain", "Authorize", "--json")
    assert "no node is running" in cold.err
    assert not (arthexis.home / "arthexis.db").exists(), "nothing was opened for it"
    assert named(cold.json, "action")["asked"][0]["state"] == "configured"
    arthexis.start("--open")
    warm = arthexis("plugins", "explain", "Authorize")
    assert warm.err == ""
    assert "1. arthexis-ocpp16:ocpp16.authorize (active, at most 10 s): arthexis_ocpp16.authorize.authorize" in warm.out
    assert "1. acme:acme (active, at most 0.8 s): acme.decide_authorization" in warm.out
    assert "otherwise: CALLERROR NotSupported" in warm.out
    assert "no plugin is asked" in arthexis("plugins", "explain", "/api/v1/plugins").out
    wrong = arthexis("plugins", "explain", "Autorize", "--json")
    assert (wrong.status, wrong.error["cure"]) == (5, "Did you mean Authorize or ocpp16.authorize?")


# ---------------------------------------------------------------------- tracing


async def test_a_trace_names_plugin_hook_time_and_end_and_no_secret(acme: Any, arthexis: Any) -> None:
    arthexis.write(f"[node]\nenable = ['{acme}']\n")
    arthexis.start("--open", env={"ARTHEXIS_TRACE": "1"})
    async with wire(arthexis.station_url("CP-1")) as cp:
        await cp.boot()
        await cp.result("Authorize", {"idTag": "VIP-SECRET-42"})
        await cp.result("DataTransfer", {"vendorId": "com.acme", "messageId": "Tell", "data": "hunter3"})
    arthexis("stop")
    lines = [line for line in arthexis.log.splitlines() if "arthexis.trace" in line]
    text = "\n".join(lines)
    for wanted in (
        r"plugin acme: register_jobs\(\): [\d.]+ ms: 1 of Job",
        r"plugin acme: lifespan: open: [\d.]+ ms",
        r"plugin acme: on_connected\(station=Station CP-1\): [\d.]+ ms: None",
        r"decide_authorization\(station=Station CP-1, id_tag=…42, starting=False\): [\d.]+ ms: Authorization Accepted",
        r"ocpp16.authorize: Action Authorize: handler\(Station CP-1, <Call>\): [\d.]+ ms: AuthorizeAnswer",
        r"acme: DataTransfer com.acme: handler\(Station CP-1, <str>, <\w+>\): [\d.]+ ms: raised LookupError",
        r"plugin acme: lifespan: close: [\d.]+ ms",
    ):
        assert re.search(wanted, text), f"{wanted}\n{text}"
    assert not re.search("VIP-SECRET|hunter", text)


def test_without_the_variable_the_node_calls_the_plugins_own_functions(
    acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for value, same in (("", True), ("0", True), ("1", False)):
        monkeypatch.setenv("ARTHEXIS_TRACE", value)
        composition = compose(Selection((acme,)), lambda plugin, struct: None)
        assert (composition.data_transfers[0][1].handler is sys.modules["acme"].price) is same
        assert (composition.hooks["on_connected"][0][1] is sys.modules["acme"].on_connected) is same
