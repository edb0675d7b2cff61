"""Webhooks against a real receiver: signed, ordered, tried again, bounded, and never where they must not go."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from aiohttp import ClientError, ClientSession, web
from arthexis_webhooks import sending

from arthexis import DomainError, outbound
from arthexis.db.schema import job
from arthexis.testing import FrozenClock, Node, node

PLUGINS = ["arthexis-webhooks:*", "arthexis-ocpp16:*"]
LOOPBACK = {"plugins": {"webhooks": {"allowed_networks": ["127.0.0.0/8"]}}}
IMPATIENT = {"plugins": {"webhooks": {"allowed_networks": ["127.0.0.0/8"], "timeout_s": 1.0}}}
pytestmark = [pytest.mark.plugins(*PLUGINS), pytest.mark.node(config=LOOPBACK)]
SECRET = "known-to-both-of-us"


class Receiver:
    """A server that keeps what it got and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, Any], dict[str, str], bytes]] = []
        self.answer: Callable[[dict[str, Any]], web.Response | int] = lambda _: 204
        self.pause_s = 0.0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = json.loads(body)
        await asyncio.sleep(self.pause_s)
        self.got.append((event, dict(request.headers), body))
        answer = self.answer(event)
        return answer if isinstance(answer, web.Response) else web.Response(status=answer)

    async def until(self, many: int) -> None:
        async with asyncio.timeout(10):
            while len(self.got) < many:
                await asyncio.sleep(0.01)

    @property
    def numbers(self) -> list[int]:
        """What was in the events, in the order of their coming."""
        return [event["data"]["n"] for event, _, _ in self.got]


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook"  # type: ignore[union-attr]
    yield found
    await runner.cleanup()


async def api(host: Node, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with (
        ClientSession() as session,
        session.request(method, f"{host.url}/api/v1/webhooks{path}", json=body) as answer,
    ):
        return answer.status, await answer.json() if answer.status != 204 else None


async def subscribe(host: Node, url: str, name: str = "hook", **more: Any) -> dict[str, Any]:
    status, made = await api(host, "POST", "", {"name": name, "url": url, "secret": SECRET, **more})
    assert status == 201, made
    return dict(made)


async def happen(host: Node, *numbers: int, kind: str = "test.happened", station: str | None = "CP-1") -> None:
    def store(db: Any) -> None:
        for number in numbers:
            db.event(kind, station, {"n": number})

    await host.host.journal.write(store)


async def hook(host: Node, name: str = "hook") -> dict[str, Any]:
    return dict((await api(host, "GET", f"/{name}"))[1])


async def log(host: Node, name: str = "hook") -> list[dict[str, Any]]:
    return list((await api(host, "GET", f"/{name}/deliveries"))[1]["items"])


async def until(check: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await check():
            await asyncio.sleep(0.02)


async def hurry(host: Node) -> None:
    """Let what waits for its next try be tried now."""

    def store(db: Any) -> None:
        due = sa.update(job).where(job.c.name == sending.DELIVER, job.c.state == "waiting")
        db.core.execute(due.values(run_at=host.host.clock.now()))

    await host.host.journal.write(store)
    host.host.jobs.wake()


async def test_an_event_is_delivered_with_a_signature_that_the_secret_proves(host: Node, receiver: Receiver) -> None:
    made = await subscribe(host, receiver.url)
    assert made["secret"] == SECRET
    await happen(host, 1)
    await receiver.until(1)
    event, headers, body = receiver.got[0]
    assert (event["kind"], event["station"], event["data"]) == ("test.happened", "CP-1", {"n": 1})
    signed = headers["Arthexis-Timestamp"].encode() + b"." + body
    assert headers["Arthexis-Signature"] == "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["Arthexis-Event"] == "test.happened"
    await until(lambda: _states(host, ["delivered"]))
    assert "secret" not in json.dumps(await log(host))
    assert (await hook(host))["secret"] is None


async def _states(host: Node, wanted: list[str]) -> bool:
    return [row["state"] for row in reversed(await log(host))] == wanted


async def test_only_what_was_subscribed_to_comes(host: Node, receiver: Receiver) -> None:
    await subscribe(host, f"{receiver.url}/kinds", "kinds", kinds=["test.*", "status.changed"])
    await subscribe(host, f"{receiver.url}/station", "station", stations=["cp-2"])
    await happen(host, 1)
    await happen(host, 2, kind="testing.other")
    await happen(host, 3, kind="other.kind", station="CP-2")
    await happen(host, 4, kind="test.last", station=None)
    await receiver.until(3)
    await asyncio.sleep(0.1)
    assert sorted(receiver.numbers) == [1, 3, 4]


async def test_a_station_s_events_keep_their_order_while_the_receiver_fails(host: Node, receiver: Receiver) -> None:
    down = True
    receiver.answer = lambda event: 500 if down and event["station"] == "CP-1" and event["data"]["n"] >= 3 else 200
    await subscribe(host, receiver.url)
    await happen(host, 1, 2)
    await happen(host, 10, station="CP-2")
    await happen(host, 3, 4, 5)
    await until(lambda: _is_failing(host))
    assert [n for n in receiver.numbers if n < 10] == [1, 2, 3], "nothing overtakes the one that failed"
    assert 10 in receiver.numbers, "another station does not wait for it"
    await happen(host, 6)
    await asyncio.sleep(0.2)
    assert 4 not in receiver.numbers, "a new event does not make the pause shorter"
    down = False
    await hurry(host)
    await until(lambda: _states(host, ["delivered"] * 7))
    assert [n for n in receiver.numbers if n < 10] == [1, 2, 3, 3, 4, 5, 6]
    await until(lambda: _is_well(host))


async def _is_failing(host: Node, name: str = "hook") -> bool:
    return bool((await hook(host, name))["failures"])


async def _is_well(host: Node) -> bool:
    return not await _is_failing(host)


@pytest.mark.node(config=IMPATIENT)
@pytest.mark.parametrize("end", ["silence", "redirect", "refusal", "gone"])
async def test_each_way_to_fail_is_in_the_log_and_tried_again(host: Node, receiver: Receiver, end: str) -> None:
    url = receiver.url
    if end == "silence":
        receiver.pause_s = 1.5
    elif end == "redirect":
        receiver.answer = lambda _: web.Response(status=307, headers={"Location": "/elsewhere"})
    elif end == "refusal":
        receiver.answer = lambda _: web.Response(status=410, text="\x1b[2Jgone for good\x00")
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    await subscribe(host, url)
    await happen(host, 1)
    await until(lambda: _is_failing(host))
    row = (await log(host))[0]
    said = {"silence": "no answer within 1 s", "redirect": "redirect", "refusal": "gone for good", "gone": "Connect"}
    assert said[end] in row["error"]
    assert (row["state"], row["tries"]) == ("waiting", 1)
    assert row["error"].isprintable()
    assert len(receiver.got) <= 1, "no redirect was followed"


async def test_what_was_not_delivered_is_after_a_restart_and_nothing_twice(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: 503
    async with node(tmp_path / "node", plugins=PLUGINS, config=LOOPBACK) as host:
        await subscribe(host, receiver.url)
        await happen(host, 1, 2)
        await until(lambda: _is_failing(host))
    receiver.answer = lambda _: 200
    receiver.got.clear()
    async with node(tmp_path / "node", plugins=PLUGINS, config=LOOPBACK) as host:
        await hurry(host)
        await until(lambda: _states(host, ["delivered", "delivered"]))
    assert receiver.numbers == [1, 2]


async def test_a_replay_sends_the_same_bytes_again(host: Node, receiver: Receiver) -> None:
    await subscribe(host, receiver.url)
    await happen(host, 1)
    await until(lambda: _states(host, ["delivered"]))
    number = (await log(host))[0]["id"]
    assert (await api(host, "POST", f"/hook/deliveries/{number}/replay"))[0] == 202
    await receiver.until(2)
    first, second = receiver.got
    assert first[2] == second[2]
    assert first[1]["Arthexis-Delivery"] == second[1]["Arthexis-Delivery"]
    assert (await api(host, "POST", "/hook/deliveries/999/replay"))[0] == 404


@pytest.mark.node(config={"plugins": {"webhooks": {**LOOPBACK["plugins"]["webhooks"], "most_waiting": 3, "tries": 2}}})
async def test_the_queue_is_bounded_and_a_poisonous_event_is_given_up(host: Node, receiver: Receiver) -> None:
    receiver.answer = lambda event: 400 if event["data"]["n"] == 1 else 200
    await subscribe(host, receiver.url)
    await happen(host, *range(1, 8))
    await until(lambda: _is_failing(host))
    await until(lambda: _kept_and_dropped(host, 3, 4))
    await hurry(host)
    await until(lambda: _states(host, ["given up", "waiting", "waiting"]))
    await hurry(host)
    await until(lambda: _states(host, ["given up", "delivered", "delivered"]))


async def _kept_and_dropped(host: Node, kept: int, dropped: int) -> bool:
    found = await hook(host)
    return (found["waiting"], found["dropped"]) == (kept, dropped)


async def test_an_event_that_the_receiver_refuses_is_given_up_after_a_few_tries(host: Node, receiver: Receiver) -> None:
    receiver.answer = lambda event: 422 if event["data"]["n"] == 1 else 200
    await subscribe(host, receiver.url)
    await happen(host, 1, 2)
    await until(lambda: _hurried_until(host, ["given up", "delivered"]))
    assert receiver.numbers == [1] * 5 + [2]


async def _hurried_until(host: Node, states: list[str]) -> bool:
    """Whether it has come to these states; a try that waits for its pause is begun at each look."""
    await hurry(host)
    return await _states(host, states)


async def test_what_fails_for_days_is_switched_off_and_comes_back_whole(
    host: Node, clock: FrozenClock, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 500
    await subscribe(host, receiver.url)
    await happen(host, 1)
    await until(lambda: _is_failing(host))
    clock.advance(timedelta(hours=73).total_seconds())
    host.host.jobs.wake()
    await until(lambda: _is_off(host))
    assert "nothing could be delivered since" in (await hook(host))["reason"]
    tries = len(receiver.got)
    await happen(host, 2)
    await asyncio.sleep(0.2)
    assert len(receiver.got) == tries, "nothing is sent while it is off"
    receiver.answer = lambda _: 200
    status, found = await api(host, "POST", "/hook/enable")
    assert (status, found["active"], found["waiting"]) == (200, True, 2)
    await until(lambda: _states(host, ["delivered", "delivered"]))
    assert receiver.numbers[tries:] == [1, 2]


async def _is_off(host: Node) -> bool:
    return not (await hook(host))["active"]


async def test_switching_off_and_removing_end_the_deliveries(host: Node, receiver: Receiver) -> None:
    await subscribe(host, receiver.url)
    assert (await api(host, "POST", "/hook/disable"))[1]["reason"] == "switched off by open mode"
    await happen(host, 1)
    await until(lambda: _states(host, ["waiting"]))
    assert (await api(host, "DELETE", "/hook"))[0] == 204
    assert (await api(host, "GET", "/hook"))[0] == 404
    await happen(host, 2)
    await asyncio.sleep(0.1)
    assert receiver.got == []


DISGUISED = (
    "①②⑦.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
    "127。0。0。1",
    "\uff11\uff16\uff19.254.169.254",
)
"""Hosts that are no address as they are written, and become one where a client makes them ASCII."""
BAD_URLS = (
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://10.0.0.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://[fe80::1]/",
    "http://0.0.0.0/",
    "http://224.0.0.1/",
    *(f"http://{written}/" for written in DISGUISED),
    "http://user:pass@example.org/",
    "ftp://example.org/",
    "file:///etc/passwd",
    "http://",
    "http://exa mple.org/",
    "http://example.org:99999/",
    "http://[::1",
    "http://example.org/\r\nX: y",
)


@pytest.mark.node(config={})
async def test_a_url_that_must_not_be_is_refused(host: Node) -> None:
    for url in BAD_URLS:
        status, found = await api(host, "POST", "", {"name": "bad", "url": url})
        assert status in {400, 409, 422}, (url, status, found)
    assert (await api(host, "GET", ""))[1]["items"] == []


@pytest.mark.node(config={})
async def test_a_name_that_stands_for_a_private_address_is_refused_when_it_is_used(
    host: Node, receiver: Receiver
) -> None:
    names = ("localhost", "0x7f.1", "2130706433", "127.1")
    for name in names:
        await subscribe(host, receiver.url.replace("127.0.0.1", name), name)
    await happen(host, 1)
    for name in names:
        await until(partial(_is_failing, host, name))
        said = (await log(host, name))[0]["error"]
        assert "private address" in said or "not a canonical IPv4 address" in said
    assert receiver.got == []


@pytest.mark.parametrize("written", ["127.0.0.1", "[::ffff:127.0.0.1]", *DISGUISED])
async def test_the_client_itself_sends_nothing_to_a_private_address(receiver: Receiver, written: str) -> None:
    url = receiver.url.replace("127.0.0.1", written)
    async with outbound.session((), timeout_s=5) as client:
        went = await outbound.post(client, url, b"{}", {})
        assert went.status is None
        assert "private address" in (went.error or "")
        with pytest.raises((ClientError, OSError)):
            await client.get(url)
    assert receiver.got == []


@pytest.mark.parametrize("written", DISGUISED)
def test_a_host_is_checked_as_the_client_will_read_it(written: str) -> None:
    with pytest.raises(DomainError, match="private address"):
        outbound.check(f"http://{written}:8080/", (), place="url", setting="allowed_networks")


def test_public_addresses_are_allowed_and_named_networks_too() -> None:
    assert outbound.allows(ipaddress.ip_address("93.184.216.34"), ())
    assert outbound.allows(ipaddress.ip_address("2606:2800:220:1::1"), ())
    lan = outbound.networks(["192.168.1.0/24"])
    assert outbound.allows(ipaddress.ip_address("192.168.1.7"), lan)
    assert not outbound.allows(ipaddress.ip_address("192.168.2.7"), lan)
    with pytest.raises(DomainError, match="private"):
        outbound.check("http://192.168.2.7/", lan, place="url", setting="allowed_networks")
    with pytest.raises(ValueError, match="does not appear"):
        outbound.networks(["home"])


async def test_a_name_is_taken_once_and_wrong_requests_are_refused(host: Node, receiver: Receiver) -> None:
    await subscribe(host, receiver.url)
    assert (await api(host, "POST", "", {"name": "hook", "url": receiver.url}))[0] == 409
    for wrong in (
        {"name": "../x", "url": receiver.url},
        {"name": "x", "url": receiver.url, "secret": "short"},
        {"name": "x", "url": receiver.url, "kinds": ["*"]},
        {"name": "x", "url": receiver.url, "more": 1},
        {"name": "x"},
    ):
        assert (await api(host, "POST", "", wrong))[0] in {400, 422}, wrong
    assert (await api(host, "GET", "/nobody/deliveries"))[0] == 404
    made = (await api(host, "POST", "", {"name": "own", "url": receiver.url}))[1]
    assert len(made["secret"]) >= 32


async def test_many_events_come_in_order_and_the_log_has_pages(host: Node, receiver: Receiver) -> None:
    await subscribe(host, receiver.url)
    await happen(host, *range(150))
    await receiver.until(150)
    assert receiver.numbers == list(range(150))
    found, cursor = [], ""
    while True:
        page = (await api(host, "GET", f"/hook/deliveries?limit=40{cursor}"))[1]
        found += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == sorted(found, reverse=True)
    assert len(found) == 150


def test_the_commands_do_what_the_routes_do(tmp_path: Path) -> None:
    """As processes, against a node of their own."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "arthexis.toml").write_text('[node]\nrole = "control"\n', "utf-8")
    env = {**os.environ, "ARTHEXIS_HOME": str(home)}

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "arthexis", "webhooks", *words], env=env, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    status, said = run("list")
    assert (status, "no node is running" in said) == (6, True)
    with (tmp_path / "log").open("w") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", "arthexis", "start", "--port", "0"], env=env, stdout=out, stderr=out
        )
    try:
        until = time.monotonic() + 30
        while not (home / "control.json").exists() and time.monotonic() < until:
            time.sleep(0.05)
        status, said = run("add", "billing", "https://hooks.example.org/x", "--kind", "transaction.*", "--json")
        assert (status, json.loads(said)["kinds"], len(json.loads(said)["secret"])) == (0, ["transaction.*"], 32)
        assert run("add", "bad", "http://10.0.0.1/") == (
            5,
            "arthexis: webhooks url: 10.0.0.1 is a private address\n"
            "  Use a public address, or add its network to plugins.webhooks.allowed_networks\n",
        )
        assert run("disable", "billing") == (0, "Webhook billing is off.\n")
        assert "off: switched off by command line" in run("list")[1]
        assert run("enable", "billing") == (0, "Webhook billing is on, 0 waiting.\n")
        assert run("log", "billing") == (0, "No delivery.\n")
        assert run("replay", "billing", "3")[0] == 5
        assert run("remove", "billing") == (0, "Webhook billing is forgotten.\n")
    finally:
        started.terminate()
        started.wait(20)
