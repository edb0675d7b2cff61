"""What commands print: JSON for programs, plain columns for people; control characters never reach a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])
WIDEST = 60


def json_option(command: F) -> F:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def as_json(value: Any) -> None:
    """Print a value as indented JSON; what could move a cursor or turn the text around is escaped."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    click.echo("".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text))


def _escaped(character: str) -> str:
    """A character as JSON writes it in ASCII: one or two UTF-16 units."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def plain(value: Any) -> str:
    """A value in one line of text, harmless to a terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, dict)):
        value = msgspec.json.encode(value).decode()
    text = str(value)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def table(rows: Iterable[dict[str, Any]], columns: Sequence[str], nothing: str, *, widest: int = WIDEST) -> None:
    """Print rows in columns; the last column is never cut."""
    cells = [[plain(row.get(column)) for column in columns] for row in rows]
    if not cells:
        click.echo(nothing)
        return
    titles = [column.replace("_", " ") for column in columns]
    widths = [min(widest, max(len(row[i]) for row in [titles, *cells])) for i in range(len(columns))]
    for row in [titles, *cells]:
        parts = [cell if i == len(row) - 1 else _fit(cell, widths[i]) for i, cell in enumerate(row)]
        click.echo("  ".join(parts).rstrip())


def record(row: dict[str, Any], names: Sequence[str] | None = None) -> None:
    """Print one record, a line for each of its members that has a value."""
    shown = [(name, row[name]) for name in (names or row) if row.get(name) not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.replace('_', ' '):<{width}}  {plain(value)}")


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
