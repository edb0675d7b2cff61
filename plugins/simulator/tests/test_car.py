"""The car and its meter obey physics."""

from __future__ import annotations

import random

import pytest
from arthexis_simulator.car import CARS, NOMINAL_V, Car, Meter, some_car

INTERVAL_S = 60.0


def charged(car: Car, samples: int, *, interval_s: float = INTERVAL_S, limit_w: float | None = None):
    meter = Meter(123_456.0)
    meter.plug(car)
    return [meter.pass_time(interval_s, limit_w) for _ in range(samples)]


@pytest.mark.parametrize("car", CARS)
@pytest.mark.parametrize("interval_s", [7.0, 60.0, 900.0])
def test_power_times_time_is_the_energy_registered(car: Car, interval_s: float) -> None:
    samples = charged(car, 40, interval_s=interval_s)
    registered = [123_456.0, *(sample.register_wh for sample in samples)]
    for before, sample in zip(registered, samples, strict=False):
        assert sample.power_w * interval_s / 3600 == pytest.approx(sample.register_wh - before, abs=1e-6)


@pytest.mark.parametrize("car", CARS)
def test_the_register_never_goes_down_and_stands_still_when_the_car_is_full(car: Car) -> None:
    samples = charged(car, 600, interval_s=300.0)
    registers = [sample.register_wh for sample in samples]
    assert registers == sorted(registers)
    assert samples[-1].soc == pytest.approx(1.0, abs=0.002)
    assert registers[-1] - registers[-2] < 1.0


@pytest.mark.parametrize("car", CARS)
def test_the_phases_products_of_voltage_and_current_add_up_to_the_power(car: Car) -> None:
    for sample in charged(car, 30):
        products = [volts * amps for volts, amps in zip(sample.voltages_v, sample.currents_a, strict=True)]
        assert sum(products) == pytest.approx(sample.power_w)
        assert len(products) == car.phases
        assert all(abs(volts - NOMINAL_V) <= 2.1 for volts in sample.voltages_v)


def test_what_is_written_on_the_wire_agrees_with_itself_within_its_decimals() -> None:
    meter = Meter(1000.0)
    meter.plug(Car())
    before = 1000.0
    for _ in range(10):
        values = {(v["measurand"], v.get("phase")): float(v["value"]) for v in meter.pass_time(60.0).sampled_values()}
        power = values["Power.Active.Import", None]
        parts = [values["Current.Import", f"L{n}"] * values["Voltage", f"L{n}-N"] for n in (1, 2, 3)]
        assert sum(parts) == pytest.approx(power, abs=1.0)
        assert values["Energy.Active.Import.Register", None] - before == pytest.approx(power / 60, abs=1.1)
        before = values["Energy.Active.Import.Register", None]


def test_power_ramps_up_holds_and_tapers() -> None:
    samples = charged(Car(), 900, interval_s=30.0)
    powers = [sample.power_w for sample in samples]
    assert powers[0] < 0.7 * powers[2]
    assert powers[2] == pytest.approx(11_000.0)
    late = [sample.power_w for sample in samples if 0.9 < sample.soc < 0.99]
    assert late == sorted(late, reverse=True)
    assert late[0] <= 5_500.0


def test_the_battery_takes_what_the_meter_counts_less_the_losses() -> None:
    car = Car()
    meter = Meter(0.0)
    meter.plug(car)
    for _ in range(30):
        meter.pass_time(INTERVAL_S)
    assert (meter.soc - car.arrives_at) * car.battery_wh == pytest.approx(meter.register_wh * car.efficiency)


def test_a_limit_is_kept_and_one_below_six_amperes_pauses() -> None:
    assert charged(Car(), 5, limit_w=4_140.0)[-1].power_w == pytest.approx(4_140.0)
    assert charged(Car(), 5, limit_w=500.0)[-1].power_w == 0.0


def test_without_a_car_nothing_is_counted() -> None:
    meter = Meter(5.0)
    assert meter.pass_time(3600).power_w == 0.0
    assert meter.register_wh == 5.0


def test_cars_differ_and_are_the_same_for_the_same_seed() -> None:
    cars = [some_car(random.Random(seed)) for seed in range(30)]
    assert len(set(cars)) > 20
    assert some_car(random.Random(7)) == some_car(random.Random(7))
