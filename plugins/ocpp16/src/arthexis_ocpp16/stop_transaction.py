"""StopTransaction: a session ends; it cannot be refused (OCPP 1.6 §4.10, errata 3.18)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from arthexis import Action, Call, Connection, Station, hookimpl, meter_values, transactions
from arthexis_ocpp16.messages import StopTransaction, StopTransactionAnswer
from arthexis_ocpp16.reading import given, id_tag_info, presented, readings, said, time_text, transaction
from arthexis_ocpp16.tables import SESSION_OVER

DEFAULT_REASON = "Local"


async def stop_transaction(station: Station, call: Call[StopTransaction]) -> StopTransactionAnswer:
    """Close the transaction and keep its transactionData; a stop of nothing known is kept as one of its own."""
    told = call.payload
    id_tag = presented(call, "idTag", told.id_tag) if told.id_tag else None
    policy = await call.host.decide_authorization(station, id_tag, starting=False) if id_tag is not None else None
    stop = transactions.Stop(
        transaction_id=transaction(told.transaction_id) or 0,
        meter_stop_wh=said(call, "meterStop", told.meter_stop),
        at=call.time(told.timestamp),
        at_raw=time_text(told.timestamp),
        reason=given(told.reason) or DEFAULT_REASON,
        id_tag=id_tag,
    )
    data = readings(call, given(told.transaction_data) or (), "transactionData")

    def store(db: Connection) -> StopTransactionAnswer:
        stopped = transactions.stop(db, station, stop, call.record, policy, admit_unknown=call.host.open)
        meter_values.insert(db, station, stopped.connector, stopped.id, stopped.id, data, call.record, with_stop=True)
        db.run(SESSION_OVER, station_id=station.row, transaction_id=stopped.id)
        return StopTransactionAnswer(id_tag_info(stopped.authorization) if stopped.authorization else UNSET)

    return await call.write(store)


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer StopTransaction."""
    yield Action("StopTransaction", stop_transaction, asks=("decide_authorization",))
