"""Lists of id tags as spreadsheets hold them (CSV): read line by line, checked, and written so that nothing runs.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula. Such cells are written with an
apostrophe before them, which is taken off when they are read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from arthexis.charging import tags
from arthexis.charging.ids import folded
from arthexis.charging.times import format_utc, parse_utc
from arthexis.db.statements import Connection
from arthexis.errors import DomainError, Invalid

COLUMNS: Final = ("id_tag", "status", "expires_at", "parent_id_tag", "note", "aliases")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
MOST_NOTE: Final = 1_000


class Row(Struct, kw_only=True, forbid_unknown_fields=True):
    """One line of a list: its number, and its cells as they were written; ``aliases`` with blanks between them."""

    line: int
    id_tag: str
    status: str = ""
    expires_at: str = ""
    parent_id_tag: str = ""
    note: str = ""
    aliases: str = ""


def content_of(file: Path) -> bytes:
    """What is in a file; raises ``Invalid`` where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}", place=str(file), cure="Compare its name") from None


def text_of(content: bytes) -> str:
    """The text of a file, with or without a byte order mark; raises ``Invalid`` where it is no UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decoded(content, "utf-16")
    return _decoded(content, "utf-8-sig")


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Invalid(
            f"byte {error.start} is no UTF-8", place="tag list", cure='Save it as "CSV UTF-8" and try again'
        ) from None


def cells(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line that holds anything: its number and its cells by the name of their column, in lower case.

    Columns are parted by commas or semicolons, whichever the first line uses. Raises ``Invalid`` where it is no CSV.
    """
    head = text.partition("\n")[0]
    parted = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=parted, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, {name: _plain(cell) for name, cell in zip(names, row, strict=False)}
    except csv.Error as error:
        raise Invalid(
            f"line {reader.line_num}: {error}", place="tag list", cure="Compare its quotation marks"
        ) from None


def _plain(cell: str) -> str:
    """A cell without the apostrophe that kept it from being a formula."""
    found = cell.strip()
    return found[1:] if found[:1] == "'" and found.lstrip("'").startswith(FORMULA) else found


def read(content: bytes) -> list[Row]:
    """The lines of a file with a column ``id_tag`` and any of the others; raises ``Invalid``."""
    text = text_of(content)
    found = list(cells(text))
    names = {name.strip().strip('"').lower() for name in text.partition("\n")[0].replace(";", ",").split(",")}
    if "id_tag" not in names:
        raise Invalid("there is no column id_tag", place="tag list", cure=f"Its first line names {', '.join(COLUMNS)}")
    return [row(line, given) for line, given in found]


def row(line: int, given: Mapping[str, str]) -> Row:
    """A line from its cells by name; columns that mean nothing here are left out."""
    return Row(line=line, **{"id_tag": "", **{name: given[name] for name in COLUMNS if name in given}})


def write(rows: Iterable[Mapping[str, Any]]) -> str:
    """The tags as CSV, harmless to a spreadsheet."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for found in rows:
        writer.writerow([_harmless(_cell(found.get(name))) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return format_utc(value)
    return " ".join(value) if isinstance(value, list) else "" if value is None else str(value)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell


def store(
    db: Connection, rows: Sequence[Row], at: datetime, *, dry_run: bool = False, skip_wrong: bool = False
) -> dict[str, Any]:
    """Add or change the tags of a list; how many are new and known before, and what is wrong, by line.

    If a line is wrong nothing is stored, unless ``skip_wrong``.
    """
    met = doubles(rows)
    wrong, right = list(met.values()), []
    for each in rows:
        if each.line in met:
            continue
        try:
            wanted = _checked(db, each)
        except DomainError as error:
            wrong.append({"line": each.line, "id_tag": each.id_tag, "problem": error.problem, "cure": error.cure})
        else:
            right.append((each, wanted))
    fresh = sum(tags.find(db, each.id_tag) is None for each, _ in right)
    if not dry_run and (skip_wrong or not wrong):
        for each, wanted in right:
            tags.add(db, each.id_tag, at, **wanted)
            for alias in each.aliases.split():
                tags.add_alias(db, each.id_tag, alias)
    stored = 0 if dry_run or (wrong and not skip_wrong) else len(right)
    return {"added": fresh, "changed": len(right) - fresh, "stored": stored, "wrong": wrong}


def doubles(rows: Iterable[Row]) -> dict[int, dict[str, Any]]:
    """What is wrong with lines whose tag or alias stands in an earlier line already, by line."""
    met: dict[str, int] = {}
    found = {}
    for each in rows:
        for text in (each.id_tag, *each.aliases.split()):
            before = met.setdefault(folded(text), each.line)
            if before != each.line:
                told = f"{text} stands in line {before} too"
                found[each.line] = {
                    "line": each.line,
                    "id_tag": each.id_tag,
                    "problem": told,
                    "cure": "Remove one of them",
                }
    return found


def _checked(db: Connection, given: Row) -> dict[str, Any]:
    """What a line says of its tag; raises ``DomainError`` where it cannot be stored."""
    status = given.status or "Accepted"
    tags.check(given.id_tag, status)
    tags.check_aliases(db, given.id_tag, given.aliases.split())
    if given.parent_id_tag:
        tags.check(given.parent_id_tag, status)
    if len(given.note) > MOST_NOTE:
        raise DomainError("the note is too long", place="tag list", cure=f"Use {MOST_NOTE} characters at most")
    return {
        "status": status,
        "expires_at": _moment(given.expires_at),
        "parent_id_tag": given.parent_id_tag or None,
        "note": given.note or None,
    }


def _moment(text: str) -> datetime | None:
    found = parse_utc(text) if text else None
    if text and found is None:
        raise DomainError(f"{text!r} is no time", place="tag list", cure="Write it like 2027-01-31T12:00:00Z")
    return found
