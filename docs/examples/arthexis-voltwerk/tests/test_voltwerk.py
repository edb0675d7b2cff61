"""What Voltwerk wallboxes are told, over a real socket."""

import pytest

from arthexis.testing import wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*", "arthexis-voltwerk:voltwerk")


async def asked(host, data):
    async with wire(host.station_url("CP-1")) as station:
        await station.boot(vendor="Voltwerk")
        return await station.result("DataTransfer", {"vendorId": "com.voltwerk", "messageId": "GetPrice", "data": data})


async def test_a_price_is_what_the_energy_costs(host):
    assert await asked(host, '{"kwh": 12.5}') == {"status": "Accepted", "data": '{"cents":475,"currency":"EUR"}'}


@pytest.mark.node(config={"plugins": {"voltwerk": {"night_cents": 20, "currency": "CHF"}}})
async def test_prices_are_the_operator_s(host):
    answer = await asked(host, '{"kwh": 10, "tariff": "night"}')
    assert answer == {"status": "Accepted", "data": '{"cents":200,"currency":"CHF"}'}


async def test_a_tariff_that_is_not_there_is_rejected(host):
    assert await asked(host, '{"kwh": 1, "tariff": "gold"}') == {"status": "Rejected", "data": "no tariff gold"}


@pytest.mark.parametrize("data", ['{"kwh": "much"}', '{"kwh": -1}', "12.5 kWh", ""])
async def test_a_question_that_is_none_is_rejected_with_the_reason(host, data):
    answer = await asked(host, data)
    assert answer["status"] == "Rejected"
    assert answer["data"].startswith("data: ")


@pytest.mark.node(config={"plugins": {"voltwerk": {"day_cents": -1}}})
async def test_a_price_below_nothing_is_refused_at_the_start(host):
    host.excuse("voltwerk")
    plugin = host.plugin("voltwerk")
    assert plugin.state == "failed"
    assert "plugins.voltwerk.day_cents" in plugin.reason
