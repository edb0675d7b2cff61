"""What the ``decide_*`` hooks are asked, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from msgspec import Struct

RegistrationStatus = Literal["Accepted", "Pending", "Rejected"]
AuthorizationStatus = Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"]
REGISTRATION: Final = get_args(RegistrationStatus)
AUTHORIZATION: Final = get_args(AuthorizationStatus)


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

    def __post_init__(self) -> None:
        """Refuse a status that no station would understand; raises ``ValueError``."""
        if self.status not in REGISTRATION:
            raise ValueError(f"registration {self.status!r} is none of {', '.join(REGISTRATION)}")


class Authorization(Struct, frozen=True, gc=False):
    """What a station is told of an id tag."""

    status: AuthorizationStatus
    expires_at: datetime | None = None
    parent_id_tag: str | None = None

    def __post_init__(self) -> None:
        """Refuse a status that no station would understand; raises ``ValueError``."""
        if self.status not in AUTHORIZATION:
            raise ValueError(f"authorization {self.status!r} is none of {', '.join(AUTHORIZATION)}")


def unsound(answer: Any) -> str | None:
    """Why a plugin's answer cannot be acted on though it is of the right type, or None."""
    if isinstance(answer, Admission) and not isinstance(answer.admit, bool):
        return f"admit {answer.admit!r}, which is neither True nor False"
    if isinstance(answer, Registration) and type(answer.interval_s) not in {int, type(None)}:
        return f"interval_s {answer.interval_s!r}, which is no whole number of seconds"
    if isinstance(answer, Authorization):
        expires_at: Any = answer.expires_at
        parent: Any = answer.parent_id_tag
        if expires_at is not None and (not isinstance(expires_at, datetime) or expires_at.tzinfo is None):
            return f"expires_at {expires_at!r}, which is no moment with a time zone"
        if parent is not None and not isinstance(parent, str):
            return f"parent_id_tag {parent!r}, which is no text"
    return None
