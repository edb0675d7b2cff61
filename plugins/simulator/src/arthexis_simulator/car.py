"""A believable car at a believable meter: battery, charge curve, and an energy register that only goes up.

Units: Wh, W, A, V, seconds; the state of charge is a share from 0 to 1.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

RAMP_S = 30.0
STEP_S = 5.0
NOMINAL_V = 230.0
LEAST_A = 6.0


@dataclass(frozen=True, slots=True)
class Car:
    """What arrives at a connector: it takes ``power_w`` at most, over ``phases``, and less from ``taper_at`` on."""

    battery_wh: float = 58_000.0
    arrives_at: float = 0.35
    power_w: float = 11_000.0
    phases: int = 3
    taper_at: float = 0.8
    efficiency: float = 0.92

    def wants_w(self, soc: float, seconds: float) -> float:
        """The power it asks for at a state of charge, so many seconds after it began (it ramps up, then tapers)."""
        if soc >= 1.0:
            return 0.0
        ramp = min(1.0, (seconds + STEP_S) / RAMP_S)
        room = 1.0 if soc <= self.taper_at else max(0.08, (1.0 - soc) / (1.0 - self.taper_at))
        return self.power_w * ramp * room


CARS = (
    Car(),
    Car(battery_wh=77_000.0, arrives_at=0.22),
    Car(battery_wh=39_000.0, arrives_at=0.48, power_w=7_360.0, phases=1),
    Car(battery_wh=52_000.0, arrives_at=0.61, power_w=22_000.0),
    Car(battery_wh=12_400.0, arrives_at=0.1, power_w=3_680.0, phases=1, taper_at=0.9),
)


def some_car(rng: random.Random) -> Car:
    """One of a few usual cars, arriving about as empty as they do."""
    car = rng.choice(CARS)
    arrives_at = min(0.95, max(0.05, car.arrives_at + rng.uniform(-0.1, 0.1)))
    return Car(car.battery_wh, arrives_at, car.power_w, car.phases, car.taper_at, car.efficiency)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a meter shows: the register, and power, currents and voltages as means since the sample before."""

    register_wh: float
    power_w: float
    currents_a: tuple[float, ...]
    voltages_v: tuple[float, ...]
    soc: float
    offered_w: float

    def sampled_values(self, context: str = "Sample.Periodic") -> list[dict[str, Any]]:
        """The sampled values of OCPP 1.6 §7.43: register, power, current and voltage of each phase, SoC."""
        values = [
            _value(f"{int(self.register_wh)}", "Energy.Active.Import.Register", "Wh", "Outlet", context),
            _value(f"{self.power_w:.1f}", "Power.Active.Import", "W", "Outlet", context),
        ]
        for number, (current, voltage) in enumerate(zip(self.currents_a, self.voltages_v, strict=True), 1):
            values.append(_value(f"{current:.3f}", "Current.Import", "A", "Outlet", context, f"L{number}"))
            values.append(_value(f"{voltage:.1f}", "Voltage", "V", "Outlet", context, f"L{number}-N"))
        values.append(_value(f"{self.soc * 100:.1f}", "SoC", "Percent", "EV", context))
        return values


def _value(value: str, measurand: str, unit: str, location: str, context: str, phase: str | None = None) -> Any:
    told = {"value": value, "context": context, "format": "Raw", "measurand": measurand}
    if phase is not None:
        told["phase"] = phase
    return {**told, "location": location, "unit": unit}


@dataclass(slots=True)
class Meter:
    """The meter of one connector: ``register_wh`` never goes down; with a car plugged in it counts what that takes."""

    register_wh: float = 0.0
    car: Car | None = None
    soc: float = 0.0
    seconds: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(16))

    def plug(self, car: Car) -> None:
        """A car arrives."""
        self.car, self.soc, self.seconds = car, car.arrives_at, 0.0

    def unplug(self) -> None:
        """The car leaves."""
        self.car = None

    @property
    def full(self) -> bool:
        """Whether the car takes next to nothing any more."""
        return self.car is not None and self.soc >= 0.999

    def pass_time(self, seconds: float, limit_w: float | None = None) -> Sample:
        """Charge for so long, under a limit if there is one; energy is exactly mean power times time."""
        before_wh, left = self.register_wh, seconds
        while left > 0 and self.car is not None:
            step_s = min(STEP_S, left)
            self._charge(self.car, step_s, limit_w)
            left -= step_s
        mean_w = (self.register_wh - before_wh) * 3600 / seconds if seconds > 0 else 0.0
        return self._sample(mean_w, limit_w)

    def _charge(self, car: Car, seconds: float, limit_w: float | None) -> None:
        power_w = car.wants_w(self.soc, self.seconds)
        if limit_w is not None:
            power_w = 0.0 if limit_w < LEAST_A * NOMINAL_V else min(power_w, limit_w)
        room_wh = (1.0 - self.soc) * car.battery_wh / car.efficiency
        energy_wh = min(power_w * seconds / 3600, room_wh)
        self.register_wh += energy_wh
        self.soc = min(1.0, self.soc + energy_wh * car.efficiency / car.battery_wh)
        self.seconds += seconds

    def _sample(self, power_w: float, limit_w: float | None) -> Sample:
        """Currents follow from power and voltage: the phases' products add up to the power."""
        phases = self.car.phases if self.car is not None else 3
        most_w = self.car.power_w if self.car is not None else 0.0
        voltages = tuple(round(NOMINAL_V + self.rng.uniform(-2.0, 2.0), 1) for _ in range(phases))
        currents = tuple(power_w / phases / voltage for voltage in voltages)
        offered_w = most_w if limit_w is None else min(most_w, limit_w)
        return Sample(self.register_wh, power_w, currents, voltages, self.soc, offered_w)
