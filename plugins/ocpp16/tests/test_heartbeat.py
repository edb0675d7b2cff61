"""Heartbeat: the station lives and learns the time."""

from __future__ import annotations

import pytest

from arthexis.testing import FrozenClock, Node, Wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def test_it_tells_the_time_each_time(clock: FrozenClock, cp: Wire) -> None:
    """Rules 10 and 12: UTC with milliseconds, never an old time from memory."""
    assert await cp.result("Heartbeat") == {"currentTime": "2026-11-24T12:00:00.000Z"}
    clock.advance(61.5)
    assert await cp.result("Heartbeat") == {"currentTime": "2026-11-24T12:01:01.500Z"}


@pytest.mark.parametrize("payload", [None, {}])
async def test_null_is_an_empty_payload(cp: Wire, payload: object) -> None:
    """Rule 2 (OCPP-J §4.2.1)."""
    await cp.say([2, "n", "Heartbeat", payload])
    assert (await cp.hear())[0] == 3


async def test_it_is_on_record(host: Node, cp: Wire) -> None:
    await cp.result("Heartbeat", None, "beat")
    await cp.result("Authorize", {"idTag": "TAG"})
    await host.settle()
    assert "beat" in [row["message_id"] for row in await host.ask("messages.list")]
