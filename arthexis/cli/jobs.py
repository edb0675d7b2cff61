"""``arthexis jobs``: work that is done later or regularly."""

from __future__ import annotations

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask


@click.group()
def jobs() -> None:
    """Jobs: list, retry."""


@jobs.command("list")
@click.option("--name", help="Only of this name.")
@click.option("--state", type=click.Choice(["waiting", "running", "done", "failed"]), help="Only in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@show.json_option
def list_(name: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the latest first."""
    found = ask("jobs.list", name=name, state=state, limit=limit)
    if as_json:
        show.as_json(found)
    else:
        show.table(found, ("id", "name", "key", "state", "run_at", "tries", "error"), "No job.")


@jobs.command()
@click.argument("job", type=int)
@show.json_option
def retry(job: int, as_json: bool) -> None:
    """Run a job that has failed for good once more."""
    found = ask("jobs.retry", job=job)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"Job {found['job']} runs again.")
