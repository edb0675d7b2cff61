"""Events and durable subscribers: at least once, in order, past restarts, faults and other writers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from arthexis import subscribers
from arthexis.assembly import Options, assemble
from arthexis.charging import messages
from arthexis.clock import Clock
from arthexis.contributions import Subscriber
from arthexis.db import events
from arthexis.db.engine import Database
from arthexis.db.events import Event
from arthexis.db.journal import Journal
from arthexis.db.statements import Connection
from arthexis.errors import Unavailable
from arthexis.host import Host
from arthexis.plugins.states import Plugin

NOW = Clock().now()
KINDS = frozenset({"told"})


def telling(*texts: str) -> Callable[[Connection], None]:
    def tell(db: Connection) -> None:
        for text in texts:
            db.event("told", "CP-1", {"text": text})

    return tell


def texts(found: list[Event]) -> list[str]:
    return [event.data["text"] for event in found]


# ---------------------------------------------------------------------- the table


async def test_a_reader_gets_what_lies_behind_its_place(journal: Journal, database: Database) -> None:
    await journal.write(telling("a", "b"))
    first = await database.read(lambda db: events.after(db, 0, most=1))
    assert texts(first) == ["a"]
    await journal.write(lambda db: events.move(db, "reader", first[0].id, NOW))
    await journal.write(lambda db: events.move(db, "reader", first[0].id, NOW))
    place = await database.read(lambda db: events.cursor(db, "reader"))
    assert place == first[0].id
    assert texts(await database.read(lambda db: events.after(db, place))) == ["b"]


async def test_old_events_are_forgotten_but_never_the_newest(journal: Journal, database: Database) -> None:
    await journal.write(telling("a", "b", "c"))
    assert await journal.write(lambda db: events.forget(db, NOW - timedelta(days=1))) == 0
    assert await journal.write(lambda db: events.forget(db, NOW + timedelta(days=1))) == 2
    assert texts(await database.read(lambda db: events.after(db, 0))) == ["c"]


async def test_two_writers_never_hide_an_event_from_a_reader(database_url: str, database: Database) -> None:
    if database.sqlite:
        pytest.skip("one process holds a SQLite data folder")
    other = Database(database_url, Path())
    writers = [Journal(database, Clock()), Journal(other, Clock())]
    seen: list[int] = []

    async def read() -> None:
        last = 0
        while len(seen) < 120:
            for event in await database.read(lambda db, last=last: events.after(db, last)):  # type: ignore[misc]
                seen.append(event.id)
                last = event.id

    async def write(writer: Journal) -> None:
        await writer.start()
        for number in range(60):
            await writer.write(telling(str(number)))

    await asyncio.wait_for(asyncio.gather(read(), *(write(writer) for writer in writers)), 20)
    assert seen == sorted(set(seen))
    assert len(seen) == 120
    for writer in writers:
        await writer.stop()
    other.close()


# ---------------------------------------------------------------------- subscribers


class Handler:
    """Keeps what it was told; fails as often as it is asked to."""

    def __init__(self, *errors: Exception) -> None:
        self.told: list[str] = []
        self.tries = 0
        self._errors = list(errors)
        self._changed = asyncio.Event()

    async def __call__(self, event: Event) -> None:
        self.tries += 1
        if self._errors:
            raise self._errors.pop(0)
        self.told.append(event.data["text"])
        self._changed.set()

    async def until(self, many: int) -> list[str]:
        """Wait until it was told of so many."""
        async with asyncio.timeout(10):
            while len(self.told) < many:
                self._changed.clear()
                await self._changed.wait()
        return self.told


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "PAUSE_S", 0.01)


@asynccontextmanager
async def running(home: Path, **handlers: Handler) -> AsyncIterator[Host]:
    """A node without a single plugin, whose composition has these subscribers."""
    home.mkdir(exist_ok=True)
    (home / "arthexis.toml").write_text('[node]\nrole = "bare"\n')
    host = assemble(Options(config=home / "arthexis.toml", home=home))
    plugin = Plugin("readers", "arthexis-readers", "1.0", "readers")
    found = [(plugin, Subscriber(name, KINDS, handler)) for name, handler in handlers.items()]
    host.composition.contributions["register_subscribers"] = found
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


async def test_a_new_subscriber_gets_everything_from_its_first_start_on(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        await host.journal.write(telling("before"))
    handler = Handler()
    async with running(tmp_path, one=handler) as host:
        await host.journal.write(telling("a", "b"))
        assert await handler.until(2) == ["a", "b"]


async def test_a_subscriber_goes_on_after_a_restart_and_after_it_was_off(tmp_path: Path) -> None:
    first = Handler()
    async with running(tmp_path, one=first) as host:
        await host.journal.write(telling("a"))
        await first.until(1)
    async with running(tmp_path) as host:
        await host.journal.write(telling("b"))
    second = Handler()
    async with running(tmp_path, one=second) as host:
        await host.journal.write(telling("c"))
        assert await second.until(2) == ["b", "c"], "not a again: a stop in order repeats nothing"


async def test_a_handler_that_fails_is_asked_again_in_order(tmp_path: Path) -> None:
    handler = Handler(ValueError("no"), TimeoutError(), ValueError("no"))
    async with running(tmp_path, one=handler) as host:
        await host.journal.write(telling("a", "b"))
        assert await handler.until(2) == ["a", "b"]
        assert handler.tries == 5


async def test_an_event_that_always_fails_is_given_up_and_others_get_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribers, "MOST_PAUSE_S", 0.01)
    handler = Handler(*[ValueError("poison")] * subscribers.TRIES)
    async with running(tmp_path, one=handler) as host:
        await host.journal.write(telling("poison", "b"))
        assert await handler.until(1) == ["b"]


async def test_what_is_unavailable_is_waited_for_however_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "MOST_PAUSE_S", 0.01)
    handler = Handler(*[Unavailable("the other side is down")] * (5 * subscribers.TRIES))
    async with running(tmp_path, one=handler) as host:
        await host.journal.write(telling("a", "b"))
        assert await handler.until(2) == ["a", "b"]


async def test_a_handler_that_hangs_does_not_hold_up_another(tmp_path: Path) -> None:
    class Hanging(Handler):
        async def __call__(self, event: Event) -> None:
            await asyncio.Event().wait()

    quick = Handler()
    async with running(tmp_path, slow=Hanging(), quick=quick) as host:
        await host.journal.write(telling("a", "b"))
        assert await quick.until(2) == ["a", "b"]
        assert await host.journal.write(lambda _: "free") == "free"


async def test_a_reader_outlives_a_database_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = Handler()
    async with running(tmp_path, one=handler) as host:
        read, failures = host.database.read_now, [3]

        def failing(fn: Callable[[Connection], Any]) -> Any:
            if failures[0]:
                failures[0] -= 1
                raise Unavailable("the database cannot be read")
            return read(fn)

        monkeypatch.setattr(host.database, "read_now", failing)
        await host.journal.write(telling("a"))
        assert await handler.until(1) == ["a"]
        assert failures == [0]


def other(many: int) -> Callable[[Connection], None]:
    def tell(db: Connection) -> None:
        for _ in range(many):
            db.event("other", "CP-1", {})

    return tell


async def test_events_of_other_kinds_cost_a_reader_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, look = [], events.behind
    monkeypatch.setattr(events, "behind", lambda *args: looks.append(args) or look(*args))
    handler = Handler()
    async with running(tmp_path, one=handler) as host:
        await host.journal.write(telling("a"))
        await handler.until(1)
        await asyncio.sleep(0.1)
        looks.clear()
        for _ in range(20):
            await host.journal.write(other(50))
        await asyncio.sleep(0.1)
        assert looks == []
        await host.journal.write(telling("b"))
        assert await handler.until(2) == ["a", "b"]


async def test_a_reader_keeps_its_place_past_many_events_of_other_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribers, "FAR", 100)
    monkeypatch.setattr(subscribers, "IDLE_S", 0.05)
    async with running(tmp_path, one=Handler()) as host:
        await host.journal.write(other(99))
        await asyncio.sleep(0.3)
        assert await host.database.read(lambda db: events.cursor(db, "one")) == 0
        await host.journal.write(other(1))
        async with asyncio.timeout(5):
            while await host.database.read(lambda db: events.cursor(db, "one")) != 100:
                await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- the message log's bounds


def log_rows(many: int, size: int, days_ago: float = 0) -> Callable[[Connection], None]:
    rest = dict.fromkeys(("message_id", "action", "answer", "repairs"))
    row = {**rest, "station": "CP-1", "inbound": True, "at": NOW - timedelta(days=days_ago), "frame": b"x" * size}

    def log(db: Connection) -> None:
        for _ in range(many):
            db.gather(messages.INSERT, row)

    return log


def held(db: Connection) -> tuple[int, int]:
    return tuple(db.core.execute(sa.text("SELECT count(*), coalesce(sum(length(frame)), 0) FROM message")).one())  # type: ignore[return-value]


async def test_the_log_is_kept_for_days_and_up_to_so_many_bytes(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        limits = replace_messages(host, keep_days=30, keep_bytes=1 << 20)
        await host.journal.write(log_rows(5_000, 10, days_ago=31))
        await host.journal.write(log_rows(7_000, 100))
        measured = messages.Measured()
        await host.trim_messages(measured)
        assert await host.database.read(held) == (7_000, 700_000)
        await host.journal.write(log_rows(7_000, 100))
        await host.trim_messages(measured)
        many, size = await host.database.read(held)
        assert limits.keep_bytes * 0.75 < size <= limits.keep_bytes
        assert many == size // 100
        assert measured.held == size


async def test_each_message_is_measured_once(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        await host.journal.write(log_rows(4_500, 10))
        measured, asked = messages.Measured(), []
        measure = messages.measure

        def counting(db: Connection, after: int) -> messages.Piece | None:
            piece = measure(db, after)
            asked.append(piece.many if piece is not None else 0)
            return piece

        patch = pytest.MonkeyPatch()
        patch.setattr(messages, "measure", counting)
        await host.trim_messages(measured)
        assert asked == [2_000, 2_000, 500, 0]
        asked.clear()
        await host.journal.write(log_rows(3, 10))
        await host.trim_messages(measured)
        assert asked == [3, 0]
        patch.undo()


def replace_messages(host: Host, **limits: int) -> Any:
    import msgspec

    changed = msgspec.structs.replace(host.settings.messages, **limits)
    host.settings = msgspec.structs.replace(host.settings, messages=changed)
    return changed


def test_trimming_reads_no_table_as_a_whole(database: Database) -> None:
    if not database.sqlite:
        pytest.skip("SQLite's plans are asked")
    with database.engine.connect() as core:
        for statement in (messages.NEXT, messages.DELETE, events.AFTER):
            compiled = statement.compiled(core.dialect)
            values = dict.fromkeys(("after", "through", "last", "most"), 1) | compiled.fixed
            plan = core.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled.pick(values)).all()
            assert "USING INTEGER PRIMARY KEY" in str(plan), plan
