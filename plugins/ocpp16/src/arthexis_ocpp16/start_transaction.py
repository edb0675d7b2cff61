"""StartTransaction: a session begins, whatever the central system thinks of its tag (OCPP 1.6 §4.8)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Connection, Station, hookimpl, transactions
from arthexis_ocpp16.messages import StartTransaction, StartTransactionAnswer
from arthexis_ocpp16.reading import connector, given, id_tag_info, presented, said, time_text, transaction


async def start_transaction(station: Station, call: Call[StartTransaction]) -> StartTransactionAnswer:
    """Open a transaction and say whether its tag may charge; a refused one is stored and numbered all the same."""
    told = call.payload
    id_tag = presented(call, "idTag", told.id_tag)
    policy = await call.host.decide_authorization(station, id_tag, starting=True)
    start = transactions.Start(
        connector=connector(told.connector_id),
        id_tag=id_tag,
        meter_start_wh=said(call, "meterStart", told.meter_start),
        at=call.time(told.timestamp),
        at_raw=time_text(told.timestamp),
        reservation_id=transaction(given(told.reservation_id)),
    )

    def store(db: Connection) -> StartTransactionAnswer:
        started = transactions.start(db, station, start, call.record, policy, admit_unknown=call.host.open)
        return StartTransactionAnswer(id_tag_info(started.authorization), started.id)

    return await call.write(store)


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer StartTransaction."""
    yield Action("StartTransaction", start_transaction, asks=("decide_authorization",))
