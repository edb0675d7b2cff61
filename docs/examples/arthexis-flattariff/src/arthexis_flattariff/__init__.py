"""Offer one price for all stations."""

from decimal import Decimal

from arthexis_tariffs import Tariffs

from arthexis import Service, hookimpl


class FlatTariff:
    def per_kwh(self, station):
        return Decimal("0.31")


@hookimpl
def register_services():
    yield Service(Tariffs, FlatTariff())
