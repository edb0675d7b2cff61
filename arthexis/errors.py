"""What can go wrong, said so that a person can mend it: every error names a place and a cure.

``code`` is stable and may be matched by scripts; ``exit_status`` is what a command ends with.
"""

from __future__ import annotations

from typing import ClassVar


class ArthexisError(Exception):
    """Something a person can mend: what happened, where, and what to do about it."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, problem: str, *, place: str = "", cure: str = "") -> None:
        """Say what happened (``problem``), where (``place``) and the cure, each in a few words."""
        super().__init__(problem)
        self.problem = problem
        self.place = place
        self.cure = cure

    def __str__(self) -> str:
        """The whole message: place, problem and cure in one or two sentences."""
        told = f"{self.place}: {self.problem}" if self.place else self.problem
        return f"{told}. {self.cure}" if self.cure else told


class ConfigError(ArthexisError):
    """A setting is unknown, of the wrong type or out of range."""

    code = "config"
    exit_status = 3


class PluginError(ArthexisError):
    """A plugin could not be found, imported, composed or started."""

    code = "plugin"
    exit_status = 4


class DomainError(ArthexisError):
    """A request that the charging domain refuses: no such station, a duplicate, a wrong state."""

    code = "refused"
    exit_status = 5


class Invalid(DomainError):
    """What was asked is not well formed: a member is missing, unknown, of the wrong type or out of range.

    ``member`` is the dotted name of the member at fault, where one is.
    """

    code = "invalid"

    def __init__(self, problem: str, *, place: str = "", cure: str = "", member: str = "") -> None:
        """Say what is wrong with which member."""
        super().__init__(problem, place=place, cure=cure)
        self.member = member


class NotFound(DomainError):
    """The station, tag, transaction or other thing asked for does not exist."""

    code = "not-found"


class Unavailable(ArthexisError):
    """Something needed is not there now (a reader, a server, the node itself); trying later may help."""

    code = "unavailable"
    exit_status = 6


class Refused(ArthexisError):
    """The node will not do this for this caller or in this mode."""

    code = "forbidden"
    exit_status = 7


class Unauthorized(ArthexisError):
    """Nobody is known to ask: the token is missing, unknown, over or revoked."""

    code = "unauthorized"
    exit_status = 7


class Reject(Exception):
    """Raised by a DataTransfer handler to answer Rejected, with ``data`` (text, or what becomes JSON text)."""

    def __init__(self, data: object = None) -> None:
        """Reject with this data."""
        super().__init__(data)
        self.data = data
