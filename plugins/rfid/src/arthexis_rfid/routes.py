"""Readers over HTTP: how they are, what happened at them, what scans do, and the blocks of cards."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from arthexis import Answer, ApiRequest, Connection, DomainError, Host, Invalid, Route, Unavailable, stations
from arthexis_rfid import blocks, cards
from arthexis_rfid.blocks import Key
from arthexis_rfid.cards import Card
from arthexis_rfid.drivers import WITH_BLOCKS, Driver, no_blocks
from arthexis_rfid.drivers.virtual import Virtual
from arthexis_rfid.readers import Reader
from arthexis_rfid.scanning import UNKNOWN, Mode, Scan, Scanning, look_up
from arthexis_rfid.settings import Does

MOST_WAIT_S: Final = 60.0
Name = Annotated[str, Meta(min_length=1, max_length=32, description="The reader's name")]
Wait = Annotated[float, Meta(ge=0, le=MOST_WAIT_S, description="Wait so many seconds for something to happen")]
_bytes = re.compile(r"([0-9A-Fa-f]{2})+").fullmatch


class Desk:
    """By which routes find the readers of their node; closed until the plugin's lifespan opens it."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self.scanning: Scanning | None = None


class Present(Struct, kw_only=True):
    """A card that lies on a reader, or what cannot be read there and why."""

    uid: str
    technology: str
    random: bool
    problem: str


class ReaderNow(Struct, kw_only=True):
    """A reader: how it is (starting, ready, unavailable, stopped), why and the cure, and what a scan at it does."""

    name: str
    driver: str
    device: str
    state: str
    reason: str
    cure: str
    does: str
    station: str
    connector: int
    until: datetime | None
    present: list[Present]
    last: Scan | None


class Readers(Struct, kw_only=True):
    """All readers."""

    items: list[ReaderNow]


class Scans(Struct, kw_only=True):
    """What happened, the oldest first; ``newest`` is where to go on."""

    items: list[Scan]
    newest: int


class OfReader(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which reader."""

    reader: Name


class Which(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which scans."""

    after: Annotated[int, Meta(ge=0, description="Only what has a greater number")] = 0
    wait_s: Wait = 0.0
    reader: Name | None = None


class NewMode(Struct, kw_only=True, forbid_unknown_fields=True):
    """What scans are to do for a while."""

    does: Does
    for_s: Annotated[float, Meta(gt=0, le=86_400, description="For so many seconds")] = 300.0
    station: Annotated[str, Meta(max_length=48, description="does = start: the station")] = ""
    connector: Annotated[int, Meta(ge=0, le=2**31 - 1, description="does = start: the connector; 0: any")] = 0


class Presented(Struct, kw_only=True, forbid_unknown_fields=True):
    """A card to hold against a virtual reader."""

    uid: Annotated[str, Meta(min_length=1, max_length=40, description="Hexadecimal, 4, 7 or 10 bytes")]


class OfBlock(Struct, kw_only=True, forbid_unknown_fields=True):
    """A block of the card that lies on the reader, or is held against it soon, and the key that opens it."""

    block: Annotated[int, Meta(ge=0, le=255, description="A block of a MIFARE Classic, a page of an Ultralight")]
    key: Annotated[str, Meta(pattern="^[0-9A-Fa-f]{12}$", description="MIFARE Classic: 6 bytes")] = "FFFFFFFFFFFF"
    key_type: Literal["A", "B"] = "A"
    wait_s: Wait = 10.0


class ToWrite(OfBlock, kw_only=True, forbid_unknown_fields=True):
    """What to write into a block: 16 bytes into one of a Classic, 4 into a page of an Ultralight."""

    data: Annotated[str, Meta(min_length=2, max_length=32, description="Hexadecimal")]
    force: Annotated[bool, Meta(description="Also blocks of keys, locks and settings: a card can be lost for ever")] = (
        False
    )


class Block(Struct, kw_only=True):
    """A block of a card, in hexadecimal."""

    uid: str
    id_tag: str
    block: int
    data: str


def desk_of(host: Host) -> Desk:
    """The desk of a node; raises ``Unavailable`` where this plugin is not on."""
    desk = host.service(Desk)
    if desk is None:
        raise Unavailable("the plugin is not on", place="plugin rfid", cure="See `arthexis plugins info rfid`")
    return desk


def scanning_of(request: ApiRequest) -> Scanning:
    """The readers of the node; raises ``Unavailable`` while they are closed."""
    scanning = desk_of(request.host).scanning
    if scanning is None:
        raise Unavailable("the readers are closed", place="plugin rfid", cure="See `arthexis plugins info rfid`")
    return scanning


def _now(scanning: Scanning, reader: Reader) -> ReaderNow:
    mode, condition, own = scanning.mode(reader), reader.condition, reader.settings
    last = next((scan for scan in reversed(scanning.scans) if scan.reader == reader.name), None)
    return ReaderNow(
        name=own.name,
        driver=own.driver,
        device=own.device,
        state=condition.state,
        reason=condition.reason,
        cure=condition.cure,
        does=mode.does,
        station=mode.station,
        connector=mode.connector,
        until=mode.until,
        present=[_present(seen) for seen in reader.there],
        last=last,
    )


def _present(seen: Any) -> Present:
    if isinstance(seen, Card):
        return Present(uid=seen.id, technology=seen.technology, random=seen.random, problem="")
    return Present(uid=seen.what, technology="", random=False, problem=f"{seen.problem}. {seen.cure}")


async def list_(request: ApiRequest) -> Readers:
    """How every reader is."""
    scanning = scanning_of(request)
    return Readers(items=[_now(scanning, reader) for reader in scanning.readers.values()])


async def scans(request: ApiRequest) -> Scans:
    """What happened at the readers."""
    scanning, asked = scanning_of(request), request.params
    items = await scanning.after(asked.after, asked.wait_s, asked.reader)
    return Scans(items=items, newest=scanning.newest)


async def set_mode(request: ApiRequest) -> ReaderNow:
    """Let scans do something else for a while."""
    scanning, new = scanning_of(request), request.body
    reader = scanning.reader(request.params.reader)
    if new.does == "start" and not new.station:
        raise Invalid("a start needs a station", place="station", cure="Give station", member="station")
    if new.does == "start":
        await request.host.database.read(lambda db: stations.required(db, new.station))
    scanning.set_mode(reader, Mode(new.does, new.station, new.connector), new.for_s)
    return _now(scanning, reader)


async def end_mode(request: ApiRequest) -> ReaderNow:
    """Let scans do what is configured."""
    scanning = scanning_of(request)
    reader = scanning.reader(request.params.reader)
    scanning.end_mode(reader)
    return _now(scanning, reader)


async def present(request: ApiRequest) -> Answer:
    """Hold a card against a virtual reader."""
    reader = scanning_of(request).reader(request.params.reader)
    if not isinstance(reader.driver, Virtual):
        raise DomainError(f"reader {reader.name} is a real one", place="rfid", cure="Hold a card against it")
    reader.driver.present(cards.written(request.body.uid))
    return Answer(status=202)


async def _on_known_card(request: ApiRequest, work: Any) -> Block:
    """Do something with the memory of the card in the field, once the table of tags has told that it is ours."""
    scanning, asked = scanning_of(request), request.body
    reader = scanning.reader(request.params.reader)
    if reader.settings.driver not in WITH_BLOCKS:
        raise no_blocks(reader.settings)
    card = await reader.with_card(lambda _, seen: seen, asked.wait_s)
    at = scanning.ctx.clock.now()

    def known(db: Connection) -> Any:
        return look_up(db, card, reader.settings.known_as, at)

    found = await scanning.ctx.host.database.read(known)
    if found.status == UNKNOWN:
        raise unknown_card(card)
    data = await reader.with_card(lambda driver, _: work(driver, card), asked.wait_s)
    return Block(uid=card.id, id_tag=found.id_tag, block=asked.block, data=data.hex().upper())


def unknown_card(card: Card) -> DomainError:
    """The error for a card whose memory is not ours to touch."""
    return DomainError(
        f"card {card.id} is not known here, so it is neither read nor written",
        place="card",
        cure=f"If it is yours, add it first: arthexis tags add {card.id}",
    )


def key_of(text: str, kind: str) -> Key:
    """A key from its twelve digits and its letter."""
    return Key(bytes.fromhex(text), blocks.KEY_A if kind == "A" else blocks.KEY_B)


async def read(request: ApiRequest) -> Block:
    """Read a block."""
    asked = request.body

    def work(driver: Driver, card: Card) -> bytes:
        with driver.blocks(card) as memory:
            return blocks.read(memory, card.sak, asked.block, key_of(asked.key, asked.key_type))

    return await _on_known_card(request, work)


async def write(request: ApiRequest) -> Block:
    """Write a block."""
    asked = request.body
    if _bytes(asked.data) is None:
        raise Invalid("data is not hexadecimal", place="data", cure="Write two digits for each byte", member="data")
    data = bytes.fromhex(asked.data)

    def work(driver: Driver, card: Card) -> bytes:
        with driver.blocks(card) as memory:
            key = key_of(asked.key, asked.key_type)
            blocks.write(memory, card.sak, asked.block, data, key, force=asked.force)
        return data

    return await _on_known_card(request, work)


ROUTES: Final = (
    Route("GET", "/rfid/readers", list_, "viewer", "List the card readers and how they are", answer=Readers),
    Route(
        "GET",
        "/rfid/scans",
        scans,
        "operator",
        "List what happened at the readers, or wait for it",
        description="The latest 200 changes; all of them stand in the events `tag.scanned`, `tag.held`, `tag.removed`.",
        params=Which,
        answer=Scans,
    ),
    Route(
        "PUT",
        "/rfid/readers/{reader}/mode",
        set_mode,
        "operator",
        "Let scans at a reader do something else for a while",
        params=OfReader,
        body=NewMode,
        answer=ReaderNow,
    ),
    Route(
        "DELETE",
        "/rfid/readers/{reader}/mode",
        end_mode,
        "operator",
        "Let scans at a reader do what is configured",
        params=OfReader,
        answer=ReaderNow,
    ),
    Route(
        "POST",
        "/rfid/readers/{reader}/cards",
        present,
        "operator",
        "Hold a card against a virtual reader",
        params=OfReader,
        body=Presented,
        statuses={202: "It is held against it"},
        conflicts=True,
    ),
    Route(
        "POST",
        "/rfid/readers/{reader}/read",
        read,
        "administrator",
        "Read a block of the known card on a reader",
        params=OfReader,
        body=OfBlock,
        answer=Block,
        conflicts=True,
    ),
    Route(
        "POST",
        "/rfid/readers/{reader}/write",
        write,
        "administrator",
        "Write a block of the known card on a reader",
        params=OfReader,
        body=ToWrite,
        answer=Block,
        conflicts=True,
    ),
)
