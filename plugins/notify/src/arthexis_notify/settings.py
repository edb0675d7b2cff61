"""The settings, section ``[plugins.notify]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from arthexis import ConfigError, DomainError, Secret, outbound
from arthexis_notify.rules import HOUSE_RULES, Rule

Address = Annotated[str, Meta(pattern=r"^[!-?A-~]+@[!-?A-~]+$", max_length=254)]

Port = Annotated[int, Meta(ge=1, le=65535)]


class Mail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mail is sent: through which server, from whom, to whom."""

    server: Annotated[str, Meta(description="The SMTP server's name", pattern=r"^[A-Za-z0-9.:_-]+$", max_length=253)]
    sender: Annotated[Address, Meta(description="From whom it comes")]
    to: Annotated[list[Address], Meta(description="To whom it goes", min_length=1, max_length=100)]
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            description="Encrypted after a greeting in the clear (port 587), from the start (465), or not at all (25)"
        ),
    ] = "starttls"
    port: Annotated[Port | None, Meta(description="Its port; without one, as tls says")] = None
    user: Annotated[str | None, Meta(description="Who we are to the server; nobody, without one")] = None
    password: Annotated[Secret | None, Meta(description="The password that goes with it")] = None
    ca_file: Annotated[str | None, Meta(description="PEM file of the authority that signed the server's key")] = None
    subject: Annotated[str, Meta(description="What subjects begin with", max_length=100)] = "Arthexis: "

    def __post_init__(self) -> None:
        """Refuse a password that would go over the network in the clear, and half a login."""
        if (self.user is None) is not (self.password is None):
            raise ValueError("user and password go together: give both or neither")
        if self.user is not None and self.tls == "none" and self.server not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError('a password is not sent in the clear: set tls = "starttls" or "tls"')


class Webhook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where notifications are posted, as JSON."""

    url: Annotated[str, Meta(description="Where to, like https://example.org/hook", max_length=2000)]
    secret: Annotated[Secret | None, Meta(description="Key of the signature; nothing is signed without one")] = None
    allowed_networks: Annotated[list[str], Meta(description="Networks that are not public and may be posted to")] = []

    def __post_init__(self) -> None:
        """Refuse what is no network, and a URL that will never be reached."""
        allowed, place = outbound.networks(self.allowed_networks), "plugins.notify.webhook.url"
        try:
            outbound.check(self.url, allowed, place=place, setting="plugins.notify.webhook.allowed_networks")
        except DomainError as refused:
            raise ConfigError(refused.problem, place=place, cure=refused.cure) from None


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people are told, and by which means."""

    rules: Annotated[
        list[Rule] | None, Meta(description="Tables `[[plugins.notify.rules]]`; without any, the house's rules")
    ] = None
    mail: Annotated[Mail | None, Meta(description="The notifier mail; without it, no mail is sent")] = None
    webhook: Annotated[Webhook | None, Meta(description="The notifier webhook; without it, nothing is posted")] = None
    disk_free_mb: Annotated[
        int, Meta(description="With fewer megabytes free on its disk, the node says disk.low; 0: never", ge=0)
    ] = 500
    keep_days: Annotated[float, Meta(description="Notifications are kept for so long", gt=0)] = 30.0
    keep_rows: Annotated[int, Meta(description="So many of them are kept at most", ge=10, le=10_000_000)] = 10_000
    most_waiting: Annotated[
        int, Meta(description="So many wait for one notifier; then the oldest is given up", ge=1)
    ] = 5_000

    def __post_init__(self) -> None:
        """Refuse two rules of one name."""
        twice = [name for name, many in Counter(rule.name for rule in self.in_force).items() if many > 1]
        if twice:
            raise ConfigError(
                f"two rules are called {twice[0]}", place="plugins.notify.rules", cure="Give each a name of its own"
            )

    @property
    def in_force(self) -> Sequence[Rule]:
        """The rules that hold: the operator's, else the house's."""
        return HOUSE_RULES if self.rules is None else self.rules

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of event that the rules are about; every kind, where one says so with a wildcard."""
        named = {kind for rule in self.in_force for kind in (*rule.on, *rule.until)}
        return frozenset({"*"} if any(kind.endswith("*") for kind in named) else named)

    @property
    def set_up(self) -> frozenset[str]:
        """Our own notifiers that the settings set up."""
        return frozenset(name for name, set_up in (("mail", self.mail), ("webhook", self.webhook)) if set_up) | {"log"}
