"""Who gets the context, and where: handlers of subscribers, routes, notifiers and DataTransfers are fitted alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from arthexis import DataTransfer, Diagnosis, Job, Notifier, Operation, Route, Subscriber
from arthexis.contributions import context_goes
from arthexis.lifespans import Context


async def bare(event): ...
async def last(event, ctx): ...
async def other_name(event, context): ...
async def with_default(event, tries=3): ...
async def default_ctx(event, ctx=None): ...
async def further_back(event, tries=3, ctx=None): ...
async def keyword(event, *, ctx): ...
async def keyword_default(event, *, ctx=None): ...
async def other_keyword(event, *, tries=3): ...
async def rest(event, *more): ...
async def everything(*args, **options): ...
async def positional(event, ctx, /): ...
async def first(ctx, event): ...
async def first_of_many(ctx, event, tries=3): ...
async def first_and_rest(ctx, *events): ...
async def priced(price, event, ctx): ...


@functools.wraps(last)
async def wrapped(*args, **options): ...


@functools.wraps(last)
async def narrowed(event): ...


class Shop:
    async def __call__(self, event, ctx): ...
    async def method(self, event): ...
    @classmethod
    async def of_class(cls, event, ctx): ...


HANDLERS: list[tuple[Callable[..., Any], int | str | None]] = [
    (bare, None),
    (last, 1),
    (other_name, 1),
    (with_default, None),
    (default_ctx, 1),
    (further_back, "named"),
    (keyword, "named"),
    (keyword_default, "named"),
    (other_keyword, None),
    (rest, 1),
    (everything, None),
    (positional, 1),
    (first, 0),
    (first_of_many, 0),
    (first_and_rest, 0),
    (functools.partial(priced, 0.31), 1),
    (functools.partial(last, ctx=None), "named"),
    (wrapped, 1),
    (narrowed, None),
    (Shop(), 1),
    (Shop().method, None),
    (Shop.of_class, 1),
    (print, None),
]


@pytest.mark.parametrize(("handler", "place"), HANDLERS, ids=lambda value: getattr(value, "__name__", str(value))[:20])
def test_the_context_goes_where_a_handler_has_a_place_for_it(
    handler: Callable[..., Any], place: int | str | None
) -> None:
    assert context_goes(handler, 1) == place


def test_a_fitted_handler_is_called_with_just_that() -> None:
    seen: list[Any] = []
    ctx = Context(*[None] * 6)  # type: ignore[arg-type]
    ctx.fitted(lambda event: seen.append(event))("a")
    ctx.fitted(lambda event, ctx: seen.append((event, ctx)))("b")
    ctx.fitted(lambda event, tries=3, *, ctx: seen.append((event, tries, ctx)))("c")
    ctx.fitted(lambda ctx, station, data: seen.append((ctx, station, data)), 2)("d", "e")
    ctx.fitted(lambda station, ctx, data=None: seen.append((station, ctx, data)), 2)("f", "g")
    assert seen == ["a", ("b", ctx), ("c", 3, ctx), (ctx, "d", "e"), ("f", ctx, "g")]


async def nothing() -> None: ...
async def too_many(one, two, three, four): ...


@pytest.mark.parametrize("handler", [nothing, too_many])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda handler: Subscriber("a", frozenset({"tag.changed"}), handler), "a function of (event) or (event, ctx)"),
        (lambda handler: Route("GET", "/a", handler), "a function of (request) or (request, ctx)"),
        (lambda handler: Notifier("a", handler), "a function of (notification) or (notification, ctx)"),
        (lambda handler: DataTransfer("a", None, handler), "a function of (station, data) or (station, data, ctx)"),
    ],
)
def test_a_handler_that_could_never_be_called_is_refused(
    handler: Callable[..., Any], make: Callable[..., Any], said: str
) -> None:
    with pytest.raises(TypeError, match="must be a function of") as refused:
        make(handler)
    assert said in str(refused.value)


async def no_place_for_data(ctx, station): ...


def test_a_data_transfer_whose_context_takes_the_place_of_its_data_is_refused() -> None:
    with pytest.raises(TypeError, match=r"handler of a any message must be a function of \(station, data\) or"):
        DataTransfer("a", None, no_place_for_data)


async def waits(*args): ...
def at_once(*args): ...


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Job("tidy", at_once), "handler of tidy must be a coroutine function"),
        (lambda: Job("tidy", nothing), "handler of tidy must be a function of (ctx, args)"),
        (lambda: Job("tidy", waits, every_s=0), "every_s of tidy must be seconds above 0, or None"),
        (lambda: Job("tidy", waits, retries=-1), "retries of tidy must be 0 or more"),
        (lambda: Diagnosis("modem", waits), "look of modem must be a plain function of (db, station)"),
        (lambda: Diagnosis("modem", lambda db: []), "look of modem must be a plain function of (db, station)"),
        (lambda: Operation("Reset", ""), "summary of Reset must be a few words"),
        (lambda: Operation("Reset", "Restart", prepare=at_once), "prepare of Reset must be a coroutine function"),
        (lambda: Operation("Reset", "Restart", check=waits), "check of Reset must be a plain function"),
    ],
)
def test_the_wrong_kind_of_function_is_refused_where_it_is_written(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(TypeError) as refused:
        make()
    assert said in str(refused.value)
