"""Looking for displays: every bus of this machine, every address that a backpack can have."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from arthexis import Unavailable
from arthexis_lcd import i2c

ADDRESSES: Final = (*range(0x20, 0x28), *range(0x38, 0x40))
"""What the three solder bridges of a PCF8574 and of a PCF8574A can make."""
WITHIN_S: Final = 5.0


class Found(Struct, kw_only=True):
    """A bus: ``addresses`` at which something answers, or why it could not be asked."""

    bus: str
    addresses: list[str] = []
    problem: str | None = None
    cure: str | None = None


def probe(paths: Sequence[str] | None = None) -> list[Found]:
    """Ask every bus, or these, each for a few seconds at most; raises ``Unavailable`` where there is none at all."""
    asked = i2c.buses() if paths is None else list(paths)
    if not asked:
        i2c.Wires(1)  # raises, with the reason why there is no bus on this machine
    return [_within(path) for path in asked]


def _within(path: str) -> Found:
    """One bus, asked in a thread that is left behind where the bus hangs."""
    answers: list[Found] = []
    thread = threading.Thread(target=lambda: answers.append(_asked(path)), name="arthexis-lcd-probe", daemon=True)
    thread.start()
    thread.join(WITHIN_S)
    return answers[0] if answers else Found(bus=path, problem="the bus hangs", cure="Unplug what is on it")


def _asked(path: str) -> Found:
    try:
        with i2c.Wires(path) as wires:
            return Found(bus=path, addresses=[f"0x{address:02x}" for address in wires.present(ADDRESSES)])
    except Unavailable as trouble:
        return _troubled(path, trouble)
    except OSError as error:
        return _troubled(path, i2c.failed(path, error))


def _troubled(path: str, trouble: Unavailable) -> Found:
    return Found(bus=path, problem=trouble.problem, cure=trouble.cure)
