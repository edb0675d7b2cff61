"""``arthexis db``: migrations, backups and the health of the database."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import click

from arthexis.cli import show
from arthexis.cli.node import held_while
from arthexis.cli.node_access import ask, assembled
from arthexis.errors import Refused


@click.group()
def db() -> None:
    """The database: upgrade, status, backup, restore, verify."""


@db.command()
@show.json_option
def upgrade(as_json: bool) -> None:
    """Bring every table to the newest form (starting the node does this too)."""
    found = asyncio.run(_upgrade(assembled()))
    if as_json:
        show.as_json(found)
    else:
        _chains(found["chains"])


async def _upgrade(host: Any) -> dict[str, Any]:
    from arthexis.control import db_status

    with held_while(host.home, "db upgrade"):
        await host.open_files()
        try:
            found: dict[str, Any] = await db_status(host)
            return found
        finally:
            await host.close_files()


@db.command()
@show.json_option
def status(as_json: bool) -> None:
    """Show where the database is and whether a migration is due."""
    found = ask("db.status")
    if as_json:
        show.as_json(found)
        return
    show.record(found, ("url", "size_bytes"))
    _chains(found["chains"])


def _chains(chains: list[dict[str, Any]]) -> None:
    show.table(chains, ("name", "current", "head", "due"), "No chain.")


@db.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@show.json_option
def backup(path: Path | None, as_json: bool) -> None:
    """Write a consistent copy, also while the node runs."""
    from arthexis import config

    target = path or config.home() / "backups" / f"arthexis-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.db"
    found = ask("db.backup", path=str(target.absolute()))
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"{found['path']} ({found['size_bytes']} bytes)")


@db.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@show.json_option
def restore(path: Path, as_json: bool) -> None:
    """Put a backup in the database's place; the present one is kept beside it."""
    from arthexis.db.backup import restore as put_back

    host = assembled()
    present = host.database.path
    if present is None:
        raise Refused("the database is no file", place="db restore", cure="Use pg_restore for PostgreSQL")
    keep = present.with_name(f"{present.stem}.before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.db")
    with held_while(host.home, "db restore"):
        put_back(host.database, path, keep)
    if as_json:
        show.as_json({"restored": str(path), "kept": str(keep) if keep.exists() else None})
    else:
        click.echo(f"Restored {path}." + (f" The database before is {keep}." if keep.exists() else ""))


@db.command()
@show.json_option
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Check pages, references and tables; exit status 1 if anything is wrong."""
    found = ask("db.verify")
    if as_json:
        show.as_json(found)
    else:
        click.echo("The database is sound." if found["sound"] else "\n".join(found["problems"]))
    ctx.exit(0 if found["sound"] else 1)
