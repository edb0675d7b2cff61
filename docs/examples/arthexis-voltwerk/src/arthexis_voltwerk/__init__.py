"""What Voltwerk wallboxes ask for: the price of so much energy in a tariff, from the configuration."""

from typing import Annotated

from msgspec import Meta, Struct

from arthexis import Config, DataTransfer, Reject, hookimpl


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    day_cents: Annotated[int, Meta(description="Cents for a kWh by day", ge=0)] = 38
    night_cents: Annotated[int, Meta(description="Cents for a kWh at night", ge=0)] = 24
    currency: Annotated[str, Meta(description="Three letters", pattern="^[A-Z]{3}$")] = "EUR"


class Question(Struct):
    kwh: Annotated[float, Meta(ge=0)]
    tariff: str = "day"


class Price(Struct, rename="camel"):
    cents: int
    currency: str


async def price(station, question, ctx):
    cents = {"day": ctx.config.day_cents, "night": ctx.config.night_cents}
    if question.tariff not in cents:
        raise Reject(f"no tariff {question.tariff}")
    return Price(round(question.kwh * cents[question.tariff]), ctx.config.currency)


@hookimpl
def register_config():
    yield Config(Settings)


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.voltwerk", "GetPrice", price, data=Question)
