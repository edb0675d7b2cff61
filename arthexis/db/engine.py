"""Opening a database: SQLite in the data folder unless a URL says otherwise; one writer, readers apart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from arthexis.db.statements import Connection
from arthexis.errors import ConfigError, Unavailable

T = TypeVar("T")

BUSY_TIMEOUT_MS = 2_000
READERS = 4
CLOSE_S = 5.0
# A server that is cut off is noticed within seconds, not within TCP's quarter of an hour.
ALIVE = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
IN_UTC = "-c TimeZone=UTC"


class Database:
    """Where everything is kept. ``memory`` is true for a database that dies with the process."""

    def __init__(self, url: str, folder: Path) -> None:
        """Prepare the engine for ``url``; empty means ``arthexis.db`` in ``folder``. Nothing is opened yet."""
        self.url = _checked(url or f"sqlite:///{folder / 'arthexis.db'}")
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.memory = self.sqlite and self.url.database in {None, "", ":memory:"}
        self.engine = _engine(self.url, memory=self.memory)
        self.driver: Any = self.engine.dialect.loaded_dbapi
        self.errors: tuple[type[Exception], ...] = (self.driver.Error, sa.exc.DBAPIError)
        self._threads = ThreadPoolExecutor(1 if self.memory else READERS, "arthexis-reader")

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None."""
        return Path(self.url.database or "") if self.sqlite and not self.memory else None

    def broken(self, core: sa.Connection | None) -> bool:
        """Whether a connection is of no use any more: PostgreSQL went away, or shut it."""
        if self.sqlite or core is None:
            return False
        driver: Any = None if core.invalidated else core.connection.driver_connection
        return driver is None or bool(driver.closed)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection in autocommit mode, for the calling thread."""
        with self.engine.connect() as core:
            connection = Connection(core)
            try:
                yield connection
            finally:
                connection.close()

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a reading function in a reader thread: it never waits for the writer. Raises ``Unavailable``."""
        if self.memory:
            return self.read_now(fn)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, fn)

    def read_now(self, fn: Callable[[Connection], T]) -> T:
        """Run a reading function in this thread; raises ``Unavailable`` where the database cannot be read."""
        try:
            with self.connect() as connection:
                return fn(connection)
        except self.errors as error:
            raise Unavailable(
                f"the database cannot be read: {getattr(error, 'orig', None) or error}",
                place=self.url.render_as_string(hide_password=True),
                cure="See that it runs, or `arthexis db restore` a backup",
            ) from error

    def close(self) -> None:
        """Close every connection and thread; one in which a plugin hangs is waited for no longer than ``CLOSE_S``."""
        closing = threading.Thread(target=self._threads.shutdown, name="arthexis-closing", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        self.engine.dispose()


def _checked(url: str) -> sa.URL:
    """Parse a URL and name the cure where it is none, or of a kind that is not served."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise ConfigError(
            "not a database URL",
            place="database.url",
            cure="Write sqlite:////path/to/file.db or postgresql://user:password@host/name",
        ) from None
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(
            f"{parsed.get_backend_name()} is not served", place="database.url", cure="Use SQLite or PostgreSQL"
        )
    return parsed


def _engine(url: sa.URL, *, memory: bool) -> sa.Engine:
    """An engine in driver autocommit: the journal opens and closes its transactions itself."""
    if url.get_backend_name() == "postgresql":
        return _postgresql(url)
    options: dict[str, Any] = {"poolclass": StaticPool} if memory else {}
    engine = sa.create_engine(
        url,
        paramstyle="named",
        isolation_level="AUTOCOMMIT",
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        **options,
    )
    sa.event.listen(engine, "connect", _durable)
    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(
            url.update_query_dict(
                {**ALIVE, **url.query, "options": f"{IN_UTC} {url.query.get('options', '')}".strip()}
            ),
            isolation_level="AUTOCOMMIT",
            pool_pre_ping=True,
        )
    except ModuleNotFoundError:
        raise ConfigError(
            "the PostgreSQL driver is not installed",
            place="database.url",
            cure="Run: pip install 'arthexis-host[postgresql]'",
        ) from None


def _durable(driver: Any, _record: object) -> None:
    """SQLite settings: write-ahead log, every commit on the disk before it returns, foreign keys checked."""
    cursor = driver.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()
