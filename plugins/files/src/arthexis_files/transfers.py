"""What stations do with their tokens, the same for HTTP and FTP: one transfer at a time, counted, kept.

Whoever comes last with a token goes on with it: a station that lost its connection is back before the node has noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import BinaryIO

import sqlalchemy as sa

from arthexis import Connection, Context, Unavailable
from arthexis_files import store, tokens
from arthexis_files.settings import Settings
from arthexis_files.store import Incoming, Store
from arthexis_files.tables import target
from arthexis_files.tokens import Grant

WAIT_S = 5.0


class Transfers:
    """Every transfer of this node that is under way, by its token's hash."""

    def __init__(self, ctx: Context, kept: Store) -> None:
        """Serve from this store."""
        self.ctx = ctx
        self.store = kept
        self.settings: Settings = ctx.config
        self._busy: dict[bytes, tuple[Callable[[], None], asyncio.Event]] = {}

    @asynccontextmanager
    async def alone(self, text: str, stop: Callable[[], None]) -> AsyncIterator[None]:
        """Be the only transfer of a token: an older one is stopped and waited for. ``stop`` must end this one."""
        key, over = tokens.digest(text), asyncio.Event()
        while key in self._busy:
            end_older, older_over = self._busy[key]
            end_older()
            try:
                async with asyncio.timeout(WAIT_S):
                    await older_over.wait()
            except TimeoutError:
                raise Unavailable("another transfer is under way", place="files", cure="Try again") from None
        self._busy[key] = (stop, over)
        try:
            yield
        finally:
            del self._busy[key]
            over.set()

    async def admit(self, text: str, *, upload: bool, login: str | None = None) -> Grant:
        """See ``tokens.admit``; a guess costs one look and no commit."""
        at = self.ctx.clock.now()
        await self.ctx.host.database.read(lambda db: tokens.known(db, text))
        return await self.ctx.journal.write(lambda db: tokens.admit(db, text, at, upload=upload, login=login))

    async def look(self, text: str, *, login: str) -> Grant:
        """What a token grants to a login, without counting anything; raises what ``admit`` does."""
        at = self.ctx.clock.now()
        return await self.ctx.host.database.read(lambda db: tokens.look(db, text, at, login=login))

    async def opened(self, grant: Grant) -> BinaryIO:
        """The file that a grant is for; raises ``Unavailable`` where it is not what was stored."""
        file = grant.file or {}
        return await asyncio.to_thread(self.store.opened, file["uid"], file["size"], file["sha256"])

    async def sent(self, grant: Grant, start: int, end: int) -> None:
        """Bytes from ``start`` to before ``end`` have left."""
        size = (grant.file or {})["size"]
        await self.ctx.journal.write(lambda db: tokens.advance(db, grant.token, start, end, size))

    async def brought(self, grant: Grant, incoming: Incoming, name: str) -> str:
        """Keep what a station brought; its uid. Raises ``Spent``, and then nothing stays."""
        with incoming:
            stored = await asyncio.to_thread(incoming.finish)
            at = self.ctx.clock.now()

            def keep(db: Connection) -> None:
                tokens.use_up(db, grant.token, at)
                number = store.add(
                    db, stored, store.DIAGNOSTICS, name, at, by=f"station {grant.station}", station=grant.station
                )
                own = sa.update(target).where(target.c.id == grant.target)
                db.core.execute(own.values(file_id=number, changed_at=at))
                db.event("files.uploaded", grant.station, {"file": stored.uid, "size": stored.size})

            await self.ctx.journal.write(keep)
        return stored.uid
