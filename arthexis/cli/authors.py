"""What people who write plugins type: ``arthexis plugins new``."""

from __future__ import annotations

from pathlib import Path

import click

from arthexis.cli import contributed, show
from arthexis.plugins import scaffold


@click.command()
@click.argument("name")
@click.option("--kind", default=scaffold.DEFAULT, metavar="KIND", help=f"What it does: {', '.join(scaffold.kinds())}.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Folder to write it into.")
@show.json_option
def new(name: str, kind: str, into: Path | None, as_json: bool) -> None:
    """Write a new plugin as a distribution of its own, with a test that passes.

    It is called arthexis-NAME and stands in a folder of that name. Without --kind it answers a vendor's DataTransfer.
    """
    from arthexis.cli.main import COMMANDS

    taken = {*COMMANDS, *(command.name for command in contributed.remembered())}
    written = scaffold.write(name, kind, into, taken)
    if as_json:
        show.as_json({"folder": str(written.folder), "files": written.files, "next": written.next})
        return
    click.echo(f"Wrote {written.folder} ({len(written.files)} files). Next:")
    for command in written.next:
        click.echo(f"  {command}")
