"""What the ``decide_*`` hooks are asked, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RegistrationStatus = Literal["Accepted", "Pending", "Rejected"]
AuthorizationStatus = Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"]


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """A handshake whose credentials were checked: who it is, from which address, and whether the station is known."""

    station_id: str
    remote: str
    known: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a socket may open; the reason is for the operator, never for the station."""

    admit: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a booting station is told; ``interval_s`` None leaves the heartbeat interval to the node."""

    status: RegistrationStatus
    interval_s: int | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a station is told of an id tag."""

    status: AuthorizationStatus
    expires_at: datetime | None = None
    parent_id_tag: str | None = None
