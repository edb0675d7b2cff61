"""Whoever asks for the interface gets what this plugin offers."""

from decimal import Decimal

import pytest
from arthexis_tariffs import Tariffs


@pytest.mark.plugins("arthexis-flattariff:flattariff")
async def test_the_service_is_found_by_its_interface(host):
    assert host.host.service(Tariffs).per_kwh("CP-1") == Decimal("0.31")


async def test_without_the_plugin_there_is_none(host):
    assert host.host.service(Tariffs) is None
