"""What people who write plugins type: ``arthexis plugins new`` and ``arthexis plugins check``."""

from __future__ import annotations

from pathlib import Path

import click

from arthexis import config
from arthexis.cli import contributed, show
from arthexis.plugins import scaffold
from arthexis.quality.rules import Level
from arthexis.quality.score import FAILED, PATIENCE_S, Score, score


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


@click.command()
@click.argument("name")
@click.option(
    "--at-least",
    type=click.Choice([level.value for level in Level]),
    default=Level.BRONZE.value,
    help="End with status 1 below this level (bronze, unless said otherwise).",
)
@click.option("--patience", type=click.FloatRange(min=0.1), default=PATIENCE_S, help="Seconds that a start may take.")
@show.json_option
@click.pass_context
def check(ctx: click.Context, name: str, at_least: str, patience: float, as_json: bool) -> None:
    """Measure a plugin, or all plugins of a distribution, by the rules of quality.

    It runs in processes of its own, in empty folders, on default settings; with `arthexis --config FILE` on those of
    the sections [plugins...] there.
    """
    named: Path | None = ctx.find_root().params.get("config")
    settings = config.load(named).file.get("plugins", {}) if named is not None else {}
    found = score(name, settings=settings, patience_s=patience)
    if as_json:
        show.as_json(found.to_dict())
    else:
        _tell(found)
    if not found.reaches(Level(at_least)):
        ctx.exit(1)


def _tell(found: Score) -> None:
    """Print a score for people: a line for each rule, what is wrong with its cure, and what the level is."""
    rows = [{"level": r.rule.level, "rule": r.rule.name, "result": r.result, "said": r.said} for r in found.results]
    show.table(rows, ("level", "rule", "result", "said"), "")
    for result in found.results:
        if result.result == FAILED:
            click.echo(f"\n{result.rule.name}: {result.rule.says}.\n  {show.plain(result.said)}\n  {result.rule.cure}.")
    level = found.level.value if found.level is not None else "below bronze"
    of = f"{found.passed} of {len(found.counted)} rules"
    click.echo(f"\n{show.plain(found.name)} ({found.distribution} {show.plain(found.version)}): {level}, {of}")
