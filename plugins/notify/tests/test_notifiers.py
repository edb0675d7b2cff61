"""Mail through a real server, webhooks to a real receiver, the log: what arrives, and what does not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import ssl
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from arthexis.plugins.states import State
from arthexis.testing import FrozenClock, Node, node
from tests.notifications import LOGIN, PLUGINS, Mailer, Receiver, api, configured, happen, rule, states, told, until

HOSTILE = "broken\r\nBcc: evil@example.org\r\n.\r\nMAIL FROM:<x@y>\x1b[2J\u202e" + "ü" * 3000


def mailing(tmp_path: Path, mailer: Mailer, *rules: dict[str, Any], clock: Any = None, **mail: Any) -> Any:
    """A node that sends mail."""
    config = configured(*rules or (rule(to=["mail"], title="{station}: {n}"),), mail=mailer.settings(**mail))
    return node(tmp_path / "node", plugins=PLUGINS, config=config, clock=clock)


async def test_a_mail_says_what_happened_from_whom_to_whom(tmp_path: Path, mailer: Mailer) -> None:
    async with mailing(
        tmp_path,
        mailer,
        rule(to=["mail"], title="{station}: {n}", priority="alarm"),
        to=["a@example.org", "b@example.org"],
    ) as host:
        await happen(host, "test.happened", {"n": "Größe", "connector": 2})
        await until(lambda: mailer.box.mails)
        await until(lambda: _are(host, "mail", "sent"))
    [mail] = mailer.box.mails
    assert (mail["From"], mail["To"]) == ("node@example.org", "a@example.org, b@example.org")
    assert mailer.box.receivers == [["a@example.org", "b@example.org"]]
    assert mail["Subject"] == "Arthexis: CP-1: Größe"
    assert (mail["X-Priority"], mail["Auto-Submitted"]) == ("1", "auto-generated")
    lines = mail.get_content().splitlines()
    assert lines[:6] == ["Größe", "", "Station: CP-1", "Connector: 2", "Event: test.happened", "Priority: alarm"]


async def _are(host: Node, notifier: str, *expected: str) -> bool:
    return await states(host, notifier) == list(expected)


async def test_nothing_that_a_station_writes_becomes_a_header_or_another_mail(tmp_path: Path, mailer: Mailer) -> None:
    async with mailing(tmp_path, mailer) as host:
        await happen(host, "test.happened", {"n": HOSTILE}, station="CP\r\nBcc: evil@example.org")
        await until(lambda: mailer.box.mails)
    [mail] = mailer.box.mails
    assert mail["Bcc"] is None
    assert mailer.box.receivers == [["ops@example.org"]]
    assert len(str(mail["Subject"])) <= 120
    assert mail.get_content().splitlines()[0].startswith("broken Bcc: evil@example.org . MAIL FROM:<x@y> [2J")
    head = mailer.box.raw[0].partition(b"\r\n\r\n")[0]
    assert all(len(line) < 998 for line in mailer.box.raw[0].split(b"\r\n"))
    assert head.isascii()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it has been TLS from the start
@pytest.mark.parametrize("tls", ["tls", "starttls"])
async def test_mail_is_encrypted_and_logged_in(
    tmp_path: Path, certified: tuple[ssl.SSLContext, Path], login: Callable[..., AuthResult], tls: str
) -> None:
    context, authority = certified
    secured: dict[str, Any] = (
        {"ssl_context": context} if tls == "tls" else {"tls_context": context, "require_starttls": True}
    )
    running = Mailer(authenticator=login, auth_required=True, auth_require_tls=tls != "tls", **secured).start()
    try:
        user, password = LOGIN
        account: dict[str, Any] = {"tls": tls, "user": user, "password": password}
        async with mailing(tmp_path, running, ca_file=str(authority), **account) as host:
            await happen(host, "test.happened", {"n": 1})
            await until(lambda: running.box.mails)
            shown = json.dumps(await _settings(host))
            assert password not in shown
        async with mailing(tmp_path, running, **account) as host:  # whose key nobody vouches for
            status, problem = await api(host, "POST", "/notifiers/mail/test")
            assert (status, problem["code"]) == (503, "unavailable")
            assert "certificate" in problem["detail"].lower()
        async with mailing(tmp_path, running, ca_file=str(authority), **{**account, "password": "wrong"}) as host:
            status, problem = await api(host, "POST", "/notifiers/mail/test")
            assert (status, "user and password" in problem["cure"]) == (503, True)
    finally:
        running.stop()


async def _settings(host: Node) -> Any:
    from arthexis.values import shown

    return shown(host.plugin("notify").settings)


async def test_a_server_that_offers_no_encryption_gets_no_mail(tmp_path: Path, mailer: Mailer) -> None:
    async with mailing(tmp_path, mailer, tls="starttls") as host:
        status, problem = await api(host, "POST", "/notifiers/mail/test")
        assert (status, problem["code"], mailer.box.mails) == (503, "unavailable", [])


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"server": "mail.example.org", "user": "u", "password": "p"}, "a password is not sent in the clear"),
        ({"user": "u"}, "user and password go together"),
        ({"to": ["a@b\r\nBcc: c@d"]}, "mail.to"),
        ({"to": []}, "mail.to"),
        ({"server": "x\r\ny"}, "mail.server"),
    ],
)
async def test_settings_of_mail_that_cannot_be_meant_are_refused(
    tmp_path: Path, mailer: Mailer, more: dict[str, Any], problem: str
) -> None:
    async with mailing(tmp_path, mailer, **more) as host:
        failed = host.plugin("notify")
        assert failed.state is State.FAILED
        assert problem in failed.reason
        host.excuse("notify")


async def test_a_mail_server_that_is_away_gets_everything_later_and_nothing_twice(
    tmp_path: Path, mailer: Mailer
) -> None:
    clock = FrozenClock()
    async with mailing(tmp_path, mailer, rule(to=["mail", "log"]), clock=clock) as host:
        mailer.stop()
        await happen(host, "test.happened", {"n": 1}, {"n": 2})
        await until(lambda: _are(host, "log", "sent", "sent"))
        await until(lambda: _in_trouble(host))
        await happen(host, "test.happened", {"n": 3})
        mailer.start()
        await asyncio.sleep(0.3)
        assert mailer.box.mails == []
        clock.advance(6)
        await until(lambda: _are(host, "mail", "sent", "sent", "sent"))
    assert [mail.get_content().splitlines()[0] for mail in mailer.box.mails] == ["1", "2", "3"]
    assert len({mail["Message-ID"] for mail in mailer.box.mails}) == 3


async def _in_trouble(host: Node, name: str = "mail") -> dict[str, Any] | None:
    rows = (await api(host, "GET", "/notifiers"))[1]["items"]
    return next((row for row in rows if row["name"] == name and row["state"] == "in trouble"), None)


async def test_what_has_expired_when_the_server_is_back_is_not_sent(tmp_path: Path, mailer: Mailer) -> None:
    clock = FrozenClock()
    rules = (rule(to=["mail"], lifetime_s=60), rule(name="lasting", to=["mail"], on=["test.lasts"]))
    async with mailing(tmp_path, mailer, *rules, clock=clock) as host:
        mailer.stop()
        await happen(host, "test.happened", {"n": 1})
        await until(lambda: _in_trouble(host))
        await happen(host, "test.lasts", {"n": 2})
        mailer.start()
        clock.advance(61)
        await until(lambda: _are(host, "mail", "expired", "sent"))
    assert [mail.get_content().splitlines()[0] for mail in mailer.box.mails] == ["2"]


@pytest.mark.parametrize(
    ("answer", "state"), [("550 no", "given up"), ("451 later", "waiting"), ("552 too big", "given up")]
)
async def test_what_the_server_refuses_for_good_is_given_up_and_holds_up_nothing(
    tmp_path: Path, mailer: Mailer, answer: str, state: str
) -> None:
    mailer.box.answer = answer
    async with mailing(tmp_path, mailer) as host:
        await happen(host, "test.happened", {"n": 1})
        [row] = await until(lambda: _tried(host))
        assert (row["deliveries"][0]["state"], answer[:3] in row["deliveries"][0]["error"]) == (state, True)
        if state == "given up":
            mailer.box.answer = "250 kept"
            await happen(host, "test.happened", {"n": 2})
            await until(lambda: _are(host, "mail", "given up", "sent"))


async def _tried(host: Node) -> list[dict[str, Any]]:
    return [row for row in await told(host) if row["deliveries"][0]["error"]]


# ---------------------------------------------------------------------- webhook


@asynccontextmanager
async def hooked(tmp_path: Path, receiver: Receiver, clock: Any = None, **more: Any) -> Any:
    hook = {"url": receiver.url, "secret": "known-to-both-of-us", "allowed_networks": ["127.0.0.0/8"], **more}
    config = configured(rule(to=["webhook"], title="a title", lifetime_s=3600), webhook=hook)
    async with node(tmp_path / "node", plugins=PLUGINS, config=config, clock=clock) as host:
        yield host


async def test_a_webhook_is_json_with_a_signature_that_the_secret_proves(tmp_path: Path, receiver: Receiver) -> None:
    async with hooked(tmp_path, receiver) as host:
        await happen(host, "test.happened", {"n": HOSTILE})
        await until(lambda: receiver.got)
    headers, body = receiver.got[0]
    sent = json.loads(body)
    assert (sent["title"], sent["priority"], sent["station"], sent["kind"]) == (
        "a title",
        "event",
        "CP-1",
        "test.happened",
    )
    assert sent["text"].isprintable()
    assert headers["Arthexis-Notification"] == sent["id"]
    wanted = hmac.new(b"known-to-both-of-us", headers["Arthexis-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["Arthexis-Signature"] == f"v1={wanted.hexdigest()}"


@pytest.mark.parametrize(("status", "state"), [(500, "waiting"), (302, "waiting"), (404, "waiting"), (422, "given up")])
async def test_a_receiver_that_does_not_take_it_gets_it_again_unless_it_refuses(
    tmp_path: Path, receiver: Receiver, status: int, state: str
) -> None:
    clock, receiver.status = FrozenClock(), status
    async with hooked(tmp_path, receiver, clock) as host:
        await happen(host, "test.happened", {"n": 1})
        await until(lambda: _in_trouble(host, "webhook"))
        await until(lambda: _are(host, "webhook", state))
        receiver.status = 204
        clock.advance(6)
        if state == "waiting":
            await until(lambda: _are(host, "webhook", "sent"))
            assert receiver.got[0][1] == receiver.got[1][1], "the same to the byte"


async def test_a_webhook_goes_to_no_private_address(tmp_path: Path, receiver: Receiver) -> None:
    async with hooked(tmp_path, receiver, allowed_networks=[]) as host:
        assert "127.0.0.1 is a private address" in host.plugin("notify").reason
        host.excuse("notify")
    async with hooked(
        tmp_path, receiver, allowed_networks=[], url=receiver.url.replace("127.0.0.1", "localhost")
    ) as host:
        status, problem = await api(host, "POST", "/notifiers/webhook/test")
        assert (status, "private address" in problem["detail"], receiver.got) == (503, True, [])


@pytest.mark.parametrize("written", ["①②⑦.0.0.1", "127。0。0。1", "[::ffff:127.0.0.1]"])
async def test_an_address_in_disguise_is_a_private_address_too(
    tmp_path: Path, receiver: Receiver, written: str
) -> None:
    url = receiver.url.replace("127.0.0.1", written)
    async with hooked(tmp_path, receiver, allowed_networks=[], url=url) as host:
        assert "is a private address" in host.plugin("notify").reason
        host.excuse("notify")


# ---------------------------------------------------------------------- log


@pytest.mark.plugins(*PLUGINS)
@pytest.mark.node(
    config=configured(
        rule(to=["log"], title="a title"), rule(name="loud", on=["test.loud"], text="{n}", priority="alarm")
    )
)
async def test_the_log_has_a_line_for_each_and_no_more(host: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "arthexis.notify"):
        await happen(host, "test.happened", {"n": "one\nERROR two"})
        await happen(host, "test.loud", {"n": 2})
        await until(lambda: len([r for r in caplog.records if r.name == "arthexis.notify"]) == 2)
    found = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "arthexis.notify"]
    assert sorted(found) == [("INFO", "a title: one ERROR two"), ("WARNING", "2")]
