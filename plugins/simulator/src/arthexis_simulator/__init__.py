"""Simulated OCPP 1.6 charge points over real sockets: a library for tests, and the command ``arthexis simulate``.

Everything a test author needs is here and is imported when it is first asked for::

    async with station("ws://127.0.0.1:8888/ocpp", "CP-1") as cp:
        await cp.boot()
        started = await cp.start(id_tag="TAG")
        await cp.meter(energy_wh=120, power_w=7200)
        await cp.stop(meter_stop_wh=240)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arthexis_simulator.answers import Late, Malformed, Refusal, Silence
    from arthexis_simulator.car import Car, Meter
    from arthexis_simulator.errors import (
        CallError,
        ConnectionRefused,
        Disconnected,
        InvalidAnswer,
        SimulatorError,
        Unanswered,
    )
    from arthexis_simulator.session import Session
    from arthexis_simulator.station import Station, station
    from arthexis_simulator.wire import Frame

_HOMES = {
    "answers": ("Late", "Malformed", "Refusal", "Silence"),
    "car": ("Car", "Meter"),
    "errors": (
        "CallError",
        "ConnectionRefused",
        "Disconnected",
        "InvalidAnswer",
        "SimulatorError",
        "Unanswered",
    ),
    "session": ("Session",),
    "station": ("Station", "station"),
    "wire": ("Frame",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CallError",
    "Car",
    "ConnectionRefused",
    "Disconnected",
    "Frame",
    "InvalidAnswer",
    "Late",
    "Malformed",
    "Meter",
    "Refusal",
    "Session",
    "Silence",
    "SimulatorError",
    "Station",
    "Unanswered",
    "station",
]


def __getattr__(name: str) -> Any:
    """Resolve a public name when it is first asked for: a node that merely lists its commands imports no client."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"arthexis_simulator has no public name {name!r}")
    for public in _HOMES[home]:
        globals()[public] = getattr(importlib.import_module(f"arthexis_simulator.{home}"), public)
    return globals()[name]
