"""DataTransfer: vendors' own messages, answered by whoever registered for them (OCPP 1.6 §4.3)."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from arthexis import Action, Call, Clock, Connection, Host, Reject, Station, hookimpl
from arthexis import DataTransfer as Transfer
from arthexis_ocpp16.messages import DataTransfer, DataTransferAnswer
from arthexis_ocpp16.reading import given
from arthexis_ocpp16.tables import DATA_TRANSFER

HANDLER_S = Transfer.WITHIN_S
RECEIVED = "data_transfer.received"
UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class TransferContext:
    """What a handler gets beside station and data: what its plugin's ``Context`` holds, and the CALL itself."""

    config: Any
    journal: Any
    log: logging.Logger
    clock: Clock
    host: Host
    plugin: Any
    call: Call[DataTransfer]


class Offer(NamedTuple):
    """A vendor's handler and the plugin that brought it."""

    plugin: Any
    transfer: Transfer


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
        told_of = {"vendor_id": told.vendor_id, "message_id": given(told.message_id), "data": given(told.data)}
        db.event(RECEIVED, station.id, {**told_of, "status": answer.status})
        return answer

    return await call.write(store)


async def _answered(station: Station, call: Call[DataTransfer]) -> DataTransferAnswer:
    vendor_id, message_id = call.payload.vendor_id, given(call.payload.message_id)
    of_vendor = _table(call.host.composition.data_transfers).get(vendor_id.casefold())
    if of_vendor is None:
        return DataTransferAnswer("UnknownVendorId")
    offer = of_vendor.get(None if message_id is None else message_id.casefold()) or of_vendor.get(None)
    return DataTransferAnswer("UnknownMessageId") if offer is None else await _handled(station, call, offer)


def _table(transfers: Iterable[tuple[Any, Transfer]]) -> dict[str, dict[str | None, Offer]]:
    """Who answers: by vendor, then by message (None: every other one), both without case (CiString, OCPP 1.6 §7)."""
    table: dict[str, dict[str | None, Offer]] = {}
    for plugin, transfer in transfers:
        vendor, message = transfer.key
        table.setdefault(vendor, {})[message] = Offer(plugin, transfer)
    return table


async def _handled(station: Station, call: Call[DataTransfer], offer: Offer) -> DataTransferAnswer:
    """Run a vendor's handler: an exception, 5 s, or an answer that nobody can write is Rejected and counted."""
    plugin, transfer = offer
    of = call.host.context(plugin)
    context = TransferContext(of.config, of.journal, of.log, of.clock, of.host, plugin, call)
    if not plugin.standing:
        context.log.warning("DataTransfer of %s is rejected: the plugin failed: %s", station.id, plugin.reason)
        return DataTransferAnswer("Rejected")
    label = f"data transfer {transfer.vendor_id}/{transfer.message_id or '*'}"
    answer, failure = await call.host.contain.timed(HANDLER_S, plugin, _asked, transfer, station, context, hook=label)
    return answer if failure is None and answer is not None else DataTransferAnswer("Rejected")


async def _asked(transfer: Transfer, station: Station, context: TransferContext) -> DataTransferAnswer:
    """What a handler, sync or async, makes of the data; a ``Reject`` that it raises is an answer, not a fault.

    Raises for an answer that nobody can write.
    """
    most_bytes = context.host.settings.stations.max_frame_bytes
    try:
        data = _decoded(transfer, given(context.call.payload.data))
    except UNDECODABLE as wrong:
        return _said(_not_decoded(transfer, station, context, wrong), most_bytes)
    try:
        answer = context.host.context(context.plugin).fitted(transfer.handler, 2, context)(station, data)
        return _said(await answer if inspect.isawaitable(answer) else answer, most_bytes)
    except Reject as rejected:
        return _said(rejected, most_bytes)


def _not_decoded(transfer: Transfer, station: Station, context: TransferContext, wrong: Exception) -> Reject:
    """Say here and there what is wrong with the data; what was sent is kept as it is."""
    said = " ".join(str(wrong).split())
    context.log.warning(
        "DataTransfer %s %s of %s is rejected: its data does not fit: %s",
        transfer.vendor_id,
        transfer.message_id or "(any message)",
        station.id,
        said,
        extra={"station": station.id},
    )
    return Reject(f"data: {said}"[:255])


def _decoded(transfer: Transfer, data: str | None) -> Any:
    """The data as the handler declared it; text where it declared nothing."""
    if transfer.data is None:
        return data
    return msgspec.json.decode(data if data is not None else "null", type=transfer.data)


def _said(answer: Any, most_bytes: int) -> DataTransferAnswer:
    """An answer with its data: None for none, text verbatim, anything else as JSON text; raises where it cannot."""
    status, value = ("Rejected", answer.data) if isinstance(answer, Reject) else ("Accepted", answer)
    if value is None:
        return DataTransferAnswer(status)  # type: ignore[arg-type]
    written = str.__str__(value).encode() if isinstance(value, str) else msgspec.json.encode(value)
    if len(written) > most_bytes:
        raise ValueError(f"answered {len(written):,} bytes; stations.max_frame_bytes is {most_bytes:,}")
    return DataTransferAnswer(status, written.decode())  # type: ignore[arg-type]


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer DataTransfer."""
    yield Action("DataTransfer", data_transfer)
