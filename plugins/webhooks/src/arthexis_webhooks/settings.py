"""The settings, section ``[plugins.webhooks]``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from arthexis import outbound


class Settings(Struct, kw_only=True, forbid_unknown_fields=True):
    """How webhooks are delivered."""

    allowed_networks: Annotated[
        list[str], Meta(description="Networks that are not public and may be delivered to, like 192.168.1.0/24")
    ] = []
    timeout_s: Annotated[float, Meta(gt=0, le=30, description="Seconds for one delivery, from look-up to answer")] = (
        10.0
    )
    tries: Annotated[int, Meta(ge=1, le=1000, description="So often one event is tried; then it is given up")] = 50
    most_waiting: Annotated[int, Meta(ge=1, le=1_000_000, description="So many events wait for one webhook")] = 10_000
    off_after_hours: Annotated[
        float, Meta(gt=0, description="A webhook that failed for so long is switched off, and keeps what waits")
    ] = 72.0
    keep_days: Annotated[float, Meta(gt=0, description="The log of deliveries is kept for so long")] = 14.0

    def __post_init__(self) -> None:
        """Refuse what is no network."""
        outbound.networks(self.allowed_networks)

    def check(self, url: str) -> None:
        """Refuse a URL to which nothing will ever be delivered; raises ``DomainError``."""
        allowed = outbound.networks(self.allowed_networks)
        outbound.check(url, allowed, place="webhooks url", setting="plugins.webhooks.allowed_networks")
