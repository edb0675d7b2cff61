"""The roles of the house: what each promises about the messages that carry money, and that reading imports nothing."""

from __future__ import annotations

import sys

import pytest

from arthexis import roles
from arthexis.config import Node
from arthexis.plugins.compose import Composition, Selection, compose
from arthexis.testing import Node as Running
from arthexis.testing import wire

MONEY = ("boot_notification", "start_transaction", "stop_transaction", "meter_values")


def selection(name: str) -> Selection:
    installed = roles.installed()
    return roles.selection(roles.lineage(roles.chosen(Node(role=name), installed), installed), Node())


def composed(name: str) -> Composition:
    return compose(selection(name), lambda _plugin, struct: struct and struct())


@pytest.mark.parametrize("name", ["terminal", "control", "satellite", "watchtower"])
def test_each_role_comes_up_without_recovery(name: str) -> None:
    assert composed(name).recovery == []


@pytest.mark.parametrize("name", ["control", "satellite", "watchtower"])
def test_a_role_for_real_charging_requires_the_messages_that_carry_money(name: str) -> None:
    assert {f"arthexis-ocpp16:ocpp16.{action}" for action in MONEY} <= set(selection(name).required)


@pytest.mark.node(config={"node": {"role": "terminal"}})
async def test_a_node_of_the_usual_role_serves_a_station(host: Running) -> None:
    async with wire(host.station_url("CP-1")) as station:
        assert (await station.boot())["status"] == "Accepted"


def test_without_a_word_from_the_operator_a_node_is_a_terminal() -> None:
    assert roles.chosen(Node(), roles.installed()).name == "terminal"


def test_reading_the_roles_imports_no_package_of_theirs() -> None:
    sys.modules.pop("arthexis_roles", None)
    assert {"terminal", "control", "satellite", "watchtower", "bare"} <= roles.installed().keys()
    assert "arthexis_roles" not in sys.modules
