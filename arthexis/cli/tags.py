"""``arthexis tags``: who may charge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from arthexis.charging import tag_lists
from arthexis.cli import show
from arthexis.cli.node_access import ask

AT_ONCE = 1_000
"""Lines of a list that are sent in one request."""


@click.group()
def tags() -> None:
    """Id tags: list, add, remove, unknown, alias, unalias, import, export."""


@tags.command("list")
@show.json_option
def list_(as_json: bool) -> None:
    """List every id tag."""
    found = ask("tags.list")
    if as_json:
        show.as_json(found)
        return
    columns = ("id_tag", "status", "expires_at", "parent_id_tag", "aliases", "note")
    show.table(found, columns, "No tag yet. Add one with: arthexis tags add TAG1")


@tags.command()
@click.argument("id_tag")
@click.option("--status", type=click.Choice(["Accepted", "Blocked", "Expired", "Invalid"]), default="Accepted")
@click.option("--expires-at", metavar="TIME", help="ISO 8601 with a zone, for example 2027-01-31T12:00:00Z.")
@click.option("--parent", help="The tag of the group it belongs to.")
@click.option("--note", help="Anything you want to remember.")
@show.json_option
def add(id_tag: str, status: str, expires_at: str | None, parent: str | None, note: str | None, as_json: bool) -> None:
    """Add an id tag, or change it."""
    found = ask("tags.add", id_tag=id_tag, status=status, expires_at=expires_at, parent_id_tag=parent, note=note)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"Tag {found['id_tag']} is {found['status']}.")


@tags.command()
@click.argument("id_tag")
@show.json_option
def remove(id_tag: str, as_json: bool) -> None:
    """Forget an id tag."""
    found = ask("tags.remove", id_tag=id_tag)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"Tag {found['id_tag']} is forgotten.")


@tags.command()
@show.json_option
def unknown(as_json: bool) -> None:
    """List tags that were refused because nobody knows them."""
    found = ask("tags.unknown")
    if as_json:
        show.as_json(found)
        return
    show.table(found, ("id_tag", "station", "tries", "first_at", "last_at"), "No unknown tag was presented.")


@tags.command()
@click.argument("id_tag")
@click.argument("alias")
@show.json_option
def alias(id_tag: str, alias: str, as_json: bool) -> None:
    """Let ALIAS stand for a tag as well.

    For a card that a reader or a station reads otherwise: turned around, in decimal, or as an older system did.
    """
    found = ask("tags.alias", id_tag=id_tag, alias=alias)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"{found['alias']} stands for tag {found['id_tag']}.")


@tags.command()
@click.argument("alias")
@show.json_option
def unalias(alias: str, as_json: bool) -> None:
    """Let ALIAS stand for no tag any more."""
    found = ask("tags.unalias", alias=alias)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"{found['alias']} stands for no tag any more.")


@tags.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--skip-wrong", is_flag=True, help="Leave out the lines that are wrong; without it, they stop all.")
@show.json_option
def import_(file: Path, dry_run: bool, skip_wrong: bool, as_json: bool) -> None:
    """Add the tags of a CSV file, or change them.

    Its first line names its columns: id_tag, and any of status, expires_at, parent_id_tag, note, aliases.
    """
    import_tags(tag_lists.read(tag_lists.content_of(file)), (), dry_run=dry_run, skip_wrong=skip_wrong, as_json=as_json)


def import_tags(
    rows: Sequence[tag_lists.Row],
    unread: Sequence[dict[str, Any]],
    *,
    dry_run: bool,
    skip_wrong: bool,
    as_json: bool,
) -> None:
    """Import the lines of a list and print what became of it; ends with status 5 where lines are wrong.

    ``unread`` are lines that are wrong already: each with ``line``, ``id_tag``, ``problem`` and ``cure``.
    """
    found = _in_pieces(rows, dry_run=True, skip_wrong=skip_wrong)
    if not dry_run and (skip_wrong or not (found["wrong"] or unread)):
        found = _in_pieces(rows, dry_run=False, skip_wrong=skip_wrong)
    found["wrong"] = sorted([*found["wrong"], *unread], key=lambda each: int(each["line"]))
    if as_json:
        show.as_json(found)
    else:
        for each in found["wrong"]:
            click.echo(show.plain(f"line {each['line']}: {each['problem']}. {each['cure']}"), err=True)
        done = "Nothing is stored" if not found["stored"] else f"{found['stored']} stored"
        click.echo(f"{done}: {found['added']} new, {found['changed']} known before, {len(found['wrong'])} wrong.")
    if found["wrong"]:
        click.get_current_context().exit(5)


def _in_pieces(rows: Sequence[tag_lists.Row], *, dry_run: bool, skip_wrong: bool) -> dict[str, Any]:
    """The sum of the answers to as many requests as it takes."""
    met = tag_lists.doubles(rows)
    wrong: list[dict[str, Any]] = []
    found: dict[str, Any] = {"added": 0, "changed": 0, "stored": 0, "wrong": wrong}
    right = [row for row in rows if row.line not in met]
    for start in range(0, len(right), AT_ONCE):
        piece = [msgspec.to_builtins(row) for row in right[start : start + AT_ONCE]]
        answer = ask("tags.import", rows=piece, dry_run=dry_run, skip_wrong=skip_wrong)
        wrong += answer["wrong"]
        for name in ("added", "changed", "stored"):
            found[name] += answer[name]
    wrong += met.values()
    return found


@tags.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
def export(file: Path | None) -> None:
    """Write every tag as CSV, to FILE or to the terminal."""
    text = tag_lists.write(ask("tags.list"))
    if file is None:
        click.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8-sig", newline="")
        click.echo(f"Written to {file}.")
