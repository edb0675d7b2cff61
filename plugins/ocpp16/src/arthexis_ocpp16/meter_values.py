"""MeterValues: what the meter says, during a transaction or without one (OCPP 1.6 §4.7)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Connection, Station, hookimpl
from arthexis import meter_values as domain
from arthexis_ocpp16.messages import MeterValues, MeterValuesAnswer
from arthexis_ocpp16.reading import connector, readings, transaction

ANSWER = MeterValuesAnswer()


async def meter_values(station: Station, call: Call[MeterValues]) -> MeterValuesAnswer:
    """Keep every sample with its phase, unit, location, context and format."""
    told = call.payload
    number, claimed_id = connector(told.connector_id), transaction(told.transaction_id)
    data = readings(call, told.meter_value, "meterValue")

    def store(db: Connection) -> MeterValuesAnswer:
        domain.store(db, station, number, claimed_id, data, call.record)
        return ANSWER

    return await call.write(store)


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer MeterValues."""
    yield Action("MeterValues", meter_values)
