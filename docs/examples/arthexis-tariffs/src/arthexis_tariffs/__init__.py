"""What plugins may ask about prices. An interface and no plugin, so that every plugin may import it."""

from decimal import Decimal
from typing import Protocol


class Tariffs(Protocol):
    """What a kWh costs. Where nobody offers one, say no price at all."""

    def per_kwh(self, station: str) -> Decimal:
        """The price of a kWh at a station."""
