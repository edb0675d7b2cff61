"""Power loss: the node's own SQL over a file system that forgets what was not synced.

A real node is listened to while a station charges (``record``); what its writer ran is run again over a VFS that notes
every write, sync and truncation (``Disk.play``); and then the power is cut at any of these operations: what was synced
is there, of what was not any part may be (``Disk.crash``).
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from arthexis.testing import node, wire

SECTOR = 512
CHARGES = 2
PLUGINS = ("arthexis-ocpp16:*",)


async def record(folder: Path) -> tuple[Path, list[str]]:
    """A node's database before two charges, and every statement that its writer ran for them, settings first."""
    async with node(folder, plugins=PLUGINS):
        pass
    before = folder / "before.db"
    before.write_bytes((folder / "arthexis.db").read_bytes())
    with _traced() as connections:
        async with node(folder, plugins=PLUGINS) as running, wire(running.station_url("CP-1")) as station:
            await station.boot()
            for number in range(CHARGES):
                await _charge(station, number)
    written = [statements for statements in connections if "BEGIN IMMEDIATE" in statements]
    assert len(written) == 1, "there is one writer"
    return before, written[0]


async def _charge(station: Any, number: int) -> None:
    at = f"2026-11-24T1{number}:00:"
    await station.result("StatusNotification", {"connectorId": 1, "status": "Preparing", "errorCode": "NoError"})
    begin = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": f"{at}00Z"}
    started = (await station.result("StartTransaction", begin))["transactionId"]
    for second in range(1, 4):
        sample = {"timestamp": f"{at}{second:02}Z", "sampledValue": [{"value": str(second)}]}
        await station.result("MeterValues", {"connectorId": 1, "transactionId": started, "meterValue": [sample]})
    await station.result("StopTransaction", {"transactionId": started, "meterStop": 9, "timestamp": f"{at}59Z"})


@contextmanager
def _traced() -> Iterator[list[list[str]]]:
    """The statements of every connection that is opened meanwhile, with their values."""
    found: list[list[str]] = []
    plain = sqlite3.dbapi2.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = plain(*args, **options)
        found.append([])
        connection.set_trace_callback(found[-1].append)
        return connection

    sqlite3.dbapi2.connect = connect  # type: ignore[assignment]
    try:
        yield found
    finally:
        sqlite3.dbapi2.connect = plain


def lost(folder: Path, before: Path, statements: list[str], crashes: int, dice: random.Random) -> list[str]:
    """What is wrong after power losses at every operation, and at random ones up to so many."""
    disk = Disk(before.read_bytes())
    disk.play(folder, statements)
    last = len(disk.operations)
    moments = [*range(last), *(dice.randrange(last) for _ in range(max(0, crashes - last)))]
    assert len(disk.acknowledged) > 6 * CHARGES, "the station was heard"
    return [fault for at in moments if (fault := disk.crash(folder, at, dice)) is not None]


@dataclass
class Disk:
    """What happened to the files of a database, in order, and what it held after each commit."""

    before: bytes
    operations: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def play(self, folder: Path, statements: list[str]) -> None:
        """Run the statements; a commit is acknowledged when it has returned."""
        path = folder / "played.db"
        path.write_bytes(self.before)
        name = f"loss{id(self)}"
        vfs = _Vfs(name, self)
        with closing(apsw.Connection(str(path), vfs=name)) as connection:
            reader = sqlite3.connect(path)
            self.states.append(content(reader))
            for statement in statements:
                connection.execute(statement).fetchall()
                if statement == "COMMIT":
                    self.acknowledged.append(len(self.operations))
                    self.states.append(content(reader))
            reader.close()
        del vfs

    def crash(self, folder: Path, at: int, dice: random.Random) -> str | None:
        """Cut the power before operation ``at``; what is wrong with what is left, or None."""
        files = self._left(at, dice)
        path = folder / "crashed.db"
        for suffix in ("", "-wal", "-shm", "-journal"):
            left = path.with_name(path.name + suffix)
            left.unlink(missing_ok=True)
            if suffix in files:
                left.write_bytes(files[suffix])
        done = sum(1 for moment in self.acknowledged if moment <= at)
        with closing(sqlite3.connect(path)) as database:
            try:
                database.execute("PRAGMA synchronous=OFF")
                damage = database.execute("PRAGMA integrity_check").fetchone()[0]
                held = content(database)
            except sqlite3.DatabaseError as error:
                return f"operation {at}: {error}"
        if damage != "ok":
            return f"operation {at}: {damage}"
        if held in self.states[done : done + 2]:
            return None
        return f"operation {at}: {done} commits were acknowledged, and that is not what is there"

    def _left(self, at: int, dice: random.Random) -> dict[str, bytes]:
        """The files after the crash: synced operations, and any part of those that were not."""
        files: dict[str, bytearray] = {"": bytearray(self.before)}
        unsynced: dict[str, list[tuple[str, int, bytes]]] = {}
        for kind, suffix, offset, data in self.operations[:at]:
            if kind != "sync":
                unsynced.setdefault(suffix, []).append((kind, offset, data))
                continue
            for operation in unsynced.pop(suffix, []):
                _apply(files.setdefault(suffix, bytearray()), *operation)
        for suffix, operations in unsynced.items():
            for kind, offset, data in operations:
                for start in range(0, len(data) or 1, SECTOR):
                    if dice.random() < 0.5:
                        _apply(
                            files.setdefault(suffix, bytearray()), kind, offset + start, data[start : start + SECTOR]
                        )
        return {suffix: bytes(data) for suffix, data in files.items()}


def _apply(file: bytearray, kind: str, offset: int, data: bytes) -> None:
    if kind == "truncate":
        del file[offset:]
        return
    if len(file) < offset:
        file.extend(bytes(offset - len(file)))
    file[offset : offset + len(data)] = data


def content(database: sqlite3.Connection) -> str:
    """Everything in a database, as text."""
    return "\n".join(database.iterdump())


class _Vfs(apsw.VFS):
    """The system's files, and a note of everything that is done to them."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _File(self.disk, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else (name or "")
        self._suffix = path.partition(".db")[2]
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.operations.append(("write", self._suffix, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.operations.append(("truncate", self._suffix, size, b""))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._disk.operations.append(("sync", self._suffix, 0, b""))
        super().xSync(flags)
