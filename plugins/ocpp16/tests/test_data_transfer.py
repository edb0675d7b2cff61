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
import functools
import msgspec
from arthexis import DataTransfer, DomainError, Reject, Unavailable, hookimpl


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


async def a_list(station, data):
    return [1, None, {"a": 2.5}]


async def a_number(station, data):
    return 7


async def rejects_with_a_dict(station, data):
    raise Reject({"why": "sold out"})


async def returns_a_reject(station, data):
    return Reject()


async def surrogate(station, data):
    return "half a pair \\ud800"


async def surrogate_within(station, data):
    return {"text": "half a pair \\ud800"}


async def round_and_round(station, data):
    circle = []
    circle.append(circle)
    return circle


async def too_long(station, data):
    return "x" * 2_000_000


async def not_now(station, data):
    raise Unavailable("the price server is away")


async def refuses(station, data):
    raise DomainError("not for you")


class Guarded(msgspec.Struct):
    kwh: float

    def __post_init__(self):
        if self.kwh < 0:
            raise ValueError("kwh is negative")
        if self.kwh > 100:
            raise KeyError("broken check")


async def guarded(station, data):
    return data.kwh


async def anything(station, data):
    return data


def logged(handler):
    @functools.wraps(handler)
    async def inner(*args, **options):
        return await handler(*args, **options)

    return inner


def narrowing(handler):
    @functools.wraps(handler)
    async def inner(station, data):
        return await handler(station, data, None)

    return inner


def nameless(handler):
    async def inner(*args, **options):
        return await handler(*args, **options)

    return inner


async def told(station, data, ctx):
    return f"{station.id} {data} {ctx and ctx.call.payload.vendor_id}"


async def plainly(station, data):
    return f"{station.id} {data}"


async def by_name(station, data, *, ctx):
    return await told(station, data, ctx)


async def further_back(station, data, tries=3, ctx=None):
    return f"{tries} " + await told(station, data, ctx)


async def with_default(station, data, tries=3):
    return f"{tries} {station.id}"


async def with_option(station, data, *, tries=3):
    return f"{tries} {station.id}"


async def the_rest(station, data, *rest):
    return await told(station, data, *rest)


async def priced(price, station, data, ctx):
    return f"{price} " + await told(station, data, ctx)


class Shop:
    async def __call__(self, station, data, ctx):
        return await told(station, data, ctx)

    async def method(self, station, data):
        return await plainly(station, data)

    @logged
    async def decorated_method(self, station, data, ctx):
        return await told(station, data, ctx)

    @staticmethod
    async def static(station, data, ctx):
        return await told(station, data, ctx)


SHAPES = {
    "logged": logged(told),
    "logged twice": logged(logged(plainly)),
    "narrowing": narrowing(told),
    "nameless": nameless(plainly),
    "by_name": by_name,
    "further_back": further_back,
    "with_default": with_default,
    "with_option": with_option,
    "the_rest": the_rest,
    "partial": functools.partial(priced, 0.31),
    "partial by name": functools.partial(told, ctx=None),
    "object": Shop(),
    "method": Shop().method,
    "decorated method": Shop().decorated_method,
    "static": Shop.static,
}

HANDLERS = [nothing, text, a_dict, a_struct, rejects, breaks, leaves, hangs, junk, plain, with_context]
HANDLERS += [a_list, a_number, rejects_with_a_dict, returns_a_reject, surrogate, surrogate_within, round_and_round]
HANDLERS += [too_long, not_now, refuses]


@hookimpl
def register_data_transfers():
    for handler in HANDLERS:
        yield DataTransfer("com.acme", handler.__name__, handler)
    for name, handler in SHAPES.items():
        yield DataTransfer("com.shapes", name, handler)
    yield DataTransfer("com.acme", "typed", typed, Question)
    yield DataTransfer("com.acme", "guarded", guarded, Guarded)
    yield DataTransfer("com.acme", "anything", anything, object)
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
        ("a_list", {"status": "Accepted", "data": '[1,null,{"a":2.5}]'}),
        ("a_number", {"status": "Accepted", "data": "7"}),
        ("rejects_with_a_dict", {"status": "Rejected", "data": '{"why":"sold out"}'}),
        ("returns_a_reject", {"status": "Rejected"}),
        ("not_now", {"status": "Rejected"}),
        ("refuses", {"status": "Rejected"}),
    ],
)
async def test_what_a_handler_returns_is_what_the_station_gets(
    vendor: tuple[Node, Wire], message_id: str, answer: dict[str, str]
) -> None:
    host, cp = vendor
    told = {"vendorId": "com.Acme", "messageId": message_id, "data": "hello"}
    assert await cp.result("DataTransfer", told, "m-1") == answer
    assert await kept(host) == [("com.Acme", message_id, "hello", answer["status"], answer.get("data"))]


FAILING = ["breaks", "leaves", "junk", "surrogate", "surrogate_within", "round_and_round", "too_long"]


@pytest.mark.parametrize("message_id", FAILING)
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


CP_1, CONTEXT = "CP-1 hello", "CP-1 hello com.shapes"


@pytest.mark.parametrize(
    ("message_id", "said"),
    [
        ("logged", CONTEXT),
        ("logged twice", CP_1),
        ("narrowing", "CP-1 hello None"),
        ("nameless", CP_1),
        ("by_name", CONTEXT),
        ("further_back", f"3 {CONTEXT}"),
        ("with_default", "3 CP-1"),
        ("with_option", "3 CP-1"),
        ("the_rest", CONTEXT),
        ("partial", f"0.31 {CONTEXT}"),
        ("partial by name", CONTEXT),
        ("object", CONTEXT),
        ("method", CP_1),
        ("decorated method", CONTEXT),
        ("static", CONTEXT),
    ],
)
async def test_a_handler_of_any_shape_gets_the_context_where_it_has_a_place_for_it(
    vendor: tuple[Node, Wire], message_id: str, said: str
) -> None:
    _, cp = vendor
    told = {"vendorId": "com.shapes", "messageId": message_id, "data": "hello"}
    assert await cp.result("DataTransfer", told) == {"status": "Accepted", "data": said}


async def test_data_that_does_not_fit_is_in_the_log_with_the_reason_and_kept_raw(
    vendor: tuple[Node, Wire], caplog: pytest.LogCaptureFixture
) -> None:
    host, cp = vendor
    said = {"vendorId": "com.acme", "messageId": "guarded", "data": '{"kwh": -1}'}
    assert await cp.result("DataTransfer", said) == {"status": "Rejected", "data": "data: kwh is negative"}
    assert "DataTransfer com.acme guarded of CP-1 is rejected: its data does not fit: kwh is negative" in caplog.text
    assert (await kept(host))[0][2] == '{"kwh": -1}'
    deep = await cp.result("DataTransfer", {"vendorId": "com.acme", "messageId": "anything", "data": "[" * 100_000})
    assert deep["status"] == "Rejected"
    assert host.faults() == []


async def test_a_check_of_the_data_that_breaks_is_the_plugin_s_fault(vendor: tuple[Node, Wire]) -> None:
    host, cp = vendor
    said = {"vendorId": "com.acme", "messageId": "guarded", "data": '{"kwh": 101}'}
    assert await cp.result("DataTransfer", said) == {"status": "Rejected"}
    assert len(host.faults()) == 1


async def test_every_exchange_is_an_event_that_a_subscriber_may_act_on(vendor: tuple[Node, Wire]) -> None:
    host, cp = vendor
    for message_id, data in (("text", "hello"), ("breaks", None), ("unheard of", "x")):
        said = {"vendorId": "com.Acme", "messageId": message_id} | ({"data": data} if data else {})
        await cp.result("DataTransfer", said)
    host.faults()
    events = await host.events("data_transfer.received")
    assert [(event.station, event.data) for event in events] == [
        ("CP-1", {"vendor_id": "com.Acme", "message_id": "text", "data": "hello", "status": "Accepted"}),
        ("CP-1", {"vendor_id": "com.Acme", "message_id": "breaks", "data": None, "status": "Rejected"}),
        ("CP-1", {"vendor_id": "com.Acme", "message_id": "unheard of", "data": "x", "status": "UnknownMessageId"}),
    ]


ONE = """
from arthexis import DataTransfer, hookimpl


async def answer(station, data):
    return "{said}"


@hookimpl
def register_data_transfers():
    yield DataTransfer("{vendor}", {message!r}, answer)
"""


async def test_two_plugins_share_a_vendor_and_its_messages(run: Run, install: Callable[[str], str]) -> None:
    ours = [
        install(ONE.format(vendor="com.acme", message="GetPrice", said="price")),
        install(ONE.format(vendor="COM.ACME", message=None, said="the rest")),
    ]
    async with run(plugins=ours) as host, wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for message, said in (("getprice", "price"), ("GetTime", "the rest"), (None, "the rest")):
            told = {"vendorId": "com.acme"} | ({"messageId": message} if message else {})
            assert (await cp.result("DataTransfer", told))["data"] == said


async def test_the_same_message_of_the_same_vendor_is_refused_naming_both_whatever_the_case(
    run: Run, install: Callable[[str], str]
) -> None:
    ours = [
        install(ONE.format(vendor="com.acme", message="GetPrice", said="one")),
        install(ONE.format(vendor="Com.Acme", message="GETPRICE", said="two")),
    ]
    async with run(plugins=ours) as host, wire(host.station_url("CP-1")) as cp:
        host.excuse(*(pattern.partition(":")[2] for pattern in ours))
        await cp.boot()
        for pattern in ours:
            plugin = host.plugin(pattern)
            assert plugin.state == "failed"
            assert all(name in plugin.reason for name in ours)
        told = {"vendorId": "com.acme", "messageId": "GetPrice"}
        assert await cp.result("DataTransfer", told) == {"status": "UnknownVendorId"}


UNSOUND = """
from arthexis import DataTransfer, hookimpl


async def alone(station):
    return None


async def too_many(station, data, ctx, more):
    return None


async def fine(station, data):
    return None


@hookimpl
def register_data_transfers():
    yield DataTransfer({arguments})
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('"com.acme", "A", alone', "a function of (station, data) or (station, data, ctx)"),
        ('"com.acme", "A", too_many', "a function of (station, data) or (station, data, ctx)"),
        ('"com.acme", "A", fine, "Question"', "data of com.acme A must be a type that msgspec can decode: Type"),
        ('"com.acme", "A" * 51, fine', "message_id must be at most 50 characters"),
        ('"c" * 256, "A", fine', "vendor_id must be at most 255 characters"),
    ],
)
async def test_what_could_never_be_called_is_refused_while_composing(
    run: Run, install: Callable[[str], str], arguments: str, said: str
) -> None:
    pattern = install(UNSOUND.format(arguments=arguments))
    async with run(plugins=[pattern]) as host:
        plugin = host.plugin(pattern)
        host.excuse(plugin.name)
        assert (plugin.state, plugin.stage) == ("failed", "registered")
        assert said in plugin.reason


LATE = """
from contextlib import asynccontextmanager
from arthexis import DataTransfer, hookimpl


async def answer(station, data):
    return "never"


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.acme", "GetPrice", answer)


@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    raise RuntimeError("no start")
    yield
"""


async def test_a_plugin_that_did_not_start_is_not_asked(run: Run, install: Callable[[str], str]) -> None:
    pattern = install(LATE)
    async with run(plugins=[pattern]) as host, wire(host.station_url("CP-1")) as cp:
        host.excuse(host.plugin(pattern).name)
        await cp.boot()
        told = {"vendorId": "com.acme", "messageId": "GetPrice"}
        assert await cp.result("DataTransfer", told) == {"status": "Rejected"}
        host.faults()
