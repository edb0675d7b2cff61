"""Every hook of the house, implemented by a real plugin in a running node; and what the three families promise."""

from __future__ import annotations

import asyncio
import doctest
import inspect
import re
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from yarl import URL

import arthexis
from arthexis import Notification, Notifier, PluginError, Route, StationConfiguration, Unavailable, hookspecs
from arthexis.plugins.states import State
from arthexis.testing import Node, node, wire

OCPP = "arthexis-ocpp16:*"
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-11-24T10:00:00Z"}
HOOKS = sorted(name for name in vars(hookspecs) if re.match(r"(register|decide|on)_|lifespan$", name))
HEAD = "from arthexis import *\nfrom arthexis import hookimpl\nimport asyncio, msgspec\nheard = []\n"


def source(text: str) -> str:
    return HEAD + textwrap.dedent(text)


def heard(module: str = "acme") -> list[Any]:
    return list(sys.modules[module].heard)


def listener(hook: str, said: str, *arguments: str) -> str:
    return source(f"""
        @hookimpl
        async def {hook}({", ".join(arguments)}):
            heard.append({said})
    """)


async def charge(running: Node, identity: str = "CP-1") -> int:
    async with wire(running.station_url(identity)) as cp:
        await cp.boot(firmwareVersion="1.2")
        await cp.result("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"})
        number = int((await cp.result("StartTransaction", START))["transactionId"])
        sample = {"timestamp": "2026-11-24T10:01:00Z", "sampledValue": [{"value": "150"}]}
        await cp.result("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]})
        stop = {"transactionId": number, "meterStop": 350, "timestamp": "2026-11-24T11:00:00Z", "reason": "Local"}
        await cp.result("StopTransaction", stop)
    await running.settle()
    return number


# ---------------------------------------------------------------------- register_*


async def test_hook_register_config(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        class Settings(msgspec.Struct):
            interval_s: int = 300

        @hookimpl
        def register_config():
            yield Config(Settings)
    """)
    )
    async with node(tmp_path, plugins=[acme], config={"plugins": {"acme": {"interval_s": 7}}}) as running:
        assert running.plugin("acme").settings.interval_s == 7


async def test_hook_register_protocols(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        class Ping(msgspec.Struct): n: int
        class Pong(msgspec.Struct): n: int

        async def ping(station, call):
            return call.answer(n=call.payload.n + 1)

        @hookimpl
        def register_protocols():
            codes = {fault: "GenericError" for fault in Fault}
            yield Protocol("ocpp9.9", (Message("Ping", Ping, Pong),), codes)

        @hookimpl
        def register_actions():
            yield Action("Ping", ping, protocol="ocpp9.9", before_acceptance=True)
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        async with wire(running.station_url("CP-9"), protocols=["ocpp9.9"]) as cp:
            assert cp.protocol == "ocpp9.9"
            assert await cp.result("Ping", {"n": 1}) == {"n": 2}
            assert await cp.error("Heartbeat") == "GenericError"


async def test_hook_register_actions(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        async def heartbeat(station, call):
            heard.append(station.id)
            return call.answer(current_time="2026-01-01T00:00:00Z")

        @hookimpl
        def register_actions():
            yield Action("Heartbeat", heartbeat)
    """)
    )
    config = {"node": {"disable": ["arthexis-ocpp16:ocpp16.heartbeat"]}}
    async with node(tmp_path, plugins=[OCPP, acme], config=config) as running:
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
            assert await cp.result("Heartbeat") == {"currentTime": "2026-01-01T00:00:00Z"}
        assert heard() == ["CP-1"]


async def test_hook_register_data_transfers(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        async def price(station, data):
            return {"pricePerKwh": 0.31, "asked_by": station.id}

        @hookimpl
        def register_data_transfers():
            yield DataTransfer("com.acme", "GetPrice", price)
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running, wire(running.station_url("CP-1")) as cp:
        await cp.boot()
        answer = await cp.result("DataTransfer", {"vendorId": "com.acme", "messageId": "GetPrice"})
        assert answer == {"status": "Accepted", "data": '{"pricePerKwh":0.31,"asked_by":"CP-1"}'}


async def test_hook_register_services(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        class Weather: pass

        @hookimpl
        def register_services():
            yield Service(Weather, "sunny")
    """)
    )
    async with node(tmp_path, plugins=[acme]) as running:
        assert running.host.service(sys.modules["acme"].Weather) == "sunny"
        assert running.host.service(Path) is None


PAGER = """
    async def page(notification, ctx):
        heard.append((ctx.plugin.name, notification.text))

    async def broken(notification):
        raise SystemExit(notification.text)

    async def hangs(notification):
        await asyncio.sleep(60)

    async def offline(notification):
        raise Unavailable("the pager is off")

    @hookimpl
    def register_notifiers():
        yield Notifier("pager", page, "The pager of whoever is on duty")
        yield Notifier("pager.broken", broken)
        yield Notifier("pager.hangs", hangs, within_s=0.1)
        yield Notifier("pager.offline", offline)
"""


def said(text: str) -> Notification:
    return Notification(text, at=datetime(2026, 11, 24, tzinfo=UTC))


async def test_hook_register_notifiers(site: Any, tmp_path: Path) -> None:
    pager, user = site.add(source(PAGER), "pager"), site.add(source(""), "user")
    async with node(tmp_path, plugins=[pager, user]) as running:
        ctx = running.host.context(running.plugin("user"))
        found = {notifier.name: (plugin, notifier) for plugin, notifier in ctx.contributions(Notifier)}
        assert sorted(found) == ["pager", "pager.broken", "pager.hangs", "pager.offline"]
        plugin, notifier = found["pager"]
        await ctx.call(plugin, notifier.handler, said("hello"))
        assert heard("pager") == [("pager", "hello")]


async def test_what_a_contribution_does_wrong_is_counted_as_its_own_plugin_s(site: Any, tmp_path: Path) -> None:
    pager, user = site.add(source(PAGER), "pager"), site.add(source(""), "user")
    async with node(tmp_path, plugins=[pager, user]) as running:
        ctx = running.host.context(running.plugin("user"))
        found = {notifier.name: (plugin, notifier) for plugin, notifier in ctx.contributions(Notifier)}

        async def told(name: str) -> None:
            plugin, notifier = found[name]
            await ctx.call(plugin, notifier.handler, said("hello"), within_s=notifier.within_s)

        with pytest.raises(PluginError, match="plugin pager: SystemExit: hello"):
            await told("pager.broken")
        with pytest.raises(PluginError, match="no answer within"):
            await told("pager.hangs")
        with pytest.raises(Unavailable, match="the pager is off"):
            await told("pager.offline")
        assert [name for name, _ in running.faults()] == ["pager", "pager"]
        assert (running.plugin("pager").state, running.plugin("user").state) == (State.DEGRADED, State.ACTIVE)


async def test_what_a_plugin_contributes_cannot_be_called_while_it_is_not_at_work(site: Any, tmp_path: Path) -> None:
    away = source("""
        from contextlib import asynccontextmanager

        @hookimpl
        @asynccontextmanager
        async def lifespan(ctx):
            raise Unavailable("no pager is plugged in", cure="Plug it in")
            yield
    """)
    pager, user = site.add(source(PAGER) + away.removeprefix(HEAD), "pager"), site.add(source(""), "user")
    async with node(tmp_path, plugins=[pager, user]) as running:
        ctx = running.host.context(running.plugin("user"))
        plugin, notifier = ctx.contributions(Notifier)[0]
        with pytest.raises(Unavailable, match=r"plugin pager is unavailable: no pager is plugged in\. Plug it in"):
            await ctx.call(plugin, notifier.handler, said("hello"))
    assert heard("pager") == []


@pytest.mark.parametrize(
    "wrong",
    [{"priority": "urgent"}, {"lifetime_s": 0}, {"lifetime_s": float("nan")}, {"at": datetime(2026, 1, 1)}],
)
def test_a_notification_that_nobody_could_show_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Notification("hello", **{"at": datetime(2026, 1, 1, tzinfo=UTC), **wrong})


async def test_hook_register_tables(site: Any, tmp_path: Path) -> None:
    revision = """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = "0001_first", None
        def upgrade(): op.create_table("acme_price", sa.Column("id", sa.Integer, primary_key=True))
        def downgrade(): op.drop_table("acme_price")
    """
    files = {
        "acme/__init__.py": source("""
            import sqlalchemy
            @hookimpl
            def register_tables():
                yield Tables(sqlalchemy.MetaData(), "acme:migrations")
        """),
        "acme/migrations/0001_first.py": textwrap.dedent(revision),
    }
    acme = site.add("", files=files)
    async with node(tmp_path, plugins=[acme]) as running:
        chains = {chain["name"]: chain for chain in (await running.ask("db.status"))["chains"]}
        assert chains["acme"] == {"name": "acme", "current": "0001_first", "head": "0001_first", "due": False}


def test_hook_register_commands(site: Any, arthexis: Any) -> None:
    acme = site.add(
        source("""
        import click

        @click.command()
        def hello():
            "Say hello."
            click.echo("hello from acme")

        @hookimpl
        def register_commands():
            yield Command("hello", "acme:hello", "Say hello")
    """)
    )
    arthexis.write(f"[node]\nrole = 'bare'\nenable = ['{acme}']\n")
    assert arthexis("hello").out == "hello from acme\n"
    assert "hello" in arthexis("--help").out


async def test_hook_register_routes(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        class Which(msgspec.Struct, forbid_unknown_fields=True):
            station: str
            hours: int = 1

        async def prices(request, ctx):
            return {"asked": request.params.station, "kWh": [0.31] * request.params.hours, "by": ctx.plugin.name}

        async def broken(request):
            raise SystemExit(1)

        @hookimpl
        def register_routes():
            yield Route("GET", "/acme/prices/{station}", prices, access="viewer", params=Which)
            yield Route("GET", "/acme/broken", broken)
    """)
    )
    prices = "/api/v1/acme/prices/CP-1"
    async with node(tmp_path, plugins=[acme]) as running, ClientSession(running.url) as session:
        assert await (await session.get(f"{prices}?hours=2")).json() == {
            "asked": "CP-1",
            "kWh": [0.31] * 2,
            "by": "acme",
        }
        assert (await session.get(f"{prices}?hours=two")).status == 400
        broken = await session.get("/api/v1/acme/broken")
        assert (broken.status, (await broken.json())["code"]) == (500, "plugin")
        assert [name for name, _ in running.faults()] == ["acme"]
    async with node(tmp_path, plugins=[acme], open_mode=False) as running, ClientSession(running.url) as session:
        assert (await session.get(prices)).status == 401


PUBLIC = """
    from aiohttp import web

    async def fetch(request):
        return web.Response(text=f"{request.params} {request.access!r} {request.caller!r}")

    async def broken(request):
        raise SystemExit(1)

    @hookimpl
    def register_routes():
        yield Route("GET", "/acme/{key}/{rest:.*}", fetch, public=True)
        yield Route("POST", "/acme/{key}/{rest:.*}", broken, public=True)
        yield Route("GET", "/acme/prices", fetch, access="viewer")
"""


@pytest.mark.parametrize("open_mode", [True, False])
async def test_a_public_route_is_served_at_its_own_path_without_a_token(
    site: Any, tmp_path: Path, open_mode: bool
) -> None:
    acme = site.add(source(PUBLIC))
    async with (
        node(tmp_path, plugins=[acme], open_mode=open_mode) as running,
        ClientSession(running.url) as session,
    ):
        for path, rest in (("/acme/k/a/b%20c", "a/b c"), ("/acme/k/", ""), ("/acme/k//x", "/x")):
            async with session.get(URL(running.url + path, encoded=True)) as response:
                assert await response.text() == f"{{'key': 'k', 'rest': {rest!r}}} '' ''"
        assert (await session.head("/acme/k/a")).status == 200
        assert (await session.put("/acme/k/a")).status == 405
        assert (await session.post("/acme/k/a")).status == 500
        assert [name for name, _ in running.faults()] == ["acme"]
        assert (await session.get("/api/v1/acme/k/a")).status == 404
        foreign = await session.get("/acme/k/a", headers={"Host": "evil.example"})
        assert foreign.status == (403 if open_mode else 200)
        token = (await running.ask("tokens.add", name="t", access="viewer"))["token"]
        async with session.get("/api/openapi.json", headers={"Authorization": f"Bearer {token}"}) as response:
            assert [path for path in (await response.json())["paths"] if "acme" in path] == ["/api/v1/acme/prices"]


@pytest.mark.parametrize("path", ["/api/v1/x", "/ocpp/x", "/health", "/plain.css", "/{any}", "/", "/a/{b:.*}/c"])
async def test_a_public_route_takes_none_of_the_hosts_own_paths(path: str) -> None:
    async def fetch(_request: Any) -> None:
        return None

    with pytest.raises(TypeError, match="path must be"):
        Route("GET", path, fetch, public=True)


@pytest.mark.plugins(OCPP)
async def test_a_service_tells_what_a_station_said_of_its_configuration(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        row = host.host.links["cp-1"].station.row
        told = host.host.service(StationConfiguration)
        assert told is not None
        answer = {"configurationKey": [{"key": "FileKey", "readonly": True, "value": "FTP"}], "unknownKey": ["Other"]}
        asked = asyncio.create_task(host.ask("operations.send", station="CP-1", action="GetConfiguration", wait=5.0))
        frame = await cp.hear()
        await cp.say([3, frame[1], answer])
        await asked
        assert await host.host.database.read(lambda db: told.value(db, row, "filekey")) == "FTP"
        assert await host.host.database.read(lambda db: told.value(db, row, "Other")) is None


async def test_hook_register_subscribers(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        async def bill(event):
            heard.append((event.station, event.data["transaction_id"]))

        @hookimpl
        def register_subscribers():
            yield Subscriber("acme.billing", frozenset({"transaction.stopped"}), bill)
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        number = await charge(running)
        async with asyncio.timeout(5):
            while not heard():
                await asyncio.sleep(0.02)
        assert heard() == [("CP-1", number)]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("lambda settings: frozenset(settings.kinds)", ["CP-1"]),
        ("lambda settings: settings.nothing", []),
        ("lambda settings: 'transaction.stopped'", []),
    ],
)
async def test_what_a_subscriber_reads_may_depend_on_the_settings(
    site: Any, tmp_path: Path, kinds: str, expected: list[str]
) -> None:
    acme = site.add(
        source(f"""
        class Settings(msgspec.Struct):
            kinds: list[str] = []

        async def bill(event):
            heard.append(event.station)

        @hookimpl
        def register_config():
            yield Config(Settings)

        @hookimpl
        def register_subscribers():
            yield Subscriber("acme.billing", {kinds}, bill)
    """)
    )
    config = {"plugins": {"acme": {"kinds": ["transaction.stopped"]}}}
    async with node(tmp_path, plugins=[OCPP, acme], config=config) as running:
        await charge(running)
        async with asyncio.timeout(5):
            while expected and not heard():
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert heard() == expected
        assert [name for name, _ in running.faults()] == ([] if expected else ["acme"])


# ---------------------------------------------------------------------- decide_*


async def test_hook_decide_connection(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        @hookimpl
        async def decide_connection(request):
            return Admission(False, "maintenance") if request.station_id == "CP-9" else None
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        async with wire(running.station_url("CP-1")) as cp:
            assert (await cp.boot())["status"] == "Accepted"
        with pytest.raises(WSServerHandshakeError) as refused:
            async with wire(running.station_url("CP-9")):
                pass
        assert refused.value.status == 401


async def test_hook_decide_boot(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        @hookimpl
        async def decide_boot(station, boot):
            return Registration("Rejected", interval_s=3600) if boot.charge_point_vendor == "Evil" else None
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        async with wire(running.station_url("CP-1")) as cp:
            answer = await cp.boot(vendor="Evil")
            assert (answer["status"], answer["interval"]) == ("Rejected", 3600)
            assert (await cp.boot(vendor="Good"))["status"] == "Accepted", "a plugin's answer is for one boot"
            assert (await cp.boot(vendor="Evil"))["status"] == "Rejected"
        async with wire(running.station_url("CP-1")) as cp:
            assert (await cp.boot(vendor="Good"))["status"] == "Accepted"
        async with wire(running.station_url("CP-2")) as cp:
            assert (await cp.boot(vendor="Good"))["status"] == "Accepted"


async def test_a_plugin_that_failed_to_start_is_neither_asked_nor_told(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        from contextlib import asynccontextmanager

        @hookimpl
        @asynccontextmanager
        async def lifespan(ctx):
            raise RuntimeError("no")
            yield

        @hookimpl
        async def decide_authorization(station, id_tag, starting):
            heard.append(id_tag)
            return Authorization("Blocked")

        @hookimpl
        async def on_connected(station):
            heard.append("connected")

        async def get(request):
            heard.append("route")
            return {}

        @hookimpl
        def register_routes():
            yield Route("GET", "/acme", get)
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running, ClientSession(running.url) as session:
        assert running.plugin("acme").state is State.FAILED
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
            assert (await cp.result("StartTransaction", START))["idTagInfo"]["status"] == "Accepted"
        assert (await session.get("/api/v1/acme")).status == 503
        await running.settle()
        running.excuse("acme")
    assert heard() == []


async def test_a_handler_that_is_deaf_to_its_end_holds_no_station(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        end = False

        async def heartbeat(station, call):
            while not end:
                try:
                    await asyncio.sleep(0.2)
                except asyncio.CancelledError:
                    pass
            return call.answer(current_time="2026-01-01T00:00:00Z")

        @hookimpl
        def register_actions():
            yield Action("Heartbeat", heartbeat)
    """)
    )
    config = {"node": {"disable": ["arthexis-ocpp16:ocpp16.heartbeat"]}, "stations": {"handler_timeout_s": 0.3}}
    async with node(tmp_path, plugins=[OCPP, acme], config=config) as running:
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
            await cp.say([2, "h1", "Heartbeat", {}])
            await cp.say([2, "s1", "StartTransaction", START])
            assert await cp.close_code(10) == 1011
        assert not (await running.ask("stations.show", station="CP-1"))["connected"]
        async with wire(running.station_url("CP-1")) as cp:
            assert (await cp.result("StartTransaction", START, "s1"))["transactionId"] == 1
        sys.modules["acme"].end = True
        await asyncio.sleep(0.5)
        running.faults()


def test_a_decision_that_no_station_would_understand_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="none of Accepted, Pending, Rejected"):
        arthexis.Registration("accepted")
    with pytest.raises(ValueError, match="none of Accepted, Blocked"):
        arthexis.Authorization("Maybe")


async def test_hook_decide_authorization(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        @hookimpl
        async def decide_authorization(station, id_tag, starting):
            heard.append((station.id, id_tag, starting))
            return Authorization("Blocked", parent_id_tag="P") if id_tag == "BAD" else None
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running, wire(running.station_url("CP-1")) as cp:
        await cp.boot()
        blocked = {"idTagInfo": {"status": "Blocked", "parentIdTag": "P"}}
        assert await cp.result("Authorize", {"idTag": "BAD"}) == blocked
        assert (await cp.result("Authorize", {"idTag": "GOOD"}))["idTagInfo"]["status"] == "Accepted"
        started = await cp.result("StartTransaction", {**START, "idTag": "BAD"})
        assert started["idTagInfo"]["status"] == "Blocked"
        assert heard() == [("CP-1", "BAD", False), ("CP-1", "GOOD", False), ("CP-1", "BAD", True)]


# ---------------------------------------------------------------------- on_* and lifespan


async def listened(site: Any, tmp_path: Path, hook: str, said: str, *arguments: str) -> list[Any]:
    """What a listener heard of one whole session."""
    acme = site.add(listener(hook, said, *arguments))
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        await charge(running)
        async with asyncio.timeout(5):
            while not heard():
                await running.settle()
        return heard()


async def test_hook_on_connected(site: Any, tmp_path: Path) -> None:
    assert await listened(site, tmp_path, "on_connected", "station.id", "station") == ["CP-1"]


async def test_hook_on_disconnected(site: Any, tmp_path: Path) -> None:
    found = await listened(site, tmp_path, "on_disconnected", "(station.id, reason)", "station", "reason")
    assert found == [("CP-1", "closed (1000)")]


async def test_hook_on_booted(site: Any, tmp_path: Path) -> None:
    found = await listened(site, tmp_path, "on_booted", "(event.station, event.data['model'])", "event")
    assert found == [("CP-1", "One")]


async def test_hook_on_status_changed(site: Any, tmp_path: Path) -> None:
    said = "(event.data['connector'], event.data['status'])"
    assert await listened(site, tmp_path, "on_status_changed", said, "event") == [(1, "Preparing")]


async def test_hook_on_transaction_started(site: Any, tmp_path: Path) -> None:
    found = await listened(site, tmp_path, "on_transaction_started", "event.data['id_tag']", "event")
    assert found == ["TAG"]


async def test_hook_on_transaction_metered(site: Any, tmp_path: Path) -> None:
    found = await listened(site, tmp_path, "on_transaction_metered", "event.data['transaction_id']", "event")
    assert found == [1]


async def test_hook_on_transaction_stopped(site: Any, tmp_path: Path) -> None:
    said = "(event.data['energy_wh'], event.data['reason'])"
    assert await listened(site, tmp_path, "on_transaction_stopped", said, "event") == [(250, "Local")]


async def test_hook_on_message(site: Any, tmp_path: Path) -> None:
    found = await listened(site, tmp_path, "on_message", "event.data['action']", "event")
    assert found == ["BootNotification", "StatusNotification", "StartTransaction", "MeterValues", "StopTransaction"]


async def test_hook_register_operations(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        class Sing(msgspec.Struct):
            song: str

        class Sung(msgspec.Struct):
            status: str

        def finished(db, ended):
            heard.append((ended.state, dict(ended.payload)))

        @hookimpl
        def register_protocols():
            yield Protocol("sing1", (Message("Sing", Sing, Sung),), {})

        @hookimpl
        def register_operations():
            yield Operation("Sing", "Sing a song", protocol="sing1", help={"song": "Which"}, finished=finished)
    """)
    )
    async with node(tmp_path, plugins=[acme]) as running:
        async with wire(running.station_url("CP-1"), protocols=["sing1"]) as cp:
            await cp.say([2, "1", "Nothing", {}])
            await cp.hear()
            asked = {"station": "CP-1", "action": "Sing", "payload": {"song": "la"}, "wait": 5}
            sending = asyncio.create_task(running.ask("operations.send", **asked))
            frame = await cp.hear()
            await cp.say([3, frame[1], {"status": "Applauded"}])
            assert (await sending)["state"] == "Applauded"
        assert frame[2:] == ["Sing", {"song": "la"}]
    assert heard() == [("Applauded", {"song": "la"})]


async def test_hook_register_jobs(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        async def tidy(ctx, args):
            heard.append((ctx.plugin.name, args))

        @hookimpl
        def register_jobs():
            yield Job("acme.tidy", tidy)
    """)
    )
    async with node(tmp_path, plugins=[acme]) as running:
        await running.host.journal.write(lambda db: running.host.jobs.put(db, "acme.tidy", {"room": 1}))
        async with asyncio.timeout(5):
            while not heard():
                await asyncio.sleep(0.01)
    assert heard() == [("acme", {"room": 1})]


async def test_hook_register_diagnoses(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        def look(db, station):
            yield Finding(f"{station.id} has an old modem", wrong=True, command="arthexis send CP-1 Reset --type Hard")

        def broken(db, station):
            raise ValueError("no")

        @hookimpl
        def register_diagnoses():
            yield Diagnosis("acme.modem", look)
            yield Diagnosis("acme.broken", broken)
    """)
    )
    async with node(tmp_path, plugins=[acme]) as running:
        async with wire(running.station_url("CP-1")):
            told = await running.ask("stations.why", station="CP-1")
        assert told["findings"][0]["said"] == "CP-1 has an old modem"
        assert [name for name, _ in running.faults()] == ["acme"]


async def test_hook_decide_connector(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        @hookimpl
        async def decide_connector(station, id_tag, free):
            heard.append((station.id, id_tag, list(free)))
            return free[-1]
    """)
    )
    async with node(tmp_path, plugins=[OCPP, acme]) as running, wire(running.station_url("CP-1")) as cp:
        frame = await _reserved(running, cp)
    assert frame[3]["connectorId"] == 2
    assert heard() == [("CP-1", "TAG", [1, 2])]


async def _reserved(running: Node, cp: Any) -> list[Any]:
    """Reserve any of two free connectors; the frame that the station got."""
    await cp.boot()
    for number in (1, 2):
        await cp.result("StatusNotification", {"connectorId": number, "errorCode": "NoError", "status": "Available"})
    until = arthexis.format_utc(running.host.clock.now() + timedelta(hours=1))
    asked = {"station": "CP-1", "action": "ReserveNow", "payload": {"idTag": "TAG", "expiryDate": until}, "wait": 5}
    sending = asyncio.create_task(running.ask("operations.send", **asked))
    frame = list(await cp.hear())
    await cp.say([3, frame[1], {"status": "Accepted"}])
    await sending
    await running.settle()
    return frame


async def test_hook_on_operation_finished(site: Any, tmp_path: Path) -> None:
    said = "(event.station, event.data['action'], event.data['state'])"
    acme = site.add(listener("on_operation_finished", said, "event"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running, wire(running.station_url("CP-1")) as cp:
        await _reserved(running, cp)
    assert heard() == [("CP-1", "ReserveNow", "Accepted")]


async def test_hook_on_reservation_changed(site: Any, tmp_path: Path) -> None:
    acme = site.add(listener("on_reservation_changed", "event.data['state']", "event"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running, wire(running.station_url("CP-1")) as cp:
        await _reserved(running, cp)
    assert heard() == ["requested", "accepted"]


async def test_hook_on_tag_scanned(site: Any, tmp_path: Path) -> None:
    acme = site.add(listener("on_tag_scanned", "(event.data['reader'], event.data['id_tag'])", "event"))
    scanned = {"reader": "desk", "uid": "DEADBEEF", "id_tag": "DEADBEEF", "status": "Unknown"}
    async with node(tmp_path, plugins=[acme]) as running:
        await running.host.journal.write(lambda db: db.event("tag.scanned", None, scanned))
        await running.settle()
    assert heard() == [("desk", "DEADBEEF")]


async def test_hook_on_plugin_changed(site: Any, tmp_path: Path) -> None:
    acme = site.add(listener("on_plugin_changed", "(plugin.name, str(plugin.state))", "plugin"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        await running.settle()
        assert ("ocpp16.heartbeat", "active") in heard()
        running.host.contain.count(running.plugin("ocpp16.heartbeat"), RuntimeError("odd"))
        running.host.contain.count(running.plugin("ocpp16.heartbeat"), RuntimeError("odd"))
        await running.settle()
        assert heard().count(("ocpp16.heartbeat", "degraded")) == 1
        running.faults()


async def test_hook_lifespan(site: Any, tmp_path: Path) -> None:
    acme = site.add(
        source("""
        from contextlib import asynccontextmanager

        @hookimpl
        @asynccontextmanager
        async def lifespan(ctx):
            heard.append(("opened", ctx.plugin.name, ctx.config))
            yield
            heard.append("closed")
    """)
    )
    async with node(tmp_path, plugins=[acme]) as running:
        assert running.plugin("acme").state is State.ACTIVE
        assert heard() == [("opened", "acme", None)]
    assert heard()[-1] == "closed"


# ---------------------------------------------------------------------- what the families promise

DECIDES = """
    @hookimpl({order})
    async def decide_boot(station, boot):
        heard.append(station.id)
        return {answer}
"""


def decider(site: Any, name: str, order: str, answer: str) -> str:
    return str(site.add(source(DECIDES.format(order=order, answer=answer)), name))


async def boots(running: Node) -> dict[str, Any]:
    async with wire(running.station_url("CP-1")) as cp:
        return await cp.boot()


async def test_the_first_answer_wins_in_the_order_that_plugins_ask_for(site: Any, tmp_path: Path) -> None:
    plugins = [
        decider(site, "late", "trylast=True", "Registration('Rejected', 1)"),
        decider(site, "normal", "", "Registration('Pending', 2)"),
        decider(site, "early", "tryfirst=True", "None"),
    ]
    async with node(tmp_path, plugins=[OCPP, *plugins]) as running:
        assert (await boots(running))["interval"] == 2
    assert [heard("early"), heard("normal"), heard("late")] == [["CP-1"], ["CP-1"], []]


@pytest.mark.parametrize(
    "body", ["raise RuntimeError('odd')", "raise SystemExit", "return 'Accepted'", "await asyncio.sleep(60)"]
)
async def test_authorization_fails_closed_and_is_stored_still(site: Any, tmp_path: Path, body: str) -> None:
    acme = site.add(source(f"@hookimpl\nasync def decide_authorization(station, id_tag, starting):\n    {body}\n"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        async with wire(running.station_url("CP-1")) as cp:
            await cp.boot()
            began = time.monotonic()
            started = await cp.result("StartTransaction", START)
            assert started["idTagInfo"] == {"status": "Invalid"}
            assert time.monotonic() - began < 20, "the hanging one takes 60 s"
        assert (await running.ask("transactions.show", transaction=started["transactionId"]))["id_tag"] == "TAG"
        assert [name for name, _ in running.faults()] == ["acme"]
        assert running.plugin("acme").state is State.DEGRADED


async def test_a_connection_that_nobody_can_decide_on_is_refused(site: Any, tmp_path: Path) -> None:
    acme = site.add(source("@hookimpl\nasync def decide_connection(request):\n    raise LookupError('list')\n"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        with pytest.raises(WSServerHandshakeError) as refused:
            async with wire(running.station_url("CP-1")):
                pass
        assert refused.value.status == 401
        assert running.faults()


async def test_deciders_that_hang_take_three_seconds_together_at_most(site: Any, tmp_path: Path) -> None:
    stubborn = """
        @hookimpl
        async def decide_boot(station, boot):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(4)
    """
    plugins = [site.add(source(stubborn), f"slow{n}") for n in range(5)]
    async with node(tmp_path, plugins=[OCPP, *plugins]) as running:
        assert (await boots(running))["status"] == "Accepted"
        faults = running.faults()
        assert {name for name, _ in faults} == {f"slow{n}" for n in range(5)}
        given_s = [float(re.findall(r"no answer within (\S+) s", str(error))[0]) for _, error in faults]
        assert sum(given_s) < 3.01, "alone each has 0.8 s"


async def test_a_listener_that_hangs_delays_no_other(site: Any, tmp_path: Path) -> None:
    slow = site.add(
        source("@hookimpl(tryfirst=True)\nasync def on_booted(event):\n    await asyncio.sleep(60)\n"), "slow"
    )
    good = site.add(listener("on_booted", "event.station", "event"), "good")
    async with node(tmp_path, plugins=[OCPP, slow, good]) as running:
        await boots(running)
        async with asyncio.timeout(20):
            while not heard("good"):
                await asyncio.sleep(0.01)
        assert running.faults() == [], "the slow one has not been given up"


async def test_a_fault_is_counted_and_the_others_are_told(site: Any, tmp_path: Path) -> None:
    bad = site.add(source("@hookimpl(tryfirst=True)\nasync def on_booted(event):\n    raise OSError('gone')\n"), "bad")
    good = site.add(listener("on_booted", "event.station", "event"), "good")
    async with node(tmp_path, plugins=[OCPP, bad, good]) as running:
        await boots(running)
        await boots(running)
        await running.settle()
        assert heard("good") == ["CP-1", "CP-1"]
        told = running.plugin("bad").to_dict()
        assert (told["state"], told["errors"], told["reason"]) == ("degraded", 2, "OSError: gone")
        assert len(running.faults()) == 2


async def test_the_test_kit_fails_a_test_for_a_contained_fault(site: Any, tmp_path: Path) -> None:
    bad = site.add(source("@hookimpl\nasync def on_booted(event):\n    raise OSError('gone')\n"), "bad")

    async def session() -> None:
        async with node(tmp_path, plugins=[OCPP, bad]) as running:
            await boots(running)
            await running.settle()

    with pytest.raises(AssertionError, match="bad: OSError: gone"):
        await session()


async def test_a_hook_may_leave_arguments_out(site: Any, tmp_path: Path) -> None:
    acme = site.add(listener("on_disconnected", "reason", "reason"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        await charge(running)
        await running.settle()
        assert heard() == ["closed (1000)"]


# ---------------------------------------------------------------------- the four pieces of a hook


@pytest.mark.parametrize("hook", HOOKS)
def test_each_example_runs_and_is_a_valid_implementation(hook: str, site: Any) -> None:
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(hookspecs, hook)))
    text = "\n".join(example.source for example in examples)
    names = "Ping PingAnswer metadata prices send_invoice open_reader".split()
    given = "\n".join(f"class {name}(msgspec.Struct): pass" for name in names if name not in {"metadata", "prices"})
    more = "async def prices(request): pass\nmetadata = object()\nfrom contextlib import asynccontextmanager\n"
    pattern = site.add(f"{HEAD}{more}{given}\n{text}", f"example_{hook}", files={"arthexis_acme/migrations/README": ""})
    from arthexis.plugins.compose import Selection, compose

    composition = compose(Selection((pattern,)), lambda _plugin, struct: struct and struct())
    [plugin] = composition.named(pattern)
    assert plugin.state is State.CONFIGURED, plugin.reason
    offered = composition.contributions.get(hook, []) or composition.hooks.get(hook, ())
    assert [owner for owner, _ in offered] == [plugin]


def test_what_plugins_import_is_all_there() -> None:
    for name in arthexis.__all__:
        assert getattr(arthexis, name) is not None


@pytest.mark.parametrize("answer", ["Registration('Rejected', 'soon')", "Registration('Rejected', 1.5)"])
async def test_a_registration_that_cannot_be_told_to_a_station_is_none(site: Any, tmp_path: Path, answer: str) -> None:
    acme = site.add(source(f"@hookimpl\nasync def decide_boot(station, boot):\n    return {answer}\n"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        async with wire(running.station_url("CP-1")) as cp:
            assert (await cp.boot())["status"] == "Accepted"
        assert [name for name, _ in running.faults()] == ["acme"]


async def test_an_admission_that_is_neither_yes_nor_no_is_no(site: Any, tmp_path: Path) -> None:
    acme = site.add(source("@hookimpl\nasync def decide_connection(request):\n    return Admission('no')\n"))
    async with node(tmp_path, plugins=[OCPP, acme]) as running:
        with pytest.raises(WSServerHandshakeError):
            async with wire(running.station_url("CP-1")):
                pass
        assert [name for name, _ in running.faults()] == ["acme"]
