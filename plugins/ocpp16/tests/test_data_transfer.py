"""DataTransfer: the vendor who registered answers, whatever the handler does; both sides are on record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from arthexis_ocpp16.tables import data_transfer

from arthexis.testing import Node, Wire, wire

Run = Callable[..., AbstractAsyncContextManager[Node]]

VENDOR = """
import asyncio
import msgspec
from arthexis import DataTransfer, Reject, hookimpl


class Question(msgspec.Struct, forbid_unknown_fields=True):
    kwh: float


class Price(msgspec.Struct):
    total: float
    currency: str = "EUR"


async def nothing(station, data):
    return None


async def text(station, data):
    return f"{station.id} said {data}"


async def a_dict(station, data):
    return {"pricePerKwh": 0.31}


async def a_struct(station, data):
    return Price(0.31)


async def typed(station, data):
    return Price(round(data.kwh * 0.5, 2))


async def rejects(station, data):
    raise Reject("not today")


async def breaks(station, data):
    raise KeyError("boom")


async def leaves(station, data):
    raise SystemExit(3)


async def hangs(station, data):
    await asyncio.sleep(60)


async def junk(station, data):
    return object()


def plain(station, data):
    return "no coroutine"


async def with_context(station, data, ctx):
    return f"{ctx.call.record.message_id} {ctx.log.name.startswith('arthexis.plugins.')} {ctx.journal is not None}"


async def any_message(station, data):
    return "whatever"


HANDLERS = [nothing, text, a_dict, a_struct, rejects, breaks, leaves, hangs, junk, plain, with_context]


@hookimpl
def register_data_transfers():
    for handler in HANDLERS:
        yield DataTransfer("com.acme", handler.__name__, handler)
    yield DataTransfer("com.acme", "typed", typed, Question)
    yield DataTransfer("org.any", None, any_message)
"""


@pytest_asyncio.fixture
async def vendor(run: Run, install: Callable[[str], str]) -> AsyncIterator[tuple[Node, Wire]]:
    """A node with the vendor's plugin, and a station of it."""
    async with run(plugins=[install(VENDOR)]) as host:
        async with wire(host.station_url("CP-1")) as cp:
            await cp.boot()
            yield host, cp


async def kept(host: Node) -> list[tuple[Any, ...]]:
    def read(db: Any) -> list[tuple[Any, ...]]:
        c = data_transfer.c
        wanted = sa.select(c.vendor_id, c.message_id, c.data, c.status, c.answer).order_by(c.id)
        return [tuple(row) for row in db.core.execute(wanted)]

    return await host.host.database.read(read)


@pytest.mark.parametrize(
    ("vendor_id", "message_id", "status"),
    [
        ("com.nobody", "GetPrice", "UnknownVendorId"),
        ("com.nobody", None, "UnknownVendorId"),
        ("", "text", "UnknownVendorId"),
        ("com.acm", "text", "UnknownVendorId"),
        ("com.acme", "GetPrice", "UnknownMessageId"),
        ("com.acme", None, "UnknownMessageId"),
    ],
)
async def test_what_nobody_registered_is_unknown_without_data(
    vendor: tuple[Node, Wire], vendor_id: str, message_id: str | None, status: str
) -> None:
    """Rule 20, conformance 064: neither CALLERROR nor Accepted."""
    host, cp = vendor
    told = {"vendorId": vendor_id, "data": "d"} | ({"messageId": message_id} if message_id is not None else {})
    assert await cp.result("DataTransfer", told) == {"status": status}
    assert await kept(host) == [(vendor_id, message_id, "d", status, None)]


@pytest.mark.parametrize(
    ("message_id", "answer"),
    [
        ("nothing", {"status": "Accepted"}),
        ("text", {"status": "Accepted", "data": "CP-1 said hello"}),
        ("TEXT", {"status": "Accepted", "data": "CP-1 said hello"}),
        ("a_dict", {"status": "Accepted", "data": '{"pricePerKwh":0.31}'}),
        ("a_struct", {"status": "Accepted", "data": '{"total":0.31,"currency":"EUR"}'}),
        ("rejects", {"status": "Rejected", "data": "not today"}),
        ("plain", {"status": "Accepted", "data": "no coroutine"}),
        ("with_context", {"status": "Accepted", "data": "m-1 True True"}),
    ],
)
async def test_what_a_handler_returns_is_what_the_station_gets(
    vendor: tuple[Node, Wire], message_id: str, answer: dict[str, str]
) -> None:
    host, cp = vendor
    told = {"vendorId": "com.Acme", "messageId": message_id, "data": "hello"}
    assert await cp.result("DataTransfer", told, "m-1") == answer
    assert await kept(host) == [("com.Acme", message_id, "hello", answer["status"], answer.get("data"))]


@pytest.mark.parametrize("message_id", ["breaks", "leaves", "junk"])
async def test_a_handler_that_fails_rejects_and_is_counted(vendor: tuple[Node, Wire], message_id: str) -> None:
    host, cp = vendor
    told = {"vendorId": "com.acme", "messageId": message_id}
    assert await cp.result("DataTransfer", told) == {"status": "Rejected"}
    ((name, _),) = host.faults()
    assert host.plugin(name).errors == 1
    assert (await cp.result("DataTransfer", {"vendorId": "com.acme", "messageId": "nothing"})) == {"status": "Accepted"}
    assert [row[3] for row in await kept(host)] == ["Rejected", "Accepted"]


async def test_a_handler_that_hangs_is_given_up_after_five_seconds(
    vendor: tuple[Node, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    from arthexis_ocpp16 import data_transfer as action

    assert action.HANDLER_S == 5.0
    monkeypatch.setattr(action, "HANDLER_S", 0.3)
    host, cp = vendor
    async with wire(host.station_url("CP-2")) as other:
        hanging = asyncio.create_task(cp.result("DataTransfer", {"vendorId": "com.acme", "messageId": "hangs"}))
        await other.result("Heartbeat")
        assert not hanging.done()
        assert await hanging == {"status": "Rejected"}
    assert len(host.faults()) == 1


async def test_typed_data_is_decoded_and_what_does_not_fit_is_rejected_with_the_reason(
    vendor: tuple[Node, Wire],
) -> None:
    host, cp = vendor
    good = await cp.result("DataTransfer", {"vendorId": "com.acme", "messageId": "typed", "data": '{"kwh": 3}'})
    assert good == {"status": "Accepted", "data": '{"total":1.5,"currency":"EUR"}'}
    for data in ("kwh", '{"kwh": "three"}', '{"kwh": 1, "more": 2}', None):
        told = {"vendorId": "com.acme", "messageId": "typed"} | ({"data": data} if data is not None else {})
        answer = await cp.result("DataTransfer", told)
        assert answer["status"] == "Rejected"
        assert answer["data"].startswith("data: ")
    assert host.faults() == []


async def test_an_object_as_data_is_its_json(vendor: tuple[Node, Wire]) -> None:
    """A quirk: the schema wants text, stations send objects."""
    host, cp = vendor
    said = {"vendorId": "com.acme", "messageId": "typed", "data": {"kwh": 2.5}}
    assert json.loads((await cp.result("DataTransfer", said))["data"])["total"] == 1.25
    assert (await kept(host))[0][2] == '{"kwh":2.5}'


async def test_a_handler_for_all_messages_of_a_vendor_takes_them_all(vendor: tuple[Node, Wire]) -> None:
    _, cp = vendor
    for message in ({"messageId": "X"}, {}):
        assert (await cp.result("DataTransfer", {"vendorId": "org.any", **message}))["data"] == "whatever"


async def test_data_of_any_length_is_kept(vendor: tuple[Node, Wire]) -> None:
    host, cp = vendor
    data = "é€😀" * 30_000
    answer = await cp.result("DataTransfer", {"vendorId": "com.acme", "messageId": "text", "data": data})
    assert answer["data"] == f"CP-1 said {data}"
    assert (await kept(host))[0][2] == data
