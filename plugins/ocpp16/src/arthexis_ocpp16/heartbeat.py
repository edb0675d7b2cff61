"""Heartbeat: the station lives, and learns the time (OCPP 1.6 §4.6)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Station, hookimpl
from arthexis_ocpp16.messages import Heartbeat, HeartbeatAnswer


async def heartbeat(station: Station, call: Call[Heartbeat]) -> HeartbeatAnswer:
    """Answer the time; that the station was seen is stored a little later, the one exception of the house."""
    return HeartbeatAnswer(call.clock.now_text())


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer Heartbeat; an answer that is some seconds old must not be repeated, because it tells the time."""
    yield Action("Heartbeat", heartbeat, early=True, replay_s=5)
