"""Nothing is lost and nobody waits for another: notifiers of strangers that hang, break, are away; kills; bounds."""

from __future__ import annotations

import json
import sqlite3
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from arthexis_notify.command import notify
from arthexis_notify.desk import desk_of
from click.testing import CliRunner, Result

import arthexis
from arthexis import NotFound, Notification, Notifications, Unavailable
from arthexis.plugins.states import State
from arthexis.testing import FrozenClock, Node, node, wire
from tests.node_process import node_process
from tests.notifications import PLUGINS, api, caught_up, configured, happen, reports, rule, states, told, until

PAGER = """
    import asyncio
    from arthexis import DomainError, Notifier, Unavailable, hookimpl

    heard, mood = [], {}

    async def page(notification, ctx):
        does = mood.get("pager")
        if does == "hang":
            await asyncio.sleep(3600)
        if does is not None:
            raise does
        if notification.text == mood.get("poison"):
            raise RuntimeError("bad")
        heard.append(notification)

    @hookimpl
    def register_notifiers():
        yield Notifier("pager", page, "The pager of whoever is on duty", within_s=0.3)
"""


def pager(site: Any, more: str = "") -> str:
    """A distribution of somebody else with a notifier."""
    return str(site.add(textwrap.dedent(PAGER) + textwrap.dedent(more), "pager"))


def paged() -> list[str]:
    return [said.text for said in sys.modules["pager"].heard]


async def _are(host: Node, notifier: str, *expected: str) -> bool:
    return await states(host, notifier) == list(expected)


async def test_a_notifier_of_a_stranger_is_given_what_the_rules_say(site: Any, tmp_path: Path) -> None:
    rules = [rule(to=["pager"], title="t {n}", priority="session", lifetime_s=60, until=["test.over"])]
    async with node(tmp_path, plugins=[*PLUGINS, pager(site)], config=configured(*rules)) as host:
        await happen(host, "test.happened", {"n": 1, "connector": 2})
        await until(lambda: sys.modules["pager"].heard)
        [said] = sys.modules["pager"].heard
        assert (said.text, said.title, said.priority, said.lifetime_s) == ("1", "t 1", "session", 60)
        assert (said.key, said.station, said.connector, said.kind) == ("test/CP-1/2", "CP-1", 2, "test.happened")
        found = (await api(host, "GET", "/notifiers"))[1]["items"]
        assert [(row["name"], row["plugin"], row["state"]) for row in found] == [
            ("log", "arthexis-notify:notify", "ready"),
            ("pager", "pager:pager", "ready"),
        ]


async def test_a_notifier_that_hangs_delays_no_other_and_is_its_own_plugin_s_fault(site: Any, tmp_path: Path) -> None:
    async with node(tmp_path, plugins=[*PLUGINS, pager(site)], config=configured(rule(most=1000))) as host:
        sys.modules["pager"].mood["pager"] = "hang"
        began = time.monotonic()
        await happen(host, "test.happened", *({"n": n} for n in range(50)))
        await until(lambda: _are(host, "log", *["sent"] * 50))
        assert time.monotonic() - began < 10
        await until(lambda: host.plugin("pager").state is State.SUSPENDED, 20)
        assert host.plugin("notify").state is State.ACTIVE
        sys.modules["pager"].mood.clear()
        await host.ask("plugins.resume", name="pager")
        await until(lambda: len(paged()) == 50)
        assert {name for name, _ in host.faults()} == {"pager"}


async def test_a_notifier_that_breaks_at_one_gets_the_others_and_gives_that_one_up_at_last(
    site: Any, tmp_path: Path
) -> None:
    clock = FrozenClock()
    async with node(
        tmp_path, plugins=[*PLUGINS, pager(site)], config=configured(rule(to=["pager"])), clock=clock
    ) as host:
        sys.modules["pager"].mood["poison"] = "1"
        await happen(host, "test.happened", {"n": 1}, {"n": 2})
        await until(lambda: paged() == ["2"])

        async def given_up() -> bool:
            clock.advance(700)
            return await _are(host, "pager", "given up", "sent")

        await until(given_up)
        assert len(host.faults()) == 8
        assert (await told(host))[0]["deliveries"][0]["error"] == "RuntimeError: bad"


async def test_the_most_urgent_goes_first_when_a_notifier_is_back(site: Any, tmp_path: Path) -> None:
    clock = FrozenClock()
    rules = [rule(name=name, on=[f"test.{name}"], priority=name, to=["pager"]) for name in arthexis.PRIORITIES]
    async with node(tmp_path, plugins=[*PLUGINS, pager(site)], config=configured(*rules), clock=clock) as host:
        sys.modules["pager"].mood["pager"] = Unavailable("off")
        for name in reversed(arthexis.PRIORITIES):
            await happen(host, f"test.{name}", {"n": name})
        await until(lambda: _are(host, "pager", *["waiting"] * 4))
        sys.modules["pager"].mood.clear()
        clock.advance(6)
        await until(lambda: len(paged()) == 4)
        assert paged() == list(arthexis.PRIORITIES)


async def test_an_unplugged_device_is_told_everything_when_it_is_plugged_in(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arthexis.lifespans.RETRY_S", 0.2)
    monkeypatch.setattr("arthexis_notify.sending.FIRST_PAUSE_S", 60.0)
    away = """
        from contextlib import asynccontextmanager

        mood["unplugged"] = True

        @hookimpl
        @asynccontextmanager
        async def lifespan(ctx):
            if mood.get("unplugged"):
                raise Unavailable("no pager is plugged in", cure="Plug it in")
            yield
    """
    async with node(tmp_path, plugins=[*PLUGINS, pager(site, away)], config=configured(rule())) as host:
        await happen(host, "test.happened", {"n": 1})
        await until(lambda: _are(host, "log", "sent"))
        [trouble] = await until(lambda: _trouble(host))
        assert "no pager is plugged in" in trouble["error"]
        sys.modules["pager"].mood.clear()
        await until(lambda: paged() == ["1"])


async def _trouble(host: Node) -> list[dict[str, Any]]:
    rows = (await api(host, "GET", "/notifiers"))[1]["items"]
    return [row for row in rows if row["state"] == "in trouble" and row["error"]]


async def test_what_waits_is_sent_at_once_after_a_restart(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arthexis_notify.sending.FIRST_PAUSE_S", 60.0)
    pattern, config = pager(site), configured(rule(to=["pager"]))
    async with node(tmp_path, plugins=[*PLUGINS, pattern], config=config) as host:
        sys.modules["pager"].mood["pager"] = Unavailable("off")
        await happen(host, "test.happened", {"n": 1})
        await until(lambda: _are(host, "pager", "waiting"))
    sys.modules["pager"].mood.clear()
    async with node(tmp_path, plugins=[*PLUGINS, pattern], config=config) as host:
        await until(lambda: _are(host, "pager", "sent"))
    assert paged() == ["1"]


async def test_a_test_that_goes_well_lets_everything_follow_at_once(site: Any, tmp_path: Path) -> None:
    clock, config = FrozenClock(), configured(rule(to=["pager"]))
    async with node(tmp_path, plugins=[*PLUGINS, pager(site)], config=config, clock=clock) as host:
        sys.modules["pager"].mood["pager"] = Unavailable("off")
        await happen(host, "test.happened", {"n": 1})
        await until(lambda: _trouble(host))
        status, problem = await api(host, "POST", "/notifiers/pager/test")
        assert (status, problem["detail"]) == (503, "off")
        sys.modules["pager"].mood.clear()
        assert (await api(host, "POST", "/notifiers/pager/test"))[0] == 200
        await until(lambda: _are(host, "pager", "sent"))
        assert paged() == ["If you can read this, it works.", "1"]


async def test_a_clock_that_was_set_back_keeps_nothing_waiting(site: Any, tmp_path: Path) -> None:
    clock = FrozenClock()
    async with node(
        tmp_path, plugins=[*PLUGINS, pager(site)], config=configured(rule(to=["pager"])), clock=clock
    ) as host:
        sys.modules["pager"].mood["pager"] = Unavailable("off")
        await happen(host, "test.happened", {"n": 1})
        await until(lambda: _trouble(host))
        sys.modules["pager"].mood.clear()
        clock.set(datetime(2020, 1, 1, tzinfo=UTC))
        await until(lambda: _are(host, "pager", "sent"))


@pytest.mark.plugins(*PLUGINS)
@pytest.mark.node(config=configured())
async def test_other_plugins_say_something_through_the_service(host: Node) -> None:
    service = host.host.service(Notifications)  # type: ignore[type-abstract]
    assert service is not None
    at = datetime.now(UTC)
    await service.notify(Notification("a card\nwas seen", "RFID", "session", 30, "rfid", at=at))
    await service.notify(Notification("again", at=at), to=["log"])
    with pytest.raises(NotFound, match="there is no notifier lcdd"):
        await service.notify(Notification("x", at=at), to=["lcdd"])
    await until(lambda: _are(host, "log", "sent", "sent"))
    [first, second] = await told(host)
    assert (first["text"], first["title"], first["priority"], first["rule"]) == (
        "a card was seen",
        "RFID",
        "session",
        None,
    )
    assert second["text"] == "again"


async def test_a_newer_one_with_the_same_key_takes_the_place_of_what_still_waits(site: Any, tmp_path: Path) -> None:
    clock = FrozenClock()
    config = configured(rule(to=["pager"], replace=True), rule(name="all", on=["test.kept"], to=["pager"], text="{n}"))
    async with node(tmp_path, plugins=[*PLUGINS, pager(site)], config=config, clock=clock) as host:
        sys.modules["pager"].mood["pager"] = Unavailable("off")
        await happen(host, "test.happened", {"n": 1}, {"n": 2})
        await happen(host, "test.happened", {"n": 3}, station="CP-2")
        await happen(host, "test.kept", {"n": 4}, {"n": 5})
        await until(lambda: _are(host, "pager", "replaced", *["waiting"] * 4))
        sys.modules["pager"].mood.clear()
        clock.advance(6)
        await until(lambda: paged() == ["2", "3", "4", "5"])


# ---------------------------------------------------------------------- bounds


async def test_what_waits_for_a_notifier_is_bounded(site: Any, tmp_path: Path) -> None:
    config = configured(rule(to=["pager"]), most_waiting=3)
    async with node(tmp_path, plugins=[*PLUGINS, pager(site)], config=config) as host:
        sys.modules["pager"].mood["pager"] = Unavailable("off")
        await happen(host, "test.happened", *({"n": n} for n in range(5)))
        await until(lambda: _are(host, "pager", "given up", "given up", *["waiting"] * 3))


async def test_old_and_too_many_notifications_are_forgotten(tmp_path: Path) -> None:
    clock = FrozenClock()
    async with node(
        tmp_path, plugins=PLUGINS, config=configured(rule(), keep_rows=10, keep_days=1), clock=clock
    ) as host:
        desk = desk_of(host.host)
        await happen(host, "test.happened", *({"n": n} for n in range(15)))
        await until(lambda: _are(host, "log", *["sent"] * 15))
        await desk.tidy()
        assert [row["text"] for row in await told(host)] == [str(n) for n in range(5, 15)]
        clock.advance(2 * 86400)
        await desk.tidy()
        assert await told(host) == []
        left = await host.host.database.read(
            lambda db: db.core.exec_driver_sql("SELECT count(*) FROM notify_delivery").scalar()
        )
        assert left == 0


async def test_all_of_it_works_on_postgresql(cluster: Any, site: Any, tmp_path: Path) -> None:
    clock = FrozenClock()
    rules = [
        rule(quiet_s=60, to=["pager", "pager", "log"]),
        rule(name="lasts", on=["test.began"], until=["test.ended"], wait_s=5, text="{n}\0", over="over", replace=True),
    ]
    config = {**configured(*rules, keep_rows=10), "database": {"url": cluster.database()}}
    async with node(tmp_path, plugins=[*PLUGINS, pager(site)], config=config, clock=clock) as host:
        await happen(host, "test.happened", {"n": 1}, {"n": 2})
        await happen(host, "test.began", {"n": 3})
        await until(lambda: paged() == ["1"])
        await caught_up(host)
        clock.advance(6)
        await until(lambda: paged() == ["1", "3"])
        await happen(host, "test.ended")
        await until(lambda: paged() == ["1", "3", "over"])
        await until(lambda: _are(host, "pager", *["sent"] * 3))
        clock.advance(90 * 86400)
        await desk_of(host.host).tidy()
        assert await told(host) == []


# ---------------------------------------------------------------------- a node as a process


def served(receiver_url: str) -> str:
    return f"""
        [node]
        role = "bare"
        enable = ["arthexis-ocpp16:*", "arthexis-notify:*"]
        [plugins.notify.webhook]
        url = "{receiver_url}"
        allowed_networks = ["127.0.0.0/8"]
        [[plugins.notify.rules]]
        name = "faulted"
        on = ["status.changed"]
        when = {{ status = "Faulted" }}
        to = ["webhook"]
        text = "{{station}} connector {{connector}}: {{error_code}}"
        most = 1000
    """


async def test_a_kill_between_an_event_and_its_sending_loses_nothing(tmp_path: Path, receiver: Any) -> None:
    """Faults are acknowledged while the receiver is away, the node is killed, and each is sent after the restart."""
    receiver.status = 503
    with node_process(tmp_path / "home", "--open", config=textwrap.dedent(served(receiver.url))) as running:
        for turn in range(2):
            async with wire(f"{running.url}/CP-{turn}") as cp:
                await cp.boot()
                await reports(cp, "Faulted", "GroundFailure")
                running.kill()
            running.start()
        receiver.status = 204
        await until(lambda: _sent(receiver) >= {f"CP-{turn}" for turn in range(2)}, 60)
        sent = [json.loads(body)["text"] for _, body in receiver.got]
        assert all(text.endswith("connector 1: GroundFailure") for text in sent)
    with sqlite3.connect(tmp_path / "home" / "arthexis.db") as db:
        assert db.execute("SELECT count(*), count(DISTINCT event_id) FROM notify_notification").fetchone() == (2, 2)
    db.close()


def _sent(receiver: Any) -> set[str]:
    return {json.loads(body)["station"] for _, body in receiver.got}


def test_the_command_says_lists_tests_and_takes_notice(arthexis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arthexis.write("[node]\nrole = 'bare'\nenable = ['arthexis-notify:*']\n")
    monkeypatch.setenv("ARTHEXIS_HOME", str(arthexis.home))
    arthexis.start("--open")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(notify, arguments)

    assert run("test", "log").output == "log took it.\n"
    sent = run("send", "Coffee is\x1b[2J ready", "--to", "log", "--for", "60")
    assert sent.output == "Notification 1 is on its way to log.\n"
    assert "Coffee is [2J ready" in run("list").output
    assert "Did you mean log?" in str(run("send", "x", "--to", "lgo").exception)
    assert "write [plugins.notify.mail]" in str(run("test", "mail").exception)
    assert "took notice at" in run("ack", "1").output
    assert run("list", "--new").output == "Nobody was told anything.\n"
    assert json.loads(run("status", "--json").output)[0]["name"] == "log"
    assert "firmware-failed" in run("rules").output
    refused = arthexis("notify", "send", "x", "--to", "lgo")
    assert (refused.status, "Did you mean log?" in refused.err) == (5, True)


@pytest.mark.plugins(*PLUGINS)
@pytest.mark.node(config=configured(rule()), open_mode=False)
async def test_who_may_what(host: Node) -> None:
    await happen(host, "test.happened", {"n": 1})
    await until(lambda: host.events("test.happened"))
    tokens = {name: (await host.ask("tokens.add", name=name, access=name))["token"] for name in ("viewer", "operator")}
    wanted = {
        ("GET", "/notifications"): (200, 200),
        ("GET", "/rules"): (200, 200),
        ("GET", "/notifiers"): (200, 200),
        ("GET", "/notifications/1"): (200, 200),
        ("POST", "/notifications/1/acknowledge"): (403, 200),
        ("POST", "/notifiers/log/test"): (403, 200),
    }
    async with ClientSession(host.url) as session:
        for (method, path), statuses in wanted.items():
            for (name, token), status in zip(tokens.items(), statuses, strict=True):
                headers = {"Authorization": f"Bearer {token}"}
                answer = await session.request(method, f"/api/v1/notify{path}", headers=headers)
                assert (path, name, answer.status) == (path, name, status)
            assert (await session.request(method, f"/api/v1/notify{path}")).status == 401
    assert (await host.host.database.read(lambda db: _acknowledged(db))) == "operator"


def _acknowledged(db: Any) -> Any:
    return db.core.exec_driver_sql("SELECT acknowledged_by FROM notify_notification").scalar()
