"""``arthexis rfid``: through the running node; where none runs, with the readers of the settings themselves."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import click

from arthexis import (
    ArthexisError,
    Invalid,
    Unavailable,
    ask,
    call_api,
    import_tags,
    node_url,
    settings_of,
    show,
    tag_lists,
)
from arthexis_rfid import blocks, cards, local
from arthexis_rfid.cards import Card
from arthexis_rfid.drivers import WITH_BLOCKS, no_blocks
from arthexis_rfid.routes import key_of, unknown_card
from arthexis_rfid.settings import Reader, Settings

Command = TypeVar("Command", bound=Callable[..., Any])
COLUMNS: Final = ("name", "driver", "state", "does", "device", "reason", "cure")
POLL_S: Final = 20.0
_seconds = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?").fullmatch
UNITS: Final = {None: 1, "s": 1, "m": 60, "h": 3600}
reader_option = click.option("--reader", help="Only this reader; with one reader it need not be named.")


class Seconds(click.ParamType[float]):
    """A time such as ``30s``, ``5m`` or ``1h``, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds of a text."""
        if isinstance(value, (int, float)):
            return float(value)
        found = _seconds(str(value))
        if found is None:
            self.fail(f"{value!r} is no time; write it like 30s, 5m or 1h", param, ctx)
        if not float(found[1]):
            self.fail(f"{value!r} is no time at all; write it like 30s, 5m or 1h", param, ctx)
        return float(found[1]) * UNITS[found[2]]


def wait_option(default: float) -> Callable[[Command], Command]:
    """Add ``--for``."""
    return click.option("--for", "for_s", type=Seconds(), default=default, show_default=True, help="Wait so long.")


@click.group()
def rfid() -> None:
    """Card readers: readers, watch, scan, enrol, mode, read, write, present, import."""


def _settings() -> Settings:
    found: Settings = settings_of("rfid")
    if not found.readers:
        raise _no_reader()
    return found


def _no_reader() -> Unavailable:
    return Unavailable("no reader is named in the settings", place="plugins.rfid", cure="Add [[plugins.rfid.readers]]")


def _chosen(names: list[str], reader: str | None) -> str:
    """The reader that is meant; raises ``Invalid``."""
    if reader is None and len(names) != 1:
        told = ", ".join(names) if names else "none"
        raise Invalid("which reader?", place="--reader", cure=f"Name one of them: {told}")
    if reader is not None and reader not in names:
        raise Invalid(f"no reader {reader}", place="--reader", cure=f"There is {', '.join(names) or 'none'}")
    return reader if reader is not None else names[0]


def _own(reader: str | None) -> Reader:
    """The settings of the one reader that is meant, where no node runs."""
    found = _settings().readers
    name = _chosen([each.name for each in found], reader)
    return next(each for each in found if each.name == name)


def _path(reader: str | None, what: str) -> str:
    """The route of the one reader that is meant, at the running node."""
    names = [each["name"] for each in call_api("GET", "/rfid/readers")["items"]]
    return f"/rfid/readers/{quote(_chosen(names, reader), safe='')}/{what}"


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run something with a reader of ours; the keyboard ends it."""
    click.echo("(no node is running; the readers are used directly)", err=True)
    return asyncio.run(work)


@rfid.command()
@show.json_option
def readers(as_json: bool) -> None:
    """List the readers, how each is, why, and what to do."""
    found = call_api("GET", "/rfid/readers")["items"] if node_url() else _run(local.conditions(_settings()))
    if as_json:
        show.as_json(found)
        return
    show.table(found, COLUMNS, "No reader is named in the settings: add [[plugins.rfid.readers]].")


def _line(scan: dict[str, Any]) -> str:
    known = "" if scan["id_tag"] == scan["uid"] else f" (tag {scan['id_tag']})"
    random = ", its UID changes each time" if scan["random"] and "changes each time" not in scan["said"] else ""
    said = f", {scan['said']}" if scan["said"] else ""
    status = f": {scan['status']}" if scan["status"] else ""
    return show.plain(f"{scan['reader']}  {scan['change']}  {scan['uid']}{known}{status}{random}{said}")


@rfid.command()
@reader_option
@click.option("--for", "for_s", type=Seconds(), help="End after so long; without it, with Ctrl-C.")
def watch(reader: str | None, for_s: float | None) -> None:
    """Print every card that comes, stays and goes."""
    if node_url() is None:
        _run(local.watch(_settings(), reader, for_s, lambda scan: click.echo(_line(scan))))
        return
    for scan in _until(math.inf if for_s is None else for_s, reader):
        click.echo(_line(scan))


def _newest() -> int:
    return int(call_api("GET", "/rfid/scans?after=0")["newest"])


def _scans(after: int, wait_s: float, reader: str | None) -> Any:
    asked = {"after": after, "wait_s": wait_s, **({"reader": reader} if reader else {})}
    return call_api("GET", f"/rfid/scans?{urlencode(asked)}", patience_s=wait_s + 30)


@rfid.command()
@reader_option
@wait_option(30.0)
@show.json_option
def scan(reader: str | None, for_s: float, as_json: bool) -> None:
    """Wait for one card, print its UID and what is known of it, and do nothing else."""
    found = _next_scan(reader, for_s) if node_url() else _run(local.scan(_settings(), reader, for_s))
    if found is None:
        raise Unavailable("no card came", place="reader", cure="Hold one against it; see `arthexis rfid readers`")
    if as_json:
        show.as_json(found)
    else:
        click.echo(_line(found))


def _next_scan(reader: str | None, for_s: float) -> dict[str, Any] | None:
    return next((each for each in _until(for_s, reader) if each["change"] == "scanned"), None)


def _until(for_s: float, reader: str | None) -> Iterator[dict[str, Any]]:
    """What happens at the readers of the running node from now on, for so long."""
    names = [each["name"] for each in call_api("GET", "/rfid/readers")["items"]]
    if not names:
        raise _no_reader()
    if reader is not None:
        _chosen(names, reader)
    newest, end = _newest(), time.monotonic() + for_s
    while (left_s := end - time.monotonic()) > 0:
        found = _scans(newest, min(POLL_S, left_s), reader)
        yield from found["items"]
        newest = found["newest"]


@rfid.command()
@reader_option
@click.option("--release", is_flag=True, help="Let the cards in at once; without it, they wait in the inbox.")
@click.option("--stop", is_flag=True, help="End it before its time.")
@wait_option(300.0)
def enrol(reader: str | None, release: bool, stop: bool, for_s: float) -> None:
    """Take up every unknown card that is held against a reader for a while.

    They appear in `arthexis tags unknown`, to be released with `arthexis tags add`; with --release they may charge at
    once. A card that is known, blocked ones too, stays as it is.
    """
    if node_url() is None:
        _enrol_here(_own(reader), for_s, release=release)
        return
    path = _path(reader, "mode")
    if stop:
        found = call_api("DELETE", path)
        click.echo(f"Reader {found['name']} does again what is configured: {found['does']}.")
        return
    found = call_api("PUT", path, {"does": "release" if release else "inbox", "for_s": for_s})
    become = "are let in at once" if release else "wait in `arthexis tags unknown`"
    click.echo(f"Until {found['until']}, unknown cards at reader {found['name']} {become}.")


def _enrol_here(own: Reader, for_s: float, *, release: bool) -> None:
    """Without a node there is no inbox to fill: cards are let in one by one, if that is wanted."""
    if not release:
        raise Unavailable("no node is running to keep an inbox", place="enrol", cure="Start it, or add --release")
    card = _run(local.card(own, _settings().retry_s, for_s))
    known = {row["id_tag"].lower() for row in ask("tags.list")}
    if card.random:
        raise Invalid("the UID of this card changes each time", place="card", cure="Use another card")
    if card.id.lower() in known:
        click.echo(f"Tag {card.id} is known already.")
        return
    ask("tags.add", id_tag=card.id, note=f"released at reader {own.name}")
    for alias in cards.forms(card, [*own.aliases]).values():
        ask("tags.alias", id_tag=card.id, alias=alias)
    click.echo(f"Tag {card.id} is Accepted.")


@rfid.command()
@click.argument("reader")
@click.argument("does", type=click.Choice(["none", "who", "inbox", "release", "start", "configured"]))
@click.option("--station", default="", help="start: the station that the card is to start.")
@click.option("--connector", type=int, default=0, help="start: its connector; 0: any.")
@wait_option(300.0)
def mode(reader: str, does: str, station: str, connector: int, for_s: float) -> None:
    """Let scans at READER do something else for a while (`configured`: what the settings say)."""
    path = f"/rfid/readers/{quote(reader, safe='')}/mode"
    wanted = {"does": does, "for_s": for_s, "station": station, "connector": connector}
    found = call_api("DELETE", path) if does == "configured" else call_api("PUT", path, wanted)
    at = f" {found['station']}, connector {found['connector'] or 'any'}" if found["does"] == "start" else ""
    until = f", until {found['until']}" if found["until"] else ""
    click.echo(f"A scan at reader {found['name']} does: {found['does']}{at}{until}.")


def block_options(command: Command) -> Command:
    """Add what names a block and opens it."""
    for option in (
        click.option("--key-type", type=click.Choice(["A", "B"]), default="A", show_default=True),
        click.option("--key", default="FFFFFFFFFFFF", show_default=True, help="MIFARE Classic: the key, 12 digits."),
        click.argument("block", type=click.IntRange(0, 255)),
        reader_option,
        wait_option(10.0),
        show.json_option,
    ):
        command = option(command)
    return command


@rfid.command()
@block_options
def read(block: int, key: str, key_type: str, reader: str | None, for_s: float, as_json: bool) -> None:
    """Read BLOCK of the card on a reader: MIFARE Classic, or a page of Ultralight and NTAG. Known cards only."""
    asked = {"block": block, "key": key, "key_type": key_type, "wait_s": for_s}
    _shown(_on_card(reader, "read", asked), as_json=as_json)


@rfid.command()
@block_options
@click.argument("data")
@click.option("--text", is_flag=True, help="DATA is text, filled up with blanks; without it, hexadecimal.")
@click.option("--force", is_flag=True, help="Also blocks of keys, locks and settings: a card can be lost for ever.")
def write(
    block: int,
    key: str,
    key_type: str,
    reader: str | None,
    for_s: float,
    as_json: bool,
    data: str,
    text: bool,
    force: bool,
) -> None:
    """Write DATA into BLOCK of the card on a reader, and read it back. Known cards only."""
    told = data.encode("ascii", "replace").ljust(16).hex() if text else data
    asked = {"block": block, "key": key, "key_type": key_type, "wait_s": for_s, "data": told, "force": force}
    _shown(_on_card(reader, "write", asked), as_json=as_json)


def _on_card(reader: str | None, what: str, asked: dict[str, Any]) -> Any:
    if node_url() is not None:
        return call_api("POST", _path(reader, what), asked)
    own = _own(reader)
    if own.driver not in WITH_BLOCKS:
        raise no_blocks(own)
    try:
        key = key_of(asked["key"], asked["key_type"])
        data = bytes.fromhex(asked["data"]) if what == "write" else b""
    except ValueError:
        raise Invalid("key and data are hexadecimal", place=what, cure="Two digits for each byte") from None
    known = {text.lower() for row in ask("tags.list") for text in (row["id_tag"], *row["aliases"])}
    work = partial(_with_blocks, block=asked["block"], key=key, data=data, force=asked.get("force", False), known=known)
    card, found = _run(local.on_card(own, _settings().retry_s, asked["wait_s"], work))
    return {"uid": card.id, "id_tag": card.id, "block": asked["block"], "data": found.hex().upper()}


def _with_blocks(
    driver: Any, card: Card, *, block: int, key: blocks.Key, data: bytes, force: bool, known: set[str]
) -> tuple[Card, bytes]:
    """Read or write a block of a card that is known; what it holds."""
    if not known & {card.id.lower()}:
        raise unknown_card(card)
    with driver.blocks(card) as memory:
        if data:
            blocks.write(memory, card.sak, block, data, key, force=force)
            return card, data
        return card, blocks.read(memory, card.sak, block, key)


def _shown(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in bytes.fromhex(found["data"]))
    click.echo(f"{found['uid']}  block {found['block']}  {found['data']}  {text}")


@rfid.command()
@click.argument("uid")
@reader_option
def present(uid: str, reader: str | None) -> None:
    """Hold a card against a virtual reader of the running node."""
    card = cards.written(uid)
    call_api("POST", _path(reader, "cards"), {"uid": uid})
    click.echo(f"Card {card.id} is held against the reader.")


@rfid.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--column", default="rfid", show_default=True, help="The column that holds the cards' numbers.")
@click.option("--reads", type=click.Choice(["hex", "hex-reversed", "decimal", "decimal-reversed"]), default="hex")
@click.option("--technology", type=click.Choice(["iso14443a", "em4100"]), default="iso14443a", show_default=True)
@click.option("--alias", "aliases", multiple=True, type=click.Choice(cards.FORMS), help="Make this form an alias.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--skip-wrong", is_flag=True, help="Leave out the lines that are wrong; without it, they stop all.")
@show.json_option
def import_(
    file: Path,
    column: str,
    reads: str,
    technology: str,
    aliases: tuple[str, ...],
    dry_run: bool,
    skip_wrong: bool,
    as_json: bool,
) -> None:
    """Add the cards of a CSV file of an older system as tags.

    Their numbers become UIDs: check bytes are dropped, cut ones are refused, and what stood there becomes an alias
    where it is another text, so that stations which still send it are served. `arthexis tags import` takes tags as
    they are.
    """
    rows, wrong = [], []
    for line, given in tag_lists.cells(tag_lists.text_of(tag_lists.content_of(file))):
        number = given.get(column.lower(), "")
        try:
            card = cards.typed(number, reads, technology)
        except ArthexisError as error:
            wrong.append({"line": line, "id_tag": number, "problem": error.problem, "cure": error.cure})
            continue
        texts = {*cards.forms(card, [*aliases]).values(), number.strip()} - {card.id}
        mine = {name: value for name, value in given.items() if name not in {"aliases", "id_tag"}}
        fold = sorted(text for text in texts if text.lower() != card.id.lower() and " " not in text)
        rows.append(tag_lists.row(line, {**mine, "id_tag": card.id, "aliases": " ".join(fold)}))
    import_tags(rows, wrong, dry_run=dry_run, skip_wrong=skip_wrong, as_json=as_json)
