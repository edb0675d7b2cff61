"""What tests of notifications share: a mail server that is one, a receiver of webhooks, and what the API tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import ClientSession, web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from arthexis.db import events
from arthexis.testing import Node, Wire

PLUGINS = ["arthexis-notify:*", "arthexis-ocpp16:*"]
LOGIN = ("csms", "correct horse")


class Box:
    """What a mail server does with mail: keep it, or answer as it is told."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.receivers: list[list[str]] = []
        self.answer = "250 kept"
        self.rcpt = "250 go on"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("2"):
            content = bytes(envelope.content or b"")
            self.raw.append(content)
            self.mails.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
            self.receivers.append(list(envelope.rcpt_tos))
        return self.answer


class Mailer:
    """A real SMTP server on a free port of this machine, that can go away and come back."""

    def __init__(self, **options: Any) -> None:
        self.box = Box()
        self.options = options
        self.port = 0
        self._running: Controller | None = None

    def start(self) -> Mailer:
        self._running = Bound(self.box, hostname="127.0.0.1", port=self.port, **self.options)
        self._running.start()
        self.port = self._running.server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "server": "127.0.0.1",
            "port": self.port,
            "tls": "none",
            "sender": "node@example.org",
            "to": ["ops@example.org"],
            **more,
        }


class Bound(Controller):
    """aiosmtpd's controller, which can take a port that the system chooses: it asks itself whether it is there."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Receiver:
    """A server that keeps what is posted to it and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status)


async def api(host: Node, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """What a route below ``/api/v1/notify`` answers: the status and the JSON."""
    async with (
        ClientSession() as session,
        session.request(method, f"{host.url}/api/v1/notify{path}", json=body) as answer,
    ):
        return answer.status, await answer.json()


async def told(host: Node, query: str = "") -> list[dict[str, Any]]:
    """What people were told, the oldest first."""
    return list(reversed((await api(host, "GET", f"/notifications{query}"))[1]["items"]))


async def until(check: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait until something (a plain function or a coroutine function) is so; what it answered."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = check()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            await asyncio.sleep(0.02)


async def caught_up(host: Node) -> None:
    """Wait until the rules have seen every event that is stored."""
    about = host.plugin("notify").settings.kinds
    newest = max((event.id for event in await host.events() if event.kind in about), default=0)
    await until(lambda: host.host.database.read(lambda db: (events.cursor(db, "notify") or 0) >= newest))


async def states(host: Node, notifier: str) -> list[str]:
    """How one notifier stands to everything, the oldest first."""
    rows = await told(host)
    return [each["state"] for row in rows for each in row["deliveries"] if each["notifier"] == notifier]


async def happen(host: Node, kind: str, *several: Mapping[str, Any], station: str | None = "CP-1") -> None:
    """Let events of a kind happen, with these data, in one commit."""

    def store(db: Any) -> None:
        for data in several or ({},):
            db.event(kind, station, dict(data))

    await host.host.journal.write(store)


async def reports(cp: Wire, status: str, error_code: str = "NoError", connector: int = 1) -> None:
    """Let a station report the status of a connector."""
    sent = {"connectorId": connector, "errorCode": error_code, "status": status}
    await cp.result("StatusNotification", sent)


def rule(**more: Any) -> dict[str, Any]:
    """A rule about an event of a test."""
    return {"name": "test", "on": ["test.happened"], "text": "{n}", **more}


def configured(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The configuration of a node with these rules."""
    return {"plugins": {"notify": {"rules": list(rules), **more}}}
