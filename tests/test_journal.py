"""The journal: one commit for all who wait, a bad write fails alone, nothing is dropped, and it heals."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arthexis.charging.messages import INSERT as LOG
from arthexis.clock import Clock
from arthexis.db import events, journal, migrate
from arthexis.db.engine import Database
from arthexis.db.events import Told
from arthexis.db.journal import Journal
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import Unavailable
from tests.conftest import HOST

ADD = Prepared(sa.text("INSERT INTO account (name, status) VALUES (:name, 'open')"))
NAMES = Prepared(sa.text("SELECT name FROM account ORDER BY id"))
KINDS = Prepared(sa.text("SELECT kind FROM event ORDER BY id"))


def names(database: Database) -> list[str]:
    return [row[0] for row in database.read_now(lambda db: db.all(NAMES))]


def kinds(database: Database) -> list[str]:
    return [row[0] for row in database.read_now(lambda db: db.all(KINDS))]


def adding(name: str, *, event: bool = False) -> Callable[[Connection], str]:
    def add(db: Connection) -> str:
        if event:
            db.event(f"added.{name}", None, {})
        db.run(ADD, name=name)
        return name

    return add


async def gathered(*waiters: asyncio.Future[Any]) -> list[Any]:
    return await asyncio.gather(*waiters, return_exceptions=True)


def log_row(text: bytes) -> dict[str, Any]:
    at = Clock().now()
    row = dict.fromkeys(("message_id", "action", "answer", "repairs"))
    return {**row, "station": "CP-1", "at": at, "inbound": True, "frame": text}


# ---------------------------------------------------------------------- groups


async def test_all_who_wait_share_one_commit(journal: Journal, database: Database) -> None:
    before = journal.commits
    done = await asyncio.gather(*(journal.write(adding(f"n{number}")) for number in range(60)))
    assert done == names(database) == [f"n{number}" for number in range(60)]
    assert journal.commits - before <= 2


async def test_an_answer_waits_for_the_commit(journal: Journal, database: Database) -> None:
    await journal.write(adding("one"))
    assert names(database) == ["one"], "another connection sees it as soon as the write is done"


async def test_the_order_of_a_caller_is_kept(journal: Journal, database: Database) -> None:
    async def caller(letter: str) -> None:
        for number in range(20):
            await journal.write(adding(f"{letter}{number:02}"), slow=number % 7 == 3)

    await asyncio.gather(*(caller(letter) for letter in "abcd"))
    stored = names(database)
    for letter in "abcd":
        assert [name for name in stored if name[0] == letter] == sorted(n for n in stored if n[0] == letter)
    assert len(stored) == 80


async def test_stop_writes_what_waits(database: Database) -> None:
    running = Journal(database, Clock())
    await running.start()
    waiters = [running.write(adding(f"n{number}"), slow=number == 30) for number in range(50)]
    running.gather(LOG, log_row(b"[2]"))
    await running.stop()
    assert [waiter.result() for waiter in waiters] == names(database)
    assert database.read_now(lambda db: db.core.scalar(sa.text("SELECT count(*) FROM message"))) == 1


async def test_a_stopped_journal_refuses(database: Database) -> None:
    running = Journal(database, Clock())
    await running.start()
    await running.stop()
    with pytest.raises(Unavailable, match="closed"):
        await running.write(adding("late"))
    assert running.note(adding("late")) is False


async def test_a_full_journal_refuses_and_drops_nothing(database: Database) -> None:
    running = Journal(database, Clock(), most_waiting=10)
    await running.start()
    done = await gathered(*(running.write(adding(f"n{number}")) for number in range(25)))
    refused = [error for error in done if isinstance(error, Unavailable)]
    assert len(refused) == 15
    assert "full" in str(refused[0])
    assert names(database) == [value for value in done if isinstance(value, str)]
    await running.write(adding("again"))
    await running.stop()


async def test_a_cancelled_waiter_harms_nobody(journal: Journal, database: Database) -> None:
    first, second, third = (journal.write(adding(name)) for name in ("a", "b", "c"))
    second.cancel()
    assert await first == "a"
    assert await third == "c"
    assert names(database) == ["a", "b", "c"], "what was asked for is stored, also where nobody waits for it"


# ---------------------------------------------------------------------- bad writes


def raising(error: BaseException) -> Callable[[Connection], None]:
    def fail(db: Connection) -> None:
        db.event("never", None, {})
        db.gather(LOG, log_row(b"never"))
        db.run(ADD, name="never")
        raise error

    return fail


def twice(db: Connection) -> None:
    db.run(ADD, name="never")
    db.run(ADD, name="never")


def in_core(db: Connection) -> None:
    db.core.execute(sa.text("INSERT INTO account (name, status) VALUES ('never', 'open')"))


def in_block(db: Connection) -> None:
    with db.core.begin():
        in_core(db)


BAD: dict[str, Callable[[Connection], Any]] = {
    "raises": raising(ValueError("no")),
    "exits": raising(SystemExit(3)),
    "cancels": raising(asyncio.CancelledError()),
    "stops an iteration": raising(StopIteration()),
    "closes a generator": raising(GeneratorExit()),
    "breaks a constraint": twice,
    "writes no SQL": lambda db: db.core.execute(sa.text("SELEKT 1")),
    "asks for no table": lambda db: db.core.execute(sa.text("SELECT * FROM nothing")),
    "misses a value": lambda db: db.run(ADD),
    "tells of an object": lambda db: db.event("never", None, {"it": object()}),
    "tells of nothing": lambda db: db.event(None, None, {}),  # type: ignore[arg-type]
    "gathers half a row": lambda db: db.gather(LOG, {"station": "CP-1"}),
    "gathers no time": lambda db: db.gather(LOG, {**log_row(b""), "at": "no time at all"}),
    "commits": lambda db: (in_core(db), db.core.commit()),
    "rolls back": lambda db: (in_core(db), db.core.rollback()),
    "closes its block": lambda db: in_block(db),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_write_fails_alone(journal: Journal, database: Database, bad: Callable[[Connection], Any]) -> None:
    good = [journal.write(adding("a", event=True)), journal.write(bad), journal.write(adding("b", event=True))]
    first, error, last = await gathered(*good)
    assert (first, last) == ("a", "b")
    assert isinstance(error, Exception)
    assert not isinstance(error, asyncio.CancelledError)
    assert names(database) == ["a", "b"]
    assert kinds(database) == ["added.a", "added.b"]
    assert database.read_now(lambda db: db.core.scalar(sa.text("SELECT count(*) FROM message"))) == 0
    assert await journal.write(adding("c")) == "c", "and the journal goes on"
    assert await journal.write(lambda db: db.core.scalar(sa.text("SELECT count(*) FROM account"))) == 3


async def test_a_bad_gathered_row_is_dropped_alone(journal: Journal, database: Database) -> None:
    journal.gather(LOG, log_row(b"good"))
    journal.gather(LOG, {"station": None})
    journal.gather(LOG, log_row(b"good too"))
    assert await journal.write(adding("a")) == "a"
    frames = database.read_now(lambda db: db.core.execute(sa.text("SELECT frame FROM message ORDER BY id")).all())
    assert [bytes(row[0]) for row in frames] == [b"good", b"good too"]


async def test_a_listener_that_fails_stops_nothing(journal: Journal) -> None:
    def fail(_told: Told) -> None:
        raise RuntimeError("a listener's fault")

    journal.on_events = fail
    assert await journal.write(adding("a", event=True)) == "a"
    assert await journal.write(adding("b", event=True)) == "b"


async def test_a_function_may_make_savepoints_of_its_own(journal: Journal, database: Database) -> None:
    def careful(db: Connection) -> str:
        db.run(ADD, name="kept")
        _, error = db.apart(raising(ValueError("undone")))
        assert isinstance(error, ValueError)
        db.event("kept", None, {})
        return "done"

    done, _ = await gathered(journal.write(careful), journal.write(raising(ValueError())))
    assert done == "done"
    assert names(database) == ["kept"]
    assert kinds(database) == ["kept"]


async def test_what_follows_a_commit_is_called_only_after_one(journal: Journal) -> None:
    called: list[str] = []

    def fine(db: Connection) -> None:
        db.afterward(lambda: called.append("fine"))

    def bad(db: Connection) -> None:
        db.afterward(lambda: called.append("bad"))
        raise ValueError("no")

    await gathered(journal.write(fine), journal.write(bad))
    await journal.write(lambda _: None)
    assert called == ["fine"]


async def test_events_are_in_the_commit_and_told_after_it(journal: Journal, database: Database) -> None:
    told: list[tuple[int, str]] = []

    def listen(batch: Told) -> None:
        stored = {event.id: event.kind for event in database.read_now(lambda db: events.after(db, 0))}
        told.extend((event.id, event.kind) for event in batch.events() if stored[event.id] == event.kind)

    journal.on_events = listen
    await asyncio.gather(*(journal.write(adding(f"n{number}", event=True)) for number in range(10)))
    await journal.write(lambda _: None)
    assert [kind for _, kind in told] == [f"added.n{number}" for number in range(10)]
    assert [number for number, _ in told] == sorted(number for number, _ in told)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=st.lists(st.tuples(st.sampled_from(["good", "bad", "twin", "slow"]), st.booleans()), max_size=40))
def test_any_mixture_of_writes_keeps_exactly_the_good_ones(
    tmp_path_factory: pytest.TempPathFactory, template: Path, plan: list[tuple[str, bool]]
) -> None:
    async def run() -> None:
        folder = tmp_path_factory.mktemp("mixture")
        shutil.copyfile(template, folder / "arthexis.db")
        database = Database("", folder)
        running = Journal(database, Clock())
        await running.start()
        expected, waiters = [], []
        for number, (kind, pause) in enumerate(plan):
            name = "twin" if kind == "twin" else f"n{number}"
            fn = raising(SystemExit()) if kind == "bad" else adding(name, event=True)
            if kind != "bad" and name not in expected:
                expected.append(name)
            waiters.append(running.write(fn, slow=kind == "slow"))
            if pause:
                await asyncio.sleep(0)
        done = await gathered(*waiters)
        assert names(database) == [value for value in done if isinstance(value, str)] == expected
        assert kinds(database) == [f"added.{name}" for name in expected]
        await running.stop()
        database.close()

    asyncio.run(run())


async def test_the_journal_that_discards_is_a_journal(tmp_path: Path) -> None:
    database = Database("sqlite://", tmp_path)
    migrate.upgrade(database, HOST)
    running = Journal(database, Clock())
    await running.start()
    assert await asyncio.gather(*(running.write(adding(name)) for name in "abc")) == ["a", "b", "c"]
    assert [row[0] for row in await database.read(lambda db: db.all(NAMES))] == ["a", "b", "c"]
    await running.stop()
    database.close()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- locks and full disks (SQLite)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    opened = Database("", tmp_path)
    migrate.upgrade(opened, HOST)
    yield opened
    opened.close()


@contextlib.asynccontextmanager
async def running_on(database: Database, **options: Any):
    running = Journal(database, Clock(), **options)
    await running.start()
    yield running
    await running.stop()


async def test_a_lock_of_another_process_is_waited_for_while_the_loop_is_free(file: Database) -> None:
    async with running_on(file) as running:
        other = sqlite3.connect(file.path or "", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        waiter = running.write(adding("a"))
        loop, longest = asyncio.get_running_loop(), 0.0
        until = loop.time() + 1.0
        while (before := loop.time()) < until:
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - before)
        assert not waiter.done()
        assert longest < 0.5
        assert running.trouble is not None
        other.execute("COMMIT")
        other.close()
        assert await waiter == "a"
        assert running.trouble is None


async def test_a_lock_that_lasts_is_told(file: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PATIENCE_S", 0.3)
    async with running_on(file) as running:
        with contextlib.closing(sqlite3.connect(file.path or "", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Unavailable, match="locked"):
                await running.write(adding("a"))
        assert await running.write(adding("b")) == "b"
        assert names(file) == ["b"]


async def test_a_full_disk_is_told_and_heals(file: Database) -> None:
    async with running_on(file) as running:
        pages = await running.write(lambda db: db.core.scalar(sa.text("PRAGMA page_count")))
        await running.write(lambda db: db.core.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}").close())

        def big(db: Connection) -> None:
            db.event("big", None, {"text": "x" * 100_000})

        running.gather(LOG, log_row(b"waits"))
        with pytest.raises(Unavailable, match="full"):
            await running.write(big)
        assert running.trouble is not None
        await running.write(lambda db: db.core.exec_driver_sql("PRAGMA max_page_count=1000000").close())
        await running.write(big)
        assert running.trouble is None
        assert kinds(file) == ["big"]
        kept = file.read_now(lambda db: db.core.execute(sa.text("SELECT frame FROM message")).all())
        assert [bytes(row[0]) for row in kept] == [b"waits"], "the log row that could not be stored is stored now"


async def test_events_are_never_numbered_below_a_reader(file: Database) -> None:
    async with running_on(file) as running:
        await running.write(lambda db: [db.event("old", None, {}) for _ in range(5)])
        await running.write(lambda db: events.move(db, "reader", 5, Clock().now()))
        await running.write(lambda db: db.core.execute(sa.text("DELETE FROM event")))
    async with running_on(file) as running:
        await running.write(lambda db: db.event("new", None, {}))
        found = await file.read(lambda db: events.after(db, 5))
        assert [event.kind for event in found] == ["new"]
