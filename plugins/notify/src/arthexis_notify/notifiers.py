"""Our own notifiers: log, mail and webhook. Each is what a notifier of any plugin is: a function that may fail."""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Iterable
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

import aiosmtplib
import msgspec

from arthexis import Context, DomainError, Notification, Notifier, Unavailable, format_utc, outbound
from arthexis_notify import texts
from arthexis_notify.settings import Mail, Settings, Webhook

log = logging.getLogger("arthexis.notify")

PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
WITHIN_S: Final = 30.0
MOST_ERROR: Final = 200
REFUSED: Final = frozenset({400, 409, 413, 415, 422})
"""HTTP statuses by which a receiver refuses this one notification, and would refuse it again."""


def notifiers() -> Iterable[Notifier]:
    """The three of them."""
    yield Notifier("log", write_log, "The log of the node")
    yield Notifier("mail", send_mail, "Mail, through [plugins.notify.mail]", within_s=2 * WITHIN_S)
    yield Notifier("webhook", post_webhook, "A POST of JSON, to [plugins.notify.webhook]", within_s=WITHIN_S)


def identity(said: Notification) -> str:
    """32 hexadecimal digits that are the same whenever this notification is sent, so that a second one can be told."""
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:32]


async def write_log(said: Notification) -> None:
    """Write one line into the log ``arthexis.notify``: an alarm as a warning, all others as information."""
    level = logging.WARNING if said.priority == "alarm" else logging.INFO
    line = texts.clean(f"{said.title}: {said.text}" if said.title and said.title not in said.text else said.text)
    log.log(level, "%s", line, extra={"station": said.station})


# ---------------------------------------------------------------------- mail


async def send_mail(said: Notification, ctx: Context) -> None:
    """Send a mail; raises ``Unavailable`` where the server is not there, ``DomainError`` where it refuses this one."""
    settings: Settings = ctx.config
    mail = settings.mail
    if mail is None:
        raise DomainError("no mail server is set", cure="Write [plugins.notify.mail] in arthexis.toml")
    try:
        await aiosmtplib.send(
            message(said, mail),
            hostname=mail.server,
            port=mail.port or PORTS[mail.tls],
            username=mail.user,
            password=mail.password.reveal() if mail.password is not None else None,
            use_tls=mail.tls == "tls",
            start_tls=mail.tls == "starttls",
            tls_context=trust(mail),
            local_hostname="arthexis.invalid",
            timeout=WITHIN_S,
        )
    except aiosmtplib.SMTPException as error:
        raise told(error, mail) from None
    except OSError as error:
        raise Unavailable(f"{mail.server} cannot be reached: {error}", cure="Check plugins.notify.mail") from None


def message(said: Notification, mail: Mail) -> EmailMessage:
    """The mail: nothing of what stations wrote can become a header or a second mail."""
    made = EmailMessage(policy=SMTP)
    made["From"] = Address(addr_spec=mail.sender)
    made["To"] = [Address(addr_spec=each) for each in mail.to]
    made["Subject"] = texts.clean(mail.subject + (said.title or said.text), texts.MOST_TITLE)
    made["Date"] = said.at
    made["Message-ID"] = f"<{identity(said)}@arthexis.invalid>"
    made["Auto-Submitted"] = "auto-generated"
    made["X-Priority"] = "1" if said.priority == "alarm" else "3"
    made.set_content("\n".join([texts.clean(said.text), "", *_about(said)]) + "\n")
    return made


def _about(said: Notification) -> Iterable[str]:
    """A line for each thing that it is about."""
    known = {"Station": said.station, "Connector": said.connector, "Event": said.kind, "Priority": said.priority}
    yield from (f"{name}: {texts.shown(value)}" for name, value in known.items() if value not in (None, ""))
    yield f"Time: {format_utc(said.at)}"


def trust(mail: Mail) -> ssl.SSLContext | None:
    """Whose certificates are believed; raises ``Unavailable`` where the file cannot be read."""
    if mail.tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=mail.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Unavailable(f"{mail.ca_file}: {error}", cure="Mend plugins.notify.mail.ca_file") from None


def told(error: aiosmtplib.SMTPException, mail: Mail) -> Unavailable | DomainError:
    """What the server's word means: refused for good (5xx for sender, receiver or content), or not there now."""
    said = texts.clean(str(error), MOST_ERROR)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Unavailable(f"{mail.server} knows us not: {said}", cure="Check user and password of plugins.notify.mail")
    for_good = (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientsRefused)
    if isinstance(error, for_good) and all(code >= 500 for code in _codes(error)):
        return DomainError(f"{mail.server} refuses it: {said}", cure="Check sender and to of plugins.notify.mail")
    return Unavailable(f"{mail.server} does not take it: {said}", cure="It is tried again by itself")


def _codes(error: aiosmtplib.SMTPException) -> Iterable[int]:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return [each.code for each in error.recipients]
    return [error.code] if isinstance(error, aiosmtplib.SMTPResponseException) else []


# ---------------------------------------------------------------------- webhook


async def post_webhook(said: Notification, ctx: Context) -> None:
    """Post JSON; raises ``Unavailable`` where nobody takes it, ``DomainError`` where the receiver refuses this one."""
    settings: Settings = ctx.config
    hook = settings.webhook
    if hook is None:
        raise DomainError("no URL is set", cure="Write [plugins.notify.webhook] in arthexis.toml")
    body = msgspec.json.encode({"id": identity(said), **msgspec.to_builtins(said), "at": format_utc(said.at)})
    allowed = outbound.networks(hook.allowed_networks)
    async with outbound.session(allowed, timeout_s=WITHIN_S / 2) as client:
        went = await outbound.post(client, hook.url, body, _headers(said, hook, body, ctx.clock.now().timestamp()))
    if went.error is None:
        return
    problem = f"{hook.url}: {texts.clean(went.error, MOST_ERROR)}"
    if went.status in REFUSED:
        raise DomainError(problem, cure="Look at what the receiver expects")
    raise Unavailable(problem, cure="It is tried again by itself")


def _headers(said: Notification, hook: Webhook, body: bytes, timestamp: float) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Arthexis-Notify",
        "Arthexis-Notification": identity(said),
        "Arthexis-Timestamp": str(int(timestamp)),
    }
    if hook.secret is None:
        return headers
    return {**headers, "Arthexis-Signature": outbound.signature(hook.secret.reveal(), int(timestamp), body)}
