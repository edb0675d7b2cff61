"""What can end a CALL of a simulated station, or its connection."""

from __future__ import annotations

from typing import Any


class SimulatorError(Exception):
    """Anything that a simulated station can meet on its socket."""


class CallError(SimulatorError):
    """The central system answered with a CALLERROR: ``code``, ``description`` and ``details`` are its members."""

    def __init__(self, code: str, description: str = "", details: Any = None) -> None:
        """Keep what was answered."""
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.details = details


class Unanswered(SimulatorError):
    """No answer came within the station's time-out."""


class InvalidAnswer(SimulatorError):
    """What the station asked or the central system answered is not what the JSON schema of OCPP 1.6 allows."""


class Disconnected(SimulatorError):
    """The socket is gone; ``code`` is its WebSocket close code, None if it was cut."""

    def __init__(self, code: int | None = None) -> None:
        """Say with which close code."""
        super().__init__(f"closed with {code}" if code else "the connection is gone")
        self.code = code


class ConnectionRefused(SimulatorError):
    """The central system did not open a socket; ``status`` is the HTTP status, None if nobody answered at all."""

    def __init__(self, said: str, status: int | None = None) -> None:
        """Say why."""
        super().__init__(said)
        self.status = status
