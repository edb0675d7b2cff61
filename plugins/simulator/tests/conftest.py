"""What the simulator's tests share: the node's side of a socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from arthexis.testing import Node

Ask = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def ask(host: Node) -> Ask:
    """Let the node send a CALL to CP-1 over its socket: ``await ask("Reset", type="Soft")``; the answer's payload."""

    async def ask_station(action: str, /, timeout_s: float = 5.0, **payload: Any) -> dict[str, Any]:
        return await host.host.links["cp-1"].ask(action, payload, timeout_s)

    return ask_station
