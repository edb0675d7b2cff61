"""The files of one node, from its start to its stop: store, transfers and roll-outs, and how the rest finds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from arthexis import Connection, Context, FileStore, Unavailable
from arthexis_files import deployments, locations, store
from arthexis_files.deployments import Plan
from arthexis_files.rollout import RollOuts
from arthexis_files.serving import Stations
from arthexis_files.settings import Settings
from arthexis_files.store import Incoming, Store
from arthexis_files.tables import file
from arthexis_files.transfers import Transfers


class Files:
    """Everything that this plugin holds open."""

    def __init__(self, ctx: Context) -> None:
        """Belong to this node; ``open`` must follow."""
        self.ctx = ctx
        self.settings: Settings = ctx.config
        self.store = Store(ctx.host.home / "files", self.settings.quota_bytes)
        self.transfers = Transfers(ctx, self.store)
        self.stations = Stations(self.transfers)
        self.roll_outs = RollOuts(ctx)

    async def open(self) -> None:
        """Make the folder and count what is in it."""
        listed = sa.select(file.c.uid, file.c.size)
        rows = await self.ctx.host.database.read(lambda db: [(r.uid, r.size) for r in db.core.execute(listed)])
        try:
            await asyncio.to_thread(self.store.open, rows)
        except OSError as error:
            raise Unavailable(
                f"cannot be used: {error.strerror}", place=str(self.store.folder), cure="Make it writable"
            ) from None

    async def take(self, content: AsyncIterator[bytes], *, sha256: str | None = None) -> Incoming:
        """All of a content, to be shelved; with ``sha256``, another hash is refused. Raises ``DomainError``."""
        return await store.received(self.store, content, self.settings.max_file_bytes, sha256=sha256)

    async def shelve(self, incoming: Incoming, kind: str, name: str, *, by: str, station: str | None = None) -> str:
        """Keep what was taken; its uid."""
        with incoming:
            stored = await asyncio.to_thread(incoming.finish)
            at = self.ctx.clock.now()
            await self.ctx.journal.write(lambda db: store.add(db, stored, kind, name, at, by=by, station=station))
        return stored.uid

    async def remove(self, uid: str) -> None:
        """Delete a file; raises ``NotFound``, or ``DomainError`` while it is being rolled out."""

        def forget(db: Connection) -> None:
            row = store.get(db, uid)
            store.remove(db, row, lambda: self.store.remove(row["uid"], row["size"]))

        await self.ctx.journal.write(forget)

    async def deploy(self, plan: Plan, by: str, until: datetime | None = None) -> str:
        """Begin a deployment; its uid. The file is checked first. Raises ``DomainError``."""
        if plan.file is not None:
            name = plan.file
            row = await self.ctx.host.database.read(lambda db: store.get(db, name))
            (await asyncio.to_thread(self.store.opened, row["uid"], row["size"], row["sha256"])).close()
        at = self.ctx.clock.now()
        last = until or at + timedelta(days=self.settings.wait_days)

        def begin(db: Connection) -> str:
            uid = deployments.create(db, plan, at, last, by)
            self.roll_outs.put(db, uid)
            return uid

        return await self.ctx.journal.write(begin)

    async def steer(self, uid: str, wish: str) -> None:
        """Pause, resume or cancel a deployment; raises ``DomainError``."""

        def change(db: Connection) -> None:
            deployments.steer(db, uid, wish, self.ctx.clock.now())
            self.roll_outs.put(db, uid)

        await self.ctx.journal.write(change)

    def warnings(self, scheme: str | None) -> list[str]:
        """What an operator should know before stations fetch firmware from here."""
        ways = [scheme] if scheme else locations.offered(self.settings, self.ctx.host.reachable_url("/"))
        plain = sorted({way for way in ways if way in {"http", "ftp"}})
        return [f"Stations may fetch by {way}, which anybody on the way can read and change" for way in plain]


class Shelf:
    """The ``FileStore`` that other plugins ask for, and by which the handlers here find their node's files."""

    def __init__(self) -> None:
        """Closed until the plugin's lifespan opens it."""
        self.files: Files | None = None

    @property
    def open(self) -> Files:
        """The files; raises ``Unavailable`` while they are closed."""
        if self.files is None:
            raise Unavailable("the store is closed", place="plugin files", cure="arthexis plugins info files")
        return self.files

    async def keep(self, kind: str, name: str, content: AsyncIterator[bytes], *, station: str | None = None) -> str:
        """Keep a file; see ``FileStore``."""
        files = self.open
        return await files.shelve(await files.take(content), kind, name, by="plugin", station=station)

    async def read(self, uid: str) -> bytes:
        """A file's content; see ``FileStore``."""
        files = self.open
        row = await files.ctx.host.database.read(lambda db: store.get(db, uid))

        def content() -> bytes:
            with files.store.opened(row["uid"], row["size"], row["sha256"]) as found:
                return found.read()

        return await asyncio.to_thread(content)


def shelf_of(host: Any) -> Shelf:
    """The shelf of a node; raises ``Unavailable``."""
    found = host.service(FileStore)
    if not isinstance(found, Shelf):
        raise Unavailable("another plugin keeps the files", place="plugin files", cure="arthexis plugins list")
    return found


def files_of(host: Any) -> Files:
    """The files of a node; raises ``Unavailable`` while they are closed."""
    return shelf_of(host).open
