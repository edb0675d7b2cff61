"""Rival (b): websockets, ``ocpp``, SQLAlchemy's async ORM and aiosqlite, a session and a commit for each message.

The database is as safe as ours (WAL, ``synchronous=FULL``); nothing is logged and nobody is asked for a key.

python -m benchmarks.servers.ocpp_orm PORT FOLDER
"""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from sqlalchemy import ForeignKey, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks import fleet

TAGS = 100


class Base(DeclarativeBase):
    """The tables below."""


class Point(Base):
    """A station."""

    __tablename__ = "point"
    identity: Mapped[str] = mapped_column(primary_key=True)
    vendor: Mapped[str]
    model: Mapped[str]
    last_seen: Mapped[datetime]


class Status(Base):
    """A status that was reported."""

    __tablename__ = "status"
    id: Mapped[int] = mapped_column(primary_key=True)
    point: Mapped[str] = mapped_column(ForeignKey("point.identity"))
    connector: Mapped[int]
    status: Mapped[str]
    error_code: Mapped[str]
    at: Mapped[str | None]


class Tag(Base):
    """An id tag."""

    __tablename__ = "tag"
    id_tag: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]


class Charge(Base):
    """A transaction."""

    __tablename__ = "charge"
    id: Mapped[int] = mapped_column(primary_key=True)
    point: Mapped[str] = mapped_column(ForeignKey("point.identity"))
    connector: Mapped[int]
    id_tag: Mapped[str]
    meter_start: Mapped[int]
    started_at: Mapped[str]
    meter_stop: Mapped[int | None]
    stopped_at: Mapped[str | None]
    reason: Mapped[str | None]


class Sample(Base):
    """A sampled value."""

    __tablename__ = "sample"
    id: Mapped[int] = mapped_column(primary_key=True)
    point: Mapped[str] = mapped_column(ForeignKey("point.identity"))
    charge_id: Mapped[int | None] = mapped_column(index=True)
    at: Mapped[str]
    measurand: Mapped[str | None]
    phase: Mapped[str | None]
    unit: Mapped[str | None]
    context: Mapped[str | None]
    location: Mapped[str | None]
    value: Mapped[str]


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


class Station(ChargePoint):  # type: ignore[misc]
    """The central system's side of one station."""

    sessions: async_sessionmaker[AsyncSession]

    @on(Action.boot_notification)
    async def on_boot(
        self, charge_point_vendor: str, charge_point_model: str, **_: Any
    ) -> call_result.BootNotification:
        """Keep the station."""
        async with self.sessions() as session:
            at = now()
            await session.merge(
                Point(identity=self.id, vendor=charge_point_vendor, model=charge_point_model, last_seen=at)
            )
            await session.commit()
        return call_result.BootNotification(
            current_time=at.strftime("%Y-%m-%dT%H:%M:%SZ"), interval=300, status=RegistrationStatus.accepted
        )

    @on(Action.heartbeat)
    async def on_heartbeat(self) -> call_result.Heartbeat:
        """Keep when it was seen."""
        async with self.sessions() as session:
            at = now()
            point = await session.get(Point, self.id)
            if point is not None:
                point.last_seen = at
            await session.commit()
        return call_result.Heartbeat(current_time=at.strftime("%Y-%m-%dT%H:%M:%SZ"))

    @on(Action.status_notification)
    async def on_status(
        self, connector_id: int, error_code: str, status: str, timestamp: str | None = None, **_: Any
    ) -> call_result.StatusNotification:
        """Keep the status."""
        async with self.sessions() as session:
            session.add(
                Status(point=self.id, connector=connector_id, status=status, error_code=error_code, at=timestamp)
            )
            await session.commit()
        return call_result.StatusNotification()

    @on(Action.authorize)
    async def on_authorize(self, id_tag: str) -> call_result.Authorize:
        """Look the tag up."""
        async with self.sessions() as session:
            return call_result.Authorize(id_tag_info={"status": await _authorized(session, id_tag)})

    @on(Action.start_transaction)
    async def on_start(
        self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **_: Any
    ) -> call_result.StartTransaction:
        """Keep the transaction."""
        async with self.sessions() as session:
            status = await _authorized(session, id_tag)
            charge = Charge(
                point=self.id, connector=connector_id, id_tag=id_tag, meter_start=meter_start, started_at=timestamp
            )
            session.add(charge)
            await session.commit()
        return call_result.StartTransaction(transaction_id=charge.id, id_tag_info={"status": status})

    @on(Action.meter_values)
    async def on_meter_values(
        self, connector_id: int, meter_value: list[Any], transaction_id: int | None = None, **_: Any
    ) -> call_result.MeterValues:
        """Keep every sample."""
        known = ("measurand", "phase", "unit", "context", "location", "value")
        async with self.sessions() as session:
            session.add_all(
                Sample(
                    point=self.id,
                    charge_id=transaction_id,
                    at=reading["timestamp"],
                    **{name: sample.get(name) for name in known},
                )
                for reading in meter_value
                for sample in reading["sampled_value"]
            )
            await session.commit()
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    async def on_stop(
        self, transaction_id: int, meter_stop: int, timestamp: str, reason: str | None = None, **_: Any
    ) -> call_result.StopTransaction:
        """Close the transaction."""
        async with self.sessions() as session:
            charge = await session.get(Charge, transaction_id)
            if charge is not None:
                charge.meter_stop, charge.stopped_at, charge.reason = meter_stop, timestamp, reason
            await session.commit()
        return call_result.StopTransaction()


async def _authorized(session: AsyncSession, id_tag: str) -> AuthorizationStatus:
    found = (await session.execute(select(Tag).where(Tag.id_tag == id_tag))).scalar_one_or_none()
    return AuthorizationStatus(found.status) if found is not None else AuthorizationStatus.invalid


def engine(folder: Path) -> AsyncEngine:
    """The database, as durable as ours."""
    made = create_async_engine(f"sqlite+aiosqlite:///{folder / 'rival.db'}", pool_timeout=60)

    @event.listens_for(made.sync_engine, "connect")
    def _durable(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return made


async def on_connect(socket: websockets.ServerConnection) -> None:
    """Serve one station until it leaves."""
    identity = socket.request.path.strip("/").rpartition("/")[2] if socket.request else ""
    try:
        await Station(identity, socket).start()
    except websockets.ConnectionClosed:
        return


async def main(port: int, folder: Path) -> None:
    """Make the tables and listen until the process is ended."""
    made = engine(folder)
    Station.sessions = async_sessionmaker(made, expire_on_commit=False)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with Station.sessions() as session:
        session.add_all(Tag(id_tag=fleet.tag(number), status="Accepted") for number in range(TAGS))
        await session.commit()
    server = await websockets.serve(on_connect, "127.0.0.1", port, subprotocols=["ocpp1.6"])  # type: ignore[list-item]
    await server.wait_closed()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
