"""DataTransfer: vendors' own messages, answered by whoever registered for them (OCPP 1.6 §4.3)."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from arthexis import Action, Call, Connection, Reject, Station, hookimpl
from arthexis import DataTransfer as Transfer
from arthexis_ocpp16.messages import DataTransfer, DataTransferAnswer
from arthexis_ocpp16.reading import given
from arthexis_ocpp16.tables import DATA_TRANSFER

HANDLER_S = 5.0


@dataclass(frozen=True, slots=True)
class TransferContext:
    """What a handler with three parameters gets: its plugin's settings, the journal, a logger, and the CALL itself."""

    config: Any
    journal: Any
    log: logging.Logger
    call: Call[DataTransfer]


async def data_transfer(station: Station, call: Call[DataTransfer]) -> DataTransferAnswer:
    """Find who answers this vendor's message, and keep what was said both ways."""
    told = call.payload
    answer = await _answered(station, call)

    def store(db: Connection) -> DataTransferAnswer:
        db.run(
            DATA_TRANSFER,
            station_id=station.row,
            outbound=False,
            vendor_id=told.vendor_id,
            message_id=given(told.message_id),
            data=given(told.data),
            status=answer.status,
            answer=given(answer.data),
            received_at=call.record.received_at,
        )
        return answer

    return await call.write(store)


async def _answered(station: Station, call: Call[DataTransfer]) -> DataTransferAnswer:
    vendor_id, message_id = call.payload.vendor_id, given(call.payload.message_id)
    transfers = call.host.composition.data_transfers
    of_vendor = [(plugin, transfer) for plugin, transfer in transfers if _same(transfer.vendor_id, vendor_id)]
    if not of_vendor:
        return DataTransferAnswer("UnknownVendorId")
    for wanted in (message_id, None):
        for plugin, transfer in of_vendor:
            if _same(transfer.message_id, wanted):
                return await _handled(station, call, plugin, transfer)
    return DataTransferAnswer("UnknownMessageId")


def _same(name: str | None, said: str | None) -> bool:
    """Whether two names of vendors or messages are the same; both are case-insensitive (CiString, OCPP 1.6 §7)."""
    return name == said or (name is not None and said is not None and name.lower() == said.lower())


async def _handled(station: Station, call: Call[DataTransfer], plugin: Any, transfer: Transfer) -> DataTransferAnswer:
    """Run a vendor's handler: an exception, or more than 5 s, is Rejected and counted."""
    try:
        data = _decoded(transfer, given(call.payload.data))
    except (msgspec.MsgspecError, UnicodeEncodeError) as wrong:
        return DataTransferAnswer("Rejected", f"data: {wrong}"[:255])
    context = TransferContext(
        plugin.settings, call.host.journal, logging.getLogger(f"arthexis.plugins.{plugin.name}"), call
    )
    args = (station, data, context)[: _arguments(transfer)]
    contain = call.host.contain
    label = f"data transfer {transfer.vendor_id}/{transfer.message_id or '*'}"
    answer, failure = await contain.timed(HANDLER_S, plugin, _rejecting, transfer.handler, args, hook=label)
    return answer if failure is None and answer is not None else DataTransferAnswer("Rejected")


async def _rejecting(handler: Any, args: tuple[Any, ...]) -> DataTransferAnswer:
    """Call a handler, sync or async; a ``Reject`` it raises is an answer, not a fault. Raises for what is no answer."""
    try:
        answer = handler(*args)
        return _said("Accepted", await answer if inspect.isawaitable(answer) else answer)
    except Reject as rejected:
        return _said("Rejected", rejected.data)


def _arguments(transfer: Transfer) -> int:
    """Whether the handler takes (station, data) or (station, data, ctx)."""
    try:
        parameters = inspect.signature(transfer.handler).parameters.values()
    except (TypeError, ValueError):
        return 2
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return 3 if len(positional) > 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters) else 2


def _decoded(transfer: Transfer, data: str | None) -> Any:
    """The data as the handler declared it; text where it declared nothing."""
    if transfer.data is None:
        return data
    return msgspec.json.decode(data if data is not None else "null", type=transfer.data)


def _said(status: Any, answer: Any) -> DataTransferAnswer:
    """An answer with data: None for none, text verbatim, anything else as JSON text."""
    if answer is None:
        return DataTransferAnswer(status)
    return DataTransferAnswer(status, answer if isinstance(answer, str) else msgspec.json.encode(answer).decode())


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer DataTransfer."""
    yield Action("DataTransfer", data_transfer)
